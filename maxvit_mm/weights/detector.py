"""A whole detector's checkpoint: every tensor accounted for, before a run or a prediction starts.

MMEngine loads what fits and goes on, with random weights for the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from .checkpoint import CheckpointError
from .loading import differences, is_finite
from .wrappings import find_state, is_odd, is_state

KEEP_THE_HEAD = "; to start from its head too, convert it with --to mmpretrain and name that with load_from"


def load_detector(
    detector: nn.Module, source: str, checkpoint: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Load a trained detector, every tensor, or nothing.

    Args:
        source: a path, or whatever else MMEngine can load from.
        checkpoint: what is in it, where it has been loaded already.

    Returns:
        what the checkpoint says about itself: MMEngine keeps classes and palette under 'dataset_meta'.

    Raises:
        CheckpointError: where it cannot be read, or names every tensor that is missing, left over, misshapen
            or not finite.
    """
    if checkpoint is None:
        checkpoint = CheckpointLoader.load_checkpoint(source, map_location="cpu", logger="silent")
    state, _ = find_state(checkpoint, source)
    check_detector(detector, {**checkpoint, "state_dict": state}, source)
    detector.load_state_dict(plain_names(state))
    return checkpoint.get("meta") or {}


def check_detector(
    detector: nn.Module, checkpoint: Mapping[str, Any], source: str, other_heads: bool = False
) -> str:
    """Account for every tensor of a checkpoint that is about to be loaded into a detector.

    Args:
        checkpoint: as MMEngine reads it. Saved in a run with an average of the weights (EMA) it holds them
            twice, and both are looked at.
        source: where it is from, for the message.
        other_heads: only the backbone has to fit, for heads of other classes may start at random.

    Returns:
        what does not fit, a line a kind; empty where everything does.

    Raises:
        CheckpointError: names every tensor that is missing, left over, misshapen or not finite.
    """
    own = plain_names(detector.state_dict())
    if own:
        refuse_exported(checkpoint, source)
    states = [checkpoint.get("state_dict", checkpoint)]
    if "ema_state_dict" in checkpoint:
        states.append(checkpoint["ema_state_dict"])
    if not all(map(is_state, states)):
        raise CheckpointError(f"{source} holds no state dict, a mapping of names to tensors")
    found = (what_differs(own, plain_names(state), source, other_heads) for state in states)
    return "\n".join(dict.fromkeys(filter(None, found)))  # of an average mostly the same lines


def refuse_exported(checkpoint: Mapping[str, Any], source: str) -> None:
    """Refuse an ONNX file where weights are needed; `inference.exporting.reading` marks what it reads."""
    if "onnx" in checkpoint:
        raise CheckpointError(
            f"{source} is an exported model, whose weights cannot be taken out again: name the checkpoint "
            f"that it was exported from"
        )


def plain_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names without those of wrappers, and without the average's counter of steps."""
    return {name.removeprefix("module."): tensor for name, tensor in state.items() if name != "steps"}


def what_differs(own: dict[str, Tensor], state: dict[str, Tensor], source: str, other_heads: bool) -> str:
    """`check_detector` for one set of tensors: `own` the detector's, `state` those of the checkpoint."""
    problems, kind = differences(own, state), kind_of(own)
    if not problems:
        return ""
    if any(name.startswith("trunk.") for name in state):
        raise CheckpointError(
            f"{source} is a backbone and no {kind}: name it with model.backbone.init_cfg.type=Pretrained "
            f"and model.backbone.init_cfg.checkpoint={source}{KEEP_THE_HEAD if kind == 'classifier' else ''}"
        )
    if other_heads and not any(is_odd(tensor) or not is_finite(tensor) for tensor in state.values()):
        backbones = ({n: t for n, t in each.items() if n.startswith("backbone.")} for each in (own, state))
        if not differences(*backbones):
            return problems
    raise CheckpointError(f"{source} does not fit this {kind}; nothing was started:\n{problems}")


def kind_of(names: Iterable[str]) -> str:
    """What a network is to its user, by the names of its heads."""
    heads = {name.partition(".")[0] for name in names}
    return "classifier" if "head" in heads else "segmenter" if "decode_head" in heads else "detector"
