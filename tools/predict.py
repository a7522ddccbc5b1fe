"""Find objects in images and videos: python tools/predict.py CHECKPOINT SOURCE..."""

import clone  # noqa: F401

from maxvit_mm.commands.predict import main

if __name__ == "__main__":
    main()
