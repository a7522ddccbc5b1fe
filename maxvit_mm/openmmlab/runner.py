"""MMEngine's runner: the screen shows what matters, and a test leaves a training's files alone."""

from __future__ import annotations

import logging
import re
import warnings
from pathlib import Path
from typing import Any

from mmengine.logging import MMLogger
from mmengine.runner import Runner

from .coco_by_name import SUMMARY

# How messages begin that are for the log file: hundreds of lines before the first step.
FOR_THE_FILE = (
    "\n------------------------------------------------------------\nSystem environment:",
    "Config:\n",
    "Hooks will be executed in the following order:",
    "paramwise_options -- ",
    "Distributed training is not used, all SyncBatchNorm",
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
    "Exp name: ",
    "bbox_mAP_copypaste:",
    "segm_mAP_copypaste:",
    "The testing results of the whole dataset is empty.",
    "Since `metrics` is an empty dict",
    "The prefix is not set in metric class",
)
# How warnings of libraries begin that say nothing to whoever trains: they are for who writes their parts.
HUSHED = ("``build_loss`` would be deprecated", "Default ``avg_non_ignore`` is False", "The draw is False")


class TrainingRunner(Runner):
    """A runner whose log file has everything, and whose screen leaves out what nobody reads there."""

    for_the_file: tuple[str, ...] = (*FOR_THE_FILE, SUMMARY)

    @classmethod
    def from_cfg(cls, cfg: Any) -> Runner:
        with warnings.catch_warnings():
            for message in HUSHED:
                warnings.filterwarnings("ignore", message=re.escape(message))
            return super().from_cfg(cfg)

    def build_logger(self, *arguments: Any, **named: Any) -> MMLogger:
        logger = super().build_logger(*arguments, **named)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(self.is_for_the_screen)
        return logger

    def is_for_the_screen(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(self.for_the_file)


class EvaluationRunner(TrainingRunner):
    """A runner that writes its config into the folder of its own log.

    MMEngine's would write it into the work directory, over the config that the training left there.
    """

    for_the_file = FOR_THE_FILE

    def dump_config(self) -> None:
        name = Path(self.cfg.filename).name if self.cfg.filename else "config.py"
        self.cfg.dump(str(Path(self._log_dir) / name))
