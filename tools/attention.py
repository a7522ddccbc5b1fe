"""Show where a detector looked: python tools/attention.py CHECKPOINT IMAGE"""

import clone  # noqa: F401

from maxvit_mm.commands.attention import main

if __name__ == "__main__":
    main()
