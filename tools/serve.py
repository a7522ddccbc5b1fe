"""Show a page that finds objects in images: python tools/serve.py CHECKPOINT"""

import clone  # noqa: F401

from maxvit_mm.commands.serve import main

if __name__ == "__main__":
    main()
