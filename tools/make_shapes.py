"""Make the embedded data set: python tools/make_shapes.py data/shapes"""

import clone  # noqa: F401

from maxvit_mm.commands.make_shapes import main

if __name__ == "__main__":
    main()
