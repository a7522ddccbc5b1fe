"""The few compiled ops that detectors need, where compiled mmcv is absent.

mmcv keeps its compiled ops in one module, `mmcv._ext`, which mmcv-lite leaves out. `install` puts a
stand-in there. Everything in `mmcv.ops` then imports, and the ops below work, on any device.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch

from . import deformable_attention, focal_loss, nms, roi_align, torchvision_ops
from .compiled import NO_MMCV, compiled_mmcv_lines, needs_compiled
from .stubs import refuse_stubs

__all__ = ["StandIn", "backend", "compiled_mmcv_lines", "install"]

EXTENSION = "mmcv._ext"

IN_PYTORCH: dict[str, Callable[..., Any]] = {
    "nms": nms.nms,
    "softnms": nms.softnms,
    "roi_align_forward": roi_align.roi_align_forward,
    "roi_align_backward": roi_align.roi_align_backward,
    "sigmoid_focal_loss_forward": focal_loss.sigmoid_focal_loss_forward,
    "sigmoid_focal_loss_backward": focal_loss.sigmoid_focal_loss_backward,
    "ms_deform_attn_forward": deformable_attention.ms_deform_attn_forward,
    "ms_deform_attn_backward": deformable_attention.ms_deform_attn_backward,
    # mmcv's own words where there is no extension; its report of the environment asks.
    "get_compiler_version": lambda: "n/a",
    "get_compiling_cuda_version": lambda: "n/a",
}
IN_TORCHVISION: dict[str, Callable[..., Any]] = {
    "nms": torchvision_ops.nms,
    "roi_align_forward": torchvision_ops.roi_align_forward,
    "roi_align_backward": torchvision_ops.roi_align_backward,
}


class StandIn(ModuleType):
    """What `mmcv.ops` finds as `mmcv._ext`: each op by name, one that is not supplied too.

    That one raises RuntimeError when it is called, with the lines that install compiled mmcv.
    """

    def __init__(self) -> None:
        super().__init__(EXTENSION, __doc__)
        self.__spec__ = ModuleSpec(EXTENSION, loader=None)
        with_torchvision = torchvision_ops.work()
        self.__backend__ = "torchvision" if with_torchvision else "PyTorch"
        self.__dict__.update(IN_PYTORCH | (IN_TORCHVISION if with_torchvision else {}))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):  # Python's own questions, not mmcv's
            raise AttributeError(f"module {EXTENSION!r} has no attribute {name!r}")

        def unsupplied(*args: Any, **kwargs: Any) -> None:
            needs_compiled(f"mmcv's op {name!r}")

        return unsupplied


def install() -> str:
    """Make `mmcv.ops` work: with compiled mmcv where it is installed, else with a stand-in.

    Call it before the first import of `mmcv.ops`, and of what imports it; again, it changes nothing.

    Returns:
        What `backend` does.

    Raises:
        ImportError: mmcv is missing, its compiled ops do not load, or a package that needs them was imported
            before; the message says what to do.
    """
    if EXTENSION not in sys.modules:
        mmcv = import_mmcv()
        compiled = find_spec(EXTENSION) is not None
        if not compiled:
            refuse_stubs()
        module = import_compiled() if compiled else StandIn()
        mmcv._ext = sys.modules[EXTENSION] = module
    return backend()


def backend() -> str:
    """What supplies the ops once they are installed: 'compiled mmcv', 'torchvision' or 'PyTorch'.

    'torchvision' has NMS and RoIAlign from there and the others from PyTorch.
    """
    return getattr(sys.modules[EXTENSION], "__backend__", "compiled mmcv")


def import_mmcv() -> Any:
    try:
        return importlib.import_module("mmcv")
    except ModuleNotFoundError as error:
        if error.name not in ("mmcv", "mmengine"):
            raise
        raise ImportError(NO_MMCV.format(error.name)) from error


def import_compiled() -> ModuleType:
    try:
        # It finds torch's libraries because torch is imported above.
        return importlib.import_module(EXTENSION)
    except ImportError as error:
        raise ImportError(
            f"mmcv's compiled ops do not load, as they were built for another torch than the "
            f"installed {torch.__version__} ({error}); these lines build them again:\n"
            f"{compiled_mmcv_lines()}"
        ) from error
