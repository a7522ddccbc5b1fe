"""Whether ours computes what the plain network does, before anybody says how fast it is."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from ..network.twins import plain
from .peers import Work, ours
from .timing import DTYPES

IMAGES = 2  # a batch of so many is enough to compare, whatever the batch that is timed
WORSE = 2.0  # rounding adds up in another order: so many times the error of the plain network is the same


class NotEqualError(Exception):
    """Ours and the plain network differ by more than rounding."""


def check_equal(work: Work, device: str, worse: float = WORSE) -> tuple[float, float]:
    """The relative errors of ours and of the plain network in the type of a work, the truth being fp64.

    Of all maps together, and in training of the gradients of all parameters together.

    Raises:
        NotEqualError: where ours is more than `worse` times as far from the truth.
    """
    work = work._replace(batch=min(work.batch, IMAGES))
    torch.manual_seed(0)
    network = ours(work).to(device).train(work.kind != "forward")
    images = torch.randn(work.batch, 3, work.height, work.width, device=device)
    start = {name: value.clone() for name, value in network.state_dict().items()}

    def outcome(as_written: bool, exact: bool = False) -> Tensor:
        network.load_state_dict(start)
        kind = torch.float64 if exact else torch.float32
        network.to(kind)
        with plain(network) if as_written else nullcontext():
            found = results(network, images.to(kind), work, device, exact)
        network.float()
        return found

    truth = outcome(as_written=True, exact=True)
    errors = [float((outcome(each) - truth).norm() / truth.norm()) for each in (False, True)]
    # Two roundings of fp32 are each small by chance now and then.
    if not errors[0] <= worse * errors[1] + 10 * torch.finfo(torch.float32).eps:
        raise NotEqualError(
            f"{work}: ours is {errors[0]:.1e} from the network in fp64, the plain one {errors[1]:.1e}: its "
            f"time would mean nothing"
        )
    return errors[0], errors[1]


def results(network: nn.Module, images: Tensor, work: Work, device: str, exact: bool) -> Tensor:
    """All maps, or all gradients, one after another, in fp64."""
    kind = DTYPES[work.dtype]
    mixed = nullcontext() if exact or kind is torch.float32 else torch.autocast(device, kind)
    if work.kind == "forward":
        with torch.no_grad(), mixed:
            return flat(network(images))
    network.zero_grad()
    with mixed:
        maps = network(images)
    # Another weight for each place: the mean of what a norm made has hardly a gradient.
    total = sum(
        (each.to(images.dtype) * torch.linspace(-1, 1, each.numel(), device=device).view(each.shape)).mean()
        for each in maps
    )
    total.backward()
    return flat([parameter.grad for parameter in network.parameters() if parameter.grad is not None])


def flat(tensors: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    return torch.cat([each.detach().double().flatten() for each in tensors])
