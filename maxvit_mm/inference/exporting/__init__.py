"""A trained detector as an ONNX file, which other programs run: written, read again, and compared.

In reading order:

    graph           a detector's test as one graph of tensors: what is exported
    dense           heads that look at every place of the maps: RPN and RetinaNet
    regions         heads that look at regions: boxes, cascades of them, and masks
    operators       what such graphs have beside PyTorch's own operators
    translation     how those are written in ONNX
    writing         the file, with what it knows about itself
"""
