"""BatchNorm in the layers that keep less for the backward pass; see `lean`."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from .lean import aten
from .pieces import ranges

EPS = 2.0**-10  # which 1 - EPS makes exactly 1 of in any precision of a statistic


class Statistics(NamedTuple):
    """What a BatchNorm normalises a map by, and whether it is the map's own, with gradients through it.

    `group` is that of the processes whose maps they are of, with so many `values` a channel; None where they
    are of this process's alone.
    """

    mean: Tensor
    variance: Tensor
    of_batch: bool
    eps: float
    group: Any = None
    values: Any = 0

    @classmethod
    def of(cls, norm: Any, x: Tensor) -> Statistics:
        """Those of `x` while training, of which the running ones take their share; else the running ones."""
        running = norm.running_mean, norm.running_var
        if not norm.training:
            return cls(*running, False, norm.eps)
        group = group_of(norm)
        refuse_one_value(norm, x, group)
        with torch.no_grad():
            norm.num_batches_tracked.add_(1)
            if x.device.type == "meta":
                return cls(torch.empty_like(running[0]), torch.empty_like(running[1]), True, norm.eps)
            if group is None:
                found = torch.batch_norm_update_stats(x, *running, norm.momentum)
                return cls(*found, True, norm.eps)
            copies = running[0].clone(), running[1].clone()
            of_this = torch.batch_norm_update_stats(x, *copies, norm.momentum)
            mean, variance, count = over_processes(*of_this, x.numel() // x.shape[1], norm.eps, group)
            count_in(norm, mean, variance, count)
            return cls(mean, variance, True, norm.eps, group, count)

    def inverse(self) -> Tensor:
        """Of the deviation."""
        return (self.variance + self.eps).rsqrt()

    def scale_and_shift(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        scale = weight * self.inverse()
        return scale, bias - self.mean * scale


def refuse_one_value(norm: Any, x: Tensor, group: Any) -> None:
    if x.numel() == len(norm.running_mean) and group is None:
        raise ValueError(
            f"a BatchNorm that trains needs more than one value a channel; got {list(x.shape)}: take "
            "larger images or batches, or norm_eval=True"
        )


def count_in(norm: Any, mean: Tensor, variance: Tensor, count: Tensor | int) -> None:
    """Have the running statistics take their share of a batch's, of so many values a channel."""
    unbiased = variance * (count / (count - 1))
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), norm.momentum)
    norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), norm.momentum)


def group_of(norm: nn.Module) -> Any:
    """The processes that a SyncBN takes its statistics over; None where it is this one alone."""
    if not isinstance(norm, nn.SyncBatchNorm) or not dist.is_available() or not dist.is_initialized():
        return None
    group = norm.process_group or dist.group.WORLD
    return group if dist.get_world_size(group) > 1 else None


def over_processes(
    mean: Tensor, variance: Tensor, count: int, eps: float, group: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """The mean and variance of a channel's values in all processes, from those of each, and their number.

    What goes from process to process is what PyTorch's SyncBatchNorm sends, here and on the way back: where
    a hook has one of them run the plain layer, they still understand each other.
    """
    mine = torch.cat([mean, (variance + eps).rsqrt(), mean.new_full((1,), count)])
    everyone = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
    dist.all_gather(everyone, mine, group=group)
    means, inverses, counts = torch.stack(everyone).split([len(mean), len(mean), 1], 1)
    there = counts >= 1  # a process without images has no statistics; a GPU is not waited for to know which
    means, inverses, counts = means.where(there, 0.0), inverses.where(there, 1.0), counts.where(there, 0.0)
    shares = counts / counts.sum()
    mean = (means * shares).sum(0)
    variances = inverses.reciprocal().square() - eps
    return mean, ((variances + (means - mean).square()) * shares).sum(0), counts.sum()


class NormGradient:
    """The way back through a BatchNorm, some tokens after others, and once they are all there for the rest.

    With `xhat = (x - mean) / deviation` and `m()` a mean over all tokens, the gradient of `x` is
    `scale * (g - m(g) - xhat * m(g * xhat))` (arXiv 1502.03167); of constant statistics, `scale * g`.

    Args:
        x: [tokens, c], what was normalised.
    """

    def __init__(self, statistics: Statistics, x: Tensor, scale: Tensor):
        self.statistics, self.x, self.scale = statistics, x, scale
        self.inverse = statistics.inverse()
        self.of_normalised = torch.empty_like(x)  # filled by the caller
        self.of_weight, self.of_bias = torch.zeros_like(scale), torch.zeros_like(scale)

    def add(self, some: slice) -> None:
        """Count in some tokens, each once, once `of_normalised` holds theirs."""
        g, x = (
            each[some].view(1, -1, 1, each.shape[1]).permute(0, 3, 1, 2)
            for each in (self.of_normalised, self.x)
        )
        mean, eps = self.statistics.mean, self.statistics.eps
        of_weight, of_bias = aten.native_batch_norm_backward(
            *(g, x, self.scale, None, None, mean, self.inverse, True, eps, (False, True, True))
        )[1:]
        self.of_weight += of_weight
        self.of_bias += of_bias

    def finish(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Once all tokens have been counted in: the gradients of the map `x`, of the weight and the bias."""
        of_weight, of_bias, count = totals(self.statistics, self.of_weight, self.of_bias, len(self.x))
        per_x = -self.scale * self.inverse * of_weight / count
        per_one = -self.scale * of_bias / count - per_x * self.statistics.mean
        of_x = self.of_normalised
        for some in ranges(self.x, len(self.x), self.x[:1].nbytes):
            if self.statistics.of_batch:
                # not in a lower precision: rounded factors would leave means that are to cancel
                through_statistics = torch.addcmul(per_one, self.x[some], per_x)
                torch.addcmul(through_statistics, of_x[some], self.scale, out=of_x[some])
            else:
                of_x[some] *= self.scale
        of_map = of_x.view(len(x), *x.shape[2:], x.shape[1]).permute(0, 3, 1, 2)
        return of_map, self.of_weight, self.of_bias


def totals(
    statistics: Statistics, of_weight: Tensor, of_bias: Tensor, tokens: int
) -> tuple[Tensor, Tensor, Any]:
    """The gradients of weight and bias, and the number of tokens, of all processes together."""
    if statistics.group is None:
        return of_weight, of_bias, tokens
    inverse = statistics.inverse()
    together = torch.cat([of_bias, of_weight / inverse])  # sums of g and g * (x - mean)
    dist.all_reduce(together, group=statistics.group)
    of_bias, of_deviation = together.split(len(of_bias))
    return of_deviation * inverse, of_bias, statistics.values


def affine(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """`scale * x + shift`, a number for each channel; of an `x` less precise than these, in theirs inside.

    x: [tokens, c].
    """
    if x.dtype == scale.dtype:
        return torch.addcmul(shift, x, scale)
    # As PyTorch's BatchNorm: not with an epsilon of 0, which its releases before 2.13 refuse.
    nothing, rest = torch.zeros_like(scale), torch.full_like(scale, 1 - EPS)
    return F.batch_norm(x, nothing, rest, scale, shift, eps=EPS)
