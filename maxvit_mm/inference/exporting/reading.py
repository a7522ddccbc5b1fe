"""An ONNX file of ours in a checkpoint's place: what it knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import CheckpointLoader

from ...openmmlab.tasks import TASKS
from ...weights import CheckpointError
from ..libraries import need

ABOUT = "maxvit_mm"  # the key of the file's metadata under which ours are
SUFFIX = ".onnx"
MAPS = "maps"  # what a file holds of a backbone alone; else what its task calls it, such as 'detector'


def is_onnx(file: str | Path) -> bool:
    return Path(file).suffix.lower() == SUFFIX


@CheckpointLoader.register_scheme(prefixes=r"(?i).*\.onnx$", force=True)
def load_onnx(filename: str, map_location: Any = None) -> dict[str, Any]:
    """What a file of `tools/export.py` knows, in the form of a checkpoint without weights.

    Raises:
        CheckpointError: where there is no such file, or it is another program's.
    """
    about = about_of(filename, session_of(filename))
    return {"meta": about["meta"], "state_dict": {}, "onnx": about["holds"]}


def session_of(filename: str) -> Any:
    """ONNX Runtime's session of a file.

    Raises:
        CheckpointError: where there is no file, or it is no ONNX file.
    """
    if not Path(filename).is_file():
        raise CheckpointError(f"there is no file {filename}")
    try:
        need("onnxruntime", doing="ONNX files")
    except ImportError as error:
        raise CheckpointError(f"{filename}: {error}") from error
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors; its warnings are of how it runs, not of the results
    try:
        return onnxruntime.InferenceSession(filename, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # it raises kinds of its own, by the dozen
        said = str(error).splitlines()[0]
        raise CheckpointError(f"{filename} is damaged or no ONNX file ({said}): export it again") from error


def about_of(filename: str, session: Any) -> dict[str, Any]:
    """What an ONNX file knows about itself.

    Raises:
        CheckpointError: where `tools/export.py` did not write it.
    """
    try:
        about = json.loads(session.get_modelmeta().custom_metadata_map[ABOUT])
        if isinstance(about["meta"], dict) and about["holds"] in (
            MAPS,
            *(task.trained for task in TASKS.values()),
        ):
            return about
    except (KeyError, TypeError, ValueError):
        pass
    raise CheckpointError(
        f"{filename} is an ONNX file of another model, not one that tools/export.py wrote: it does not say "
        "which model it holds"
    )


def cpu_for(device: str | None, amp: bool) -> torch.device:
    """The device of an ONNX file's results.

    Raises:
        ValueError: where another device or another precision is asked for.
    """
    if device not in (None, "cpu"):
        raise ValueError(f"ONNX files run on the CPU here, not on {device}: leave the device out")
    if amp:
        raise ValueError("an ONNX file has the precision that it was exported with: leave out amp")
    return torch.device("cpu")
