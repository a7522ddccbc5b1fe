"""Twins on a GPU: kernels in Triton where it is there; those of CPUs that keep less in training, there with
all of a map at once; and depthwise convolutions, which go past cuDNN.

What they take on a GPU has not been measured with this code. In the order to read them:

    attention        the operator of partition attention, without and with a backward pass
    attention_step   the same with the products around it, with a backward pass to come
    narrow           the middle of an MBConv at inference
    branch           a whole branch of an MBConv with a backward pass to come
    branch_step      what both of its ways compute
    norm             its BatchNorms at their statistics
    ffn              the FFN
    pointwise        1x1 convolutions
    block            a block's sums, with the LayerNorms behind them
    whole_block      a block of nothing but kernels and products
    operators        how compilers see these, and how they are called without one
    launch, kernels  what it starts, and with which grids and tiles
    reasons          what keeps the kernels from running
"""

from ...network.twins import Twin
from ..cpu import FFN, MIDDLE, ON_CPUS, WHOLE_BLOCK
from ..cpu.reasons import depthwise as other_depthwise
from ..cpu.reasons import ffn as other_ffn
from ..depthwise import depthwise
from . import attention, attention_step, block, branch, ffn, narrow, pointwise, reasons, whole_block

CUDA = ("cuda",)

# By method, best first, as `network.twins.TWINS` has them. A kernel stands before what runs without Triton.
ON_GPUS = {
    seam: [twin._replace(name="cuda", devices=CUDA) for twin in twins if twin.training or not twin.inside]
    for seam, twins in ON_CPUS.items()
    if seam != "MaxViTBlock.forward"
}
ON_GPUS["PartitionAttention.forward"] = [
    Twin("cuda", CUDA, True, True, ("qkv", "out"), reasons.attention, attention_step.train)
]
ON_GPUS["PartitionAttention.attend"].insert(
    0, Twin("cuda", CUDA, True, None, (), reasons.attend, attention.attend)
)
ON_GPUS["MBConv.branch"] = [Twin("cuda", CUDA, True, True, ("expand", *MIDDLE), reasons.branch, branch.train)]
ON_GPUS["MBConv.narrow"].insert(0, Twin("cuda", CUDA, True, False, MIDDLE, reasons.narrow, narrow.infer))
ON_GPUS["FFN.forward"][:0] = [
    Twin("cuda", CUDA, False, False, FFN, other_ffn, ffn.infer),
    Twin("cuda", CUDA, True, True, FFN, reasons.ffn, ffn.train),
]
ON_GPUS["MaxViTBlock.forward"] = [
    Twin("cuda", CUDA, False, False, WHOLE_BLOCK, reasons.whole, whole_block.infer),
    Twin("cuda", CUDA, False, True, WHOLE_BLOCK, reasons.whole_training, whole_block.train),
    Twin("cuda", CUDA, True, None, block.INSIDE, reasons.block, block.block),
]
ON_GPUS["PointwiseConv2d.forward"] = [
    Twin("cuda", CUDA, False, None, (), reasons.pointwise, pointwise.pointwise)
]
ON_GPUS["DepthwiseConv2d.forward"] = [Twin("cuda", CUDA, True, None, (), other_depthwise, depthwise)]
