"""Twins on a GPU: those of CPUs that keep less in training, there with all of a map at once; and attention.

In fp32 a training step of theirs takes 5 % longer than the plain network's, in 19 % less memory (MaxViT-T, 64
x 224 x 224, one H200). Attention at inference is as quick as the plain network's; to compilers it is one
operator, so that one graph serves images of all sizes.
"""

from ..cpu import ON_CPUS

# By method, best first, as `network.twins.TWINS` has them.
ON_GPUS = {
    seam: [
        twin._replace(name="cuda", devices=("cuda",)) for twin in twins if twin.training or not twin.inside
    ]
    for seam, twins in ON_CPUS.items()
    if seam != "MaxViTBlock.forward"
}
