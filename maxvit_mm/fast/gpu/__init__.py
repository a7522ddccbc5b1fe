"""Twins on a GPU: those of CPUs that keep less in training, there with all of a map at once; attention; and
depthwise convolutions, which go past cuDNN.

They are there for their memory; what they take on a GPU has not been measured with this code. Attention at
inference is put together as the plain network's; to compilers it is one operator, so that one graph serves
images of all sizes.
"""

from ...network.twins import Twin
from ..cpu import ON_CPUS, reasons
from ..depthwise import depthwise

# By method, best first, as `network.twins.TWINS` has them.
ON_GPUS = {
    seam: [
        twin._replace(name="cuda", devices=("cuda",)) for twin in twins if twin.training or not twin.inside
    ]
    for seam, twins in ON_CPUS.items()
    if seam != "MaxViTBlock.forward"
}
ON_GPUS["DepthwiseConv2d.forward"] = [Twin("cuda", ("cuda",), True, None, (), reasons.depthwise, depthwise)]
