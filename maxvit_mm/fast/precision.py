"""What mixed precision does to an operator's operands, for what hides from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..network.attention import has_autocast


def autocast_dtype(device: str) -> torch.dtype | None:
    """The precision that autocast takes products in on a device, None where it is off."""
    if not has_autocast(device) or not torch.is_autocast_enabled(device):
        return None
    return torch.get_autocast_dtype(device)


def precision_of(x: Tensor) -> torch.dtype:
    """The precision of a product with `x`; as autocast has it, which leaves fp64 alone."""
    cast = autocast_dtype(x.device.type)
    return x.dtype if cast is None or x.dtype == torch.float64 else cast


def cast_together(tensors: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """Tensors in that type, those that are as they are; without a backward pass. A GPU casts all at once."""
    casts = [each if each.dtype == dtype else torch.empty_like(each, dtype=dtype) for each in tensors]
    others = [(cast, each) for cast, each in zip(casts, tensors, strict=True) if cast is not each]
    if others:
        torch._foreach_copy_([cast for cast, _ in others], [each for _, each in others])
    return casts


def new_casts(casts: Sequence[Tensor], weights: Sequence[Tensor]) -> list[Tensor]:
    """Those that are not the weights themselves, else without numbers: an operator returns what is new."""
    pairs = zip(casts, weights, strict=True)
    return [cast.new_empty(0) if cast is as_is else cast for cast, as_is in pairs]


def fake_casts(x: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """What `new_casts` returns for a map `x`, without numbers."""
    return [x.new_empty(0 if each.dtype == x.dtype else each.shape) for each in weights]


def as_multiplied(x: Tensor, weights: Sequence[Tensor], casts: Sequence[Tensor]) -> list[Tensor]:
    """The weights in the precision of a map `x`, from what `new_casts` returned."""
    pairs = zip(weights, casts, strict=True)
    return [as_is if as_is.dtype == x.dtype else cast for as_is, cast in pairs]


def in_precision(*operands: Tensor | None) -> list[Any]:
    """The operands of a product in the type that autocast, where it is on, would take it in."""
    device = next(operand.device.type for operand in operands if operand is not None)
    cast = autocast_dtype(device)
    if cast is None:
        return list(operands)
    return [each if each is None or each.dtype == torch.float64 else each.to(cast) for each in operands]


def product_in_fp32(a: Tensor, b: Tensor) -> Tensor:
    """`a @ b` of matrices, in fp32 where they are in less: sums over all tokens, for a gradient in fp32."""
    if a.dtype not in (torch.float16, torch.bfloat16):
        return a @ b
    if a.is_cuda:
        return torch.mm(a, b, out_dtype=torch.float32)
    return a.float() @ b.float()  # on a CPU PyTorch has no such product
