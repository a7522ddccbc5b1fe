"""Kernels in Triton, which they import: `..launch` starts them.

In the order to read them:

    groups              where the tokens of a group lie in a map, and what their places add
    few_tokens          attention in groups that one tile holds
    many_tokens         attention in larger groups, some keys after others
    of_table            the gradient of the bias' table
    depthwise           the middle of an MBConv or, in training, its first half
    statistics          BatchNorm's statistics, put together from parts
    product             the same behind a product, from what is multiplied
    gate                the other half, around the gate
    depthwise_backward  the way back through the first half
"""
