"""Write a detector as an ONNX file: python tools/export.py CHECKPOINT OUT.onnx"""

import clone  # noqa: F401

from maxvit_mm.commands.export import main

if __name__ == "__main__":
    main()
