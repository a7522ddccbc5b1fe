"""Imported first by every tool: a clone's own package goes before an installed one."""

import sys
import warnings
from pathlib import Path

root = Path(__file__).resolve().parents[1]
if (root / "maxvit_mm").is_dir():
    sys.path.insert(0, str(root))

# MMEngine imports pkg_resources, which says so once for each of its modules, to users who can't help it.
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
