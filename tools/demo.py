"""Train MaxViT on the embedded data set and look at what it finds: what `make demo` runs."""

import clone  # noqa: F401

from maxvit_mm.commands.demo import main

if __name__ == "__main__":
    main()
