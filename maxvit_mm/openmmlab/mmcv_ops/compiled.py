"""What to say where only compiled mmcv will do, and where there is no mmcv."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from typing import NoReturn

# torch first and no build isolation: else the build does not see torch, and leaves the ops out
# without a word. mmcv's setup.py imports pkg_resources, which setuptools 82 lacks and 81 warns of.
# mmcv and mmcv-lite share the folder `mmcv/`. The last line proves that the ops load.
COMPILED_MMCV_LINES = """\
    pip install torch "setuptools<81" wheel ninja psutil
    pip uninstall -y mmcv mmcv-lite
    MMCV_WITH_OPS=1 pip install --no-build-isolation --no-binary mmcv --no-cache-dir mmcv==2.1.0
    python -c "import torch, mmcv._ext"
"""
COMPILED_ONEDL_LINES = """\
    pip install torch "setuptools>=80" wheel ninja psutil
    pip uninstall -y onedl-mmcv
    pip install --no-build-isolation --no-binary onedl-mmcv --no-cache-dir onedl-mmcv==2.3.6
    python -c "import torch, mmcv._ext"
"""
NO_MMCV = """\
OpenMMLab is not installed ({} is missing). One of these lines installs it, its own packages or those of
onedl, its living fork:
    pip install mmengine==0.10.7 mmcv-lite==2.1.0 mmdet==3.3.0 "setuptools<81"
    pip install onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmdetection==3.5.1"""


def compiled_mmcv_lines() -> str:
    """The lines that compile mmcv, OpenMMLab's own or onedl's, whichever is installed."""
    return COMPILED_ONEDL_LINES if is_onedl() else COMPILED_MMCV_LINES


def is_onedl() -> bool:
    """Whether the OpenMMLab that is here is onedl's."""
    try:
        distribution("onedl-mmcv")
    except PackageNotFoundError:
        return False
    return True


def needs_compiled(what: str) -> NoReturn:
    """Raise RuntimeError: `what` is not supplied here, and these lines install it."""
    raise RuntimeError(f"{what} needs compiled mmcv. To install it:\n{compiled_mmcv_lines()}")
