"""What is wrong with this environment, and what mends it: python tools/doctor.py [--compiled] [--peers]"""

import runpy
from pathlib import Path

# By its path, as the package imports torch and mmcv, which may be what is wrong. In a clone the package is
# beside this folder, installed it is around `.mim`.
folders = [Path(__file__).resolve().parents[1] / "maxvit_mm", Path(__file__).resolve().parents[2]]
doctor = next(file for folder in folders if (file := folder / "commands" / "doctor.py").is_file())
runpy.run_path(str(doctor), run_name="__main__")
