"""Twins that PyTorch's own operators are put together to, chiefly for CPUs.

In the order to read them:

    pieces, strips  a map some groups, images or rows at a time
    onednn, kept    products with what follows them; what is kept of final weights
    block           inference: a block, and the stem, without whole maps between
    lean            training: what the layers below, which keep less for the backward pass, have in common
    norm            BatchNorm, of one process or of all
    narrow          MBConv's middle and the stem
    attention       attention on the map, with and without gradients
    ffn             the FFN
    form, reasons   what keeps them from running
"""

from ...network.twins import Twin
from . import attention, block, ffn, narrow, reasons

CPU = ("cpu",)
COUNTED = ("cpu", "meta")  # on the meta device memory is counted as of a CPU
WHOLE_BLOCK = ("mbconv", "block_attention", "grid_attention")
STEM = ("norm", "act", "conv2")
MIDDLE = ("norm1", "act", "depthwise", "norm2", "se", "shrink")
FFN = ("0", "1", "2")

# By method, best first, as `network.twins.TWINS` has them.
ON_CPUS = {
    "Stem.forward": [
        Twin("cpu", CPU, False, False, ("conv1", *STEM), reasons.stem, block.stem),
        Twin("cpu", COUNTED, False, True, STEM, reasons.lean_stem, narrow.stem, reasons.small_stem),
    ],
    "MaxViTBlock.forward": [Twin("cpu", CPU, True, False, WHOLE_BLOCK, reasons.block, block.block)],
    "MBConv.narrow": [
        Twin("cpu", COUNTED, False, True, MIDDLE, reasons.narrow, narrow.narrow, reasons.small_map)
    ],
    "PartitionAttention.attend": [
        Twin("cpu", COUNTED, True, False, (), reasons.nothing, attention.infer),
        Twin("cpu", COUNTED, False, True, (), reasons.nothing, attention.attend, reasons.small_map),
    ],
    "FFN.forward": [Twin("cpu", COUNTED, False, True, FFN, reasons.ffn, ffn.ffn, reasons.small_ffn)],
}
