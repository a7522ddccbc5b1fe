"""Evaluate a detector: python tools/test.py CONFIG CHECKPOINT [--data FOLDER] [--show-dir NAME]"""

import clone  # noqa: F401

from maxvit_mm.commands.test import main

if __name__ == "__main__":
    main()
