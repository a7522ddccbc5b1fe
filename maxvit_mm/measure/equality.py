"""Whether ours computes what the plain network does, before anybody says how fast it is."""

from __future__ import annotations

from contextlib import nullcontext
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from ..network.twins import plain
from .peers import Work, ours
from .timing import DTYPES

IMAGES = 2  # a batch of so many is enough to compare, whatever the batch that is timed
WORSE = 2.0  # rounding adds up in another order: so many times the error of the plain network is the same


class NotEqualError(Exception):
    """Ours and the plain network differ by more than rounding."""


def check_equal(work: Work, device: str, worse: float = WORSE) -> tuple[float, float]:
    """The relative errors of ours and of the plain network in the type of a work, the truth being fp64.

    Of all maps together, of ours deployed and cast, as they are timed; in training of the gradients of all
    parameters together.

    Raises:
        NotEqualError: where ours is more than `worse` times as far from the truth.
    """
    work = work._replace(batch=min(work.batch, IMAGES))
    torch.manual_seed(0)
    network = ours(work).to(device).train(work.kind != "forward")
    images = torch.randn(work.batch, 3, work.height, work.width, device=device)
    outcome = maps_of if work.kind == "forward" else gradients_of
    with plain(exactly := deepcopy(network).double()):
        truth = outcome(exactly, images.double(), work._replace(dtype="fp32"), device)
    found = outcome(deepcopy(network), images, work, device, fast=True)
    with plain(network):
        as_written = outcome(network, images, work, device)
    errors = [float((each - truth).norm() / truth.norm()) for each in (found, as_written)]
    # Two roundings of fp32 are each small by chance now and then.
    if not errors[0] <= worse * errors[1] + 10 * torch.finfo(torch.float32).eps:
        raise NotEqualError(
            f"{work}: ours is {errors[0]:.1e} from the network in fp64, the plain one {errors[1]:.1e}: its "
            f"time would mean nothing"
        )
    return errors[0], errors[1]


def maps_of(network: Any, images: Tensor, work: Work, device: str, fast: bool = False) -> Tensor:
    """All maps, one after another, of a network that is cast as a whole; `fast` deploys it before."""
    if fast:
        network.switch_to_deploy()
    kind = images.dtype if work.dtype == "fp32" else DTYPES[work.dtype]
    with torch.no_grad():
        return flat(network.to(kind)(images.to(kind)))


def gradients_of(network: Any, images: Tensor, work: Work, device: str, fast: bool = False) -> Tensor:
    """The gradients of all parameters, one after another, in mixed precision if the work is."""
    kind = DTYPES[work.dtype]
    with nullcontext() if kind is torch.float32 else torch.autocast(device, kind):
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
