"""The tasks that a config may be for, a row each: no command asks which one it has.

task              what a command may ask of any task
detection         boxes and masks, by MMDetection
segmentation      a class for each pixel, by MMSegmentation
classification    a class for each image, by MMPretrain
"""

import time
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DefaultScope

from .classification import Classification
from .detection import Detection
from .segmentation import Segmentation
from .task import Task

__all__ = ["TASKS", "Task", "enter_scope", "task_for", "task_of"]

DETECTION = Detection()
TASKS: dict[str, Task] = {task.scope: task for task in (DETECTION, Segmentation(), Classification())}


def task_of(cfg: Config) -> Task:
    """What a config is for, by its `default_scope`; one that names another library's is MMDetection's kin."""
    return TASKS.get(cfg.get("default_scope") or DETECTION.scope, DETECTION)


def task_for(root: Path) -> Task:
    """The first task that a folder has a training split for; detection where none finds any."""
    return next((task for task in TASKS.values() if task.find_split(root, "train")), DETECTION)


def enter_scope(cfg: Config) -> None:
    """Have MMEngine look parts up where a config means them.

    MMEngine's `init_default_scope` warns of every scope but the first of a process.
    """
    scope = cfg.get("default_scope") or DETECTION.scope
    current = DefaultScope.get_current_instance()
    if current is None or current.scope_name != scope:
        DefaultScope.get_instance(f"{scope}-{time.time_ns()}", scope_name=scope)
