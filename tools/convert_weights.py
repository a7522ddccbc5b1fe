"""Convert released weights: python tools/convert_weights.py SRC DST.pth"""

import clone  # noqa: F401

from maxvit_mm.commands.convert_weights import main

if __name__ == "__main__":
    main()
