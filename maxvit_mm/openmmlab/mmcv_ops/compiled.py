"""What to say where only compiled mmcv will do."""

from __future__ import annotations

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


def needs_compiled(what: str) -> NoReturn:
    """Raise RuntimeError: `what` is not supplied here, and these lines install it."""
    raise RuntimeError(f"{what} needs compiled mmcv. To install it:\n{COMPILED_MMCV_LINES}")
