"""What a config costs: python tools/summary.py CONFIG... [--shape H W]"""

import clone  # noqa: F401

from maxvit_mm.commands.summary import main

if __name__ == "__main__":
    main()
