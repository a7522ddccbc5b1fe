"""The official checkpoints: TensorFlow 1 `Saver` V2 files, read with TensorFlow's own reader."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from .checkpoint import CheckpointError
from .loading import shorten
from .translation import BLOCK, COUNTER, MODULES, TENSORS, Line, Translation, identity

TITLE = "TensorFlow, google-research/maxvit"
SIGN = r"maxvit/block_00_00/.+"

AVERAGED = "/ExponentialMovingAverage"
STATISTICS = ("/moving_mean", "/moving_variance")
# What a training checkpoint holds beside its variables: a slot of the optimiser is `<variable>/<slot>`.
SLOT = r"(.+)/(Adam|Adam_1|AdamW|AdamW_1|Momentum|RMSProp|RMSProp_1|adam_m|adam_v|m|v)"
NO_WEIGHTS = r"global_step|(beta[12]_power|save_counter|learning_rate)(_\d+)?"

PART = r"\.(index|data-\d{5}-of-\d{5}|meta)$"  # the end of a file's name; the rest is the prefix

THEIR_BLOCK = "maxvit/block_{i:02d}_{j:02d}"
NAMES = {
    "trunk.stem.conv1": "maxvit/stem/conv_0",
    "trunk.stem.norm": "maxvit/stem/norm_0",
    "trunk.stem.conv2": "maxvit/stem/conv_1",
    f"{BLOCK}.mbconv.pre_norm": f"{THEIR_BLOCK}/mbconv/pre_norm",
    f"{BLOCK}.mbconv.expand": f"{THEIR_BLOCK}/mbconv/expand_conv",
    f"{BLOCK}.mbconv.norm1": f"{THEIR_BLOCK}/mbconv/expand_norm",
    f"{BLOCK}.mbconv.depthwise": f"{THEIR_BLOCK}/mbconv/depthwise_conv",
    f"{BLOCK}.mbconv.norm2": f"{THEIR_BLOCK}/mbconv/depthwise_norm",
    f"{BLOCK}.mbconv.se.reduce": f"{THEIR_BLOCK}/mbconv/se/reduce_conv2d",
    f"{BLOCK}.mbconv.se.expand": f"{THEIR_BLOCK}/mbconv/se/expand_conv2d",
    f"{BLOCK}.mbconv.shrink": f"{THEIR_BLOCK}/mbconv/shrink_conv",
    f"{BLOCK}.mbconv.shortcut": f"{THEIR_BLOCK}/mbconv/shortcut_conv",
    **{
        f"{BLOCK}.{partition}_attention.{ours}": f"{THEIR_BLOCK}/{theirs}"
        for partition, number in (("block", ""), ("grid", "_1"))
        for ours, theirs in {
            "norm1": f"attn_layer_norm{number}",
            "attention": f"attention{number}",
            "attention.qkv": f"attention{number}",
            "attention.out": f"attention{number}/o",
            "norm2": f"ffn_layer_norm{number}",
            "ffn.0": f"ffn{number}/expand_dense",
            "ffn.2": f"ffn{number}/shrink_dense",
        }.items()
    },
    "head.norm": "maxvit/final_layer_norm",
    "head.pre_logits": "maxvit/cls_head/inner_dense",
    "head.logits": "maxvit/cls_head/logit_dense",
}


def layout(pattern: str) -> Any:
    return lambda tensor: rearrange(tensor, pattern)


def join(pattern: str) -> Any:
    """q, k and v above one another."""
    return lambda *tensors: rearrange(list(tensors), pattern)


CONV = layout("h w inputs outputs -> outputs inputs h w")
LINEAR = layout("inputs outputs -> outputs inputs")
# kind of module, tensor of ours -> tensors of theirs, and how they become ours
LAYOUTS: dict[tuple[str, str], tuple[tuple[str, ...], Any]] = {
    ("conv", "weight"): (("kernel",), CONV),
    ("conv without bias", "weight"): (("kernel",), CONV),
    ("depthwise", "weight"): (("depthwise_kernel",), layout("h w c one -> c one h w")),
    ("batch norm", "weight"): (("gamma",), identity),
    ("batch norm", "bias"): (("beta",), identity),
    ("batch norm", "running_mean"): (("moving_mean",), identity),
    ("batch norm", "running_var"): (("moving_variance",), identity),
    ("layer norm", "weight"): (("gamma",), identity),
    ("layer norm", "bias"): (("beta",), identity),
    ("linear", "weight"): (("weight",), LINEAR),
    ("qkv", "weight"): (
        ("q/weight", "k/weight", "v/weight"),
        join("qkv inputs heads d -> (qkv heads d) inputs"),
    ),
    ("qkv", "bias"): (("q/bias", "k/bias", "v/bias"), join("qkv heads d -> (qkv heads d)")),
    ("out", "weight"): (("weight",), layout("heads d outputs -> outputs (heads d)")),
    ("table", "relative_position_bias_table"): (("relative_bias",), identity),
}
UNCHANGED = (("bias",), identity)


def all_lines() -> list[Line]:
    lines = []
    for ours, theirs in NAMES.items():
        for tensor in TENSORS[MODULES[ours]]:
            if tensor != COUNTER:  # which TensorFlow does not keep
                names, read = LAYOUTS.get((MODULES[ours], tensor), UNCHANGED)
                lines.append(Line(f"{ours}.{tensor}", tuple(f"{theirs}/{name}" for name in names), read))
    return lines


TRANSLATION = Translation(all_lines())


def is_checkpoint(path: Path) -> bool:
    """Whether a path is a checkpoint of TensorFlow's, or a folder that could hold one."""
    return path.is_dir() or bool(re.search(PART, path.name)) or bool(shards(path))


def shards(prefix: Path) -> list[Path]:
    """The files of a checkpoint: its index and its data."""
    if not prefix.parent.is_dir():
        return []
    name = re.escape(prefix.name) + r"\.(index|data-\d{5}-of-\d{5})"
    return sorted(path for path in prefix.parent.iterdir() if re.fullmatch(name, path.name))


def find_prefix(path: Path) -> Path:
    """The prefix that a folder, an .index or .data file, or a prefix itself stands for.

    Raises:
        CheckpointError: where there is none, or a folder holds several and does not say which is newest.
    """
    if not path.is_dir():
        return path.with_name(re.sub(PART, "", path.name))
    prefixes = sorted(index.with_suffix("") for index in path.glob("*.index"))
    if len(prefixes) > 1:
        newest = re.search(r'^model_checkpoint_path: "(.+)"', text_of(path / "checkpoint"), re.MULTILINE)
        prefixes = [
            prefix for prefix in prefixes if newest and prefix.name == Path(newest[1]).name
        ] or prefixes
    if not prefixes:
        raise CheckpointError(
            f"{path} is a folder without a TensorFlow checkpoint (no .index file): name a checkpoint file, "
            f"or the folder that holds the .index and .data files"
        )
    if len(prefixes) > 1:
        raise CheckpointError(f"{path} holds {len(prefixes)} checkpoints; name one: {prefixes[0]}.index, ...")
    return prefixes[0]


def text_of(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


def read(prefix: Path) -> tuple[dict[str, Tensor], str]:
    """The weights of a checkpoint by their raw names, and in words which of its variables they are.

    Raises:
        CheckpointError: where files are missing or damaged, variables are averaged in part, or TensorFlow is
            not installed.
    """
    files = shards(prefix)
    if not any(file.suffix == ".index" for file in files):
        raise CheckpointError(
            f"{prefix}.index is missing: a TensorFlow checkpoint is its .index and .data files"
        )
    if len(files) < 2:
        raise CheckpointError(f"{prefix}.data-00000-of-00001 is missing: download it beside the .index file")
    load_checkpoint = import_reader()
    try:
        reader = load_checkpoint(str(prefix))
        chosen, note = choose(reader.get_variable_to_shape_map())
        arrays = {name: reader.get_tensor(stored) for name, stored in chosen.items()}
    except CheckpointError:
        raise
    except Exception as error:  # TensorFlow's are of many kinds, and some are RuntimeError
        raise CheckpointError(
            f"{prefix} is damaged ({str(error).splitlines()[0]}): get its .index and .data files again"
        ) from error
    kinds = {name: getattr(array, "dtype", type(array)) for name, array in arrays.items()}
    odd = [
        f"{name} ({kind})" for name, kind in kinds.items() if kind not in ("float32", "float64", "float16")
    ]
    if odd:
        raise CheckpointError(
            f"{prefix}: variables that are not of floating-point numbers: {shorten(odd, 3)}"
        )
    return {name: torch.tensor(array) for name, array in arrays.items()}, note


def import_reader() -> Any:
    # It reports on GPUs and on oneDNN, neither of which reading has a use for.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    try:
        from tensorflow.train import load_checkpoint
    except ImportError as error:
        raise CheckpointError(
            "this is a TensorFlow checkpoint, and reading it needs TensorFlow: `pip install tensorflow-cpu` "
            f"(here: {error})"
        ) from error
    return load_checkpoint


def choose(stored: Iterable[str]) -> tuple[dict[str, str], str]:
    """The weights among the variables of a training checkpoint: raw name -> the name to read it from.

    A moving average is taken before the raw variable; the statistics of BatchNorm are averages themselves, so
    of these the raw one does where there is no other. Slots of the optimiser, the step and its like are left
    out; any other name stays, for the translation to refuse it.

    Returns:
        the names, and in words what was taken.

    Raises:
        CheckpointError: where some variables have a moving average and others have none.
    """
    stored = set(stored)
    averaged = {name.removesuffix(AVERAGED): name for name in stored if name.endswith(AVERAGED)}
    raw = {name for name in stored if not name.endswith(AVERAGED) and not is_of_the_optimiser(name, stored)}
    only_raw = sorted(raw - averaged.keys())
    without = [name for name in only_raw if not name.endswith(STATISTICS)]
    if averaged and without:
        raise CheckpointError(
            f"{len(averaged)} variables have a moving average and {len(without)} have none: "
            f"{shorten(without, 3)}; weights of both kinds make no network"
        )
    counts = {
        "moving averages": len(averaged),
        "raw variables": len(only_raw),
        "left out: raw ones with an average, slots of the optimiser, steps": len(stored)
        - len(averaged)
        - len(only_raw),
    }
    chosen = {name: name for name in only_raw} | averaged
    return chosen, ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def is_of_the_optimiser(name: str, stored: set[str]) -> bool:
    if re.fullmatch(NO_WEIGHTS, name):
        return True
    slot = re.fullmatch(SLOT, name)
    return slot is not None and (slot[1] in stored or slot[1] + AVERAGED in stored)
