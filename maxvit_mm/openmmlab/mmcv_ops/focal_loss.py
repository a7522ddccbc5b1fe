"""Sigmoid focal loss, and its derivative.

Formula: Lin et al., `Focal Loss <https://arxiv.org/abs/1708.02002>`_, equation 5. With s = 1 for
the target's class and -1 for the others, p = sigmoid(s x) is the probability of what is true, and

    loss = -a (1 - p)^gamma log p        d loss / d x = -s a (1 - p)^gamma (1 - p - gamma p log p)

with a = alpha for s = 1, else 1 - alpha. 1 - p is taken as sigmoid(-s x), and log p as logsigmoid(s
x), which stay exact where p rounds to 1 or 0 (mmcv's kernel does not).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Write the loss of each logit into `output`. The signature is mmcv's.

    Args:
        input: logits [N, C].
        target: classes [N]; C means background, none of them.
        weight: one a class [C], by the target's class (1 for background), or empty.
        output: [N, C], overwritten.
    """
    x, _, a = signed(input, target, weight, alpha)
    output.copy_(-a * (-x).sigmoid() ** gamma * F.logsigmoid(x))


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Write the derivative of each loss by its logit into `grad_input` [N, C]."""
    x, sign, a = signed(input, target, weight, alpha)
    wrong = (-x).sigmoid()
    grad_input.copy_(-sign * a * wrong**gamma * (wrong - gamma * x.sigmoid() * F.logsigmoid(x)))


def signed(input: Tensor, target: Tensor, weight: Tensor, alpha: float) -> list[Tensor]:
    """s x, s and a of the formula, each [N, C] in single precision or better."""
    classes = input.shape[1]
    hit = target[:, None] == torch.arange(classes, device=target.device)  # background hits none
    logits = input.to(torch.promote_types(input.dtype, torch.float32))
    sign = hit.to(logits) * 2 - 1
    share = alpha * hit.to(logits) + (1 - alpha) * (~hit).to(logits)
    if weight.numel():
        share = share * F.pad(weight, (0, 1), value=1.0)[target, None]
    return [sign * logits, sign, share]
