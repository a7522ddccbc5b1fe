"""Classify images: python tools/classify.py IMAGE... --checkpoint maxvit.pth"""

import clone  # noqa: F401

from maxvit_mm.commands.classify import main

if __name__ == "__main__":
    main()
