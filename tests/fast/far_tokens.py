"""A kernel of the tests' own, which writes down where a token is that is far from the first."""

import triton
import triton.language as tl

from maxvit_mm.fast.gpu.kernels.groups import tokens_of


@triton.jit
def place(out, group, groups_y, groups_x, height, width, p):
    """Of a group's last token in a grid."""
    token, there = tokens_of(
        group, p - 1, p - 1, groups_y, groups_x, height, width, 1, groups_y, 1, groups_x, p, p
    )
    tl.store(out, tl.where(there, token, -1))
