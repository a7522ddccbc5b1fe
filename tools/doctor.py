"""What is wrong with this environment, and what mends it: python tools/doctor.py [--compiled] [--peers]"""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

# By its path, as the package imports torch and mmcv, which may be what is wrong. In a clone the package is
# beside this folder, installed it is around `.mim`.
folders = [Path(__file__).resolve().parents[1] / "maxvit_mm", Path(__file__).resolve().parents[2]]
home = next(file for folder in folders if (file := folder / "commands/doctor/__init__.py").is_file())
spec = spec_from_file_location("doctor", home)
sys.modules["doctor"] = doctor = module_from_spec(spec)
spec.loader.exec_module(doctor)
if __name__ == "__main__":
    sys.exit(doctor.main())
