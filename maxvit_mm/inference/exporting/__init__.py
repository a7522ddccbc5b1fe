"""A trained model as an ONNX file, which other programs run: written, read again, and compared.

In reading order:

    kinds           a row a task: what writes a model down, and what compares the file
    pixels          the first steps of every graph, and a backbone alone
    graph           a detector's test as one graph of tensors
    dense           heads that look at every place of the maps: RPN and RetinaNet
    regions         heads that look at regions: boxes, cascades of them, and masks
    segmenting      a segmenter's test as one graph
    classifying     a classifier's
    operators       what such graphs have beside PyTorch's own operators
    translation     how those are written in ONNX
    writing         the file, with what it knows about itself
    reading         what a file knows about itself
    running         models that ONNX Runtime runs
    checks          a file beside its model: when both are the same
    comparison      images to compare on, and finds matched one to one
    export          all of that, from a checkpoint to a file
"""
