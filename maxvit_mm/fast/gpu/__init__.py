"""Twins on a GPU: those of CPUs that keep less in training, there with all of a map at once; and attention.

They are there for their memory; what they take on a GPU has not been measured with this code. Attention at
inference is put together as the plain network's; to compilers it is one operator, so that one graph serves
images of all sizes.
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
