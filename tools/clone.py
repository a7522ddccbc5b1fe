"""Imported first by every tool: a clone's own package goes before an installed one."""

import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

for package, name in (
    ("torch", "PyTorch"),
    ("mmengine", "MMEngine"),
    ("mmcv", "mmcv"),
    ("mmdet", "MMDetection"),
):
    may_lack = package == "mmdet" and Path(sys.argv[0]).name == "benchmark.py"  # which measures the rest
    if find_spec(package) is None and not may_lack:
        sys.exit(
            f"{sys.executable} has no {name}: activate the environment that `make` filled, with "
            "`. .venv/bin/activate`, or install it as docs/install.md says"
        )

root = Path(__file__).resolve().parents[1]
if (root / "maxvit_mm").is_dir():
    sys.path.insert(0, str(root))

# MMEngine imports pkg_resources, which says so once for each of its modules, to users who can't help it.
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
