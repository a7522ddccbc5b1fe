"""What the commands that use a trained detector share: `[CONFIG] CHECKPOINT ...` on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from ..openmmlab.hardware import is_first_process
from ..openmmlab.shipped_configs import SUFFIXES

CHECKPOINT = "a checkpoint of tools/train.py, which knows its config"


def take_words(args: argparse.Namespace, parser: argparse.ArgumentParser, then: str, most: float) -> None:
    """Split `args.words` into `args.config`, None where none is named, `args.checkpoint` and the other words.

    Args:
        then: what is named after the checkpoint, for the refusal.
        most: how many words may follow the checkpoint. One must, unless it is 0.
    """
    args.config = args.words.pop(0) if is_config(args.words[0]) else None
    if not min(1, most) < len(args.words) <= 1 + most:
        parser.error(f"name a checkpoint{then}")
    args.checkpoint, *args.words = args.words


def is_config(word: str) -> bool:
    """Whether the first word is a config: one of ours may be called by its name alone."""
    return word.endswith(SUFFIXES) or not (Path(word).suffix or Path(word).exists() or "://" in word)


def given(args: argparse.Namespace, names: Collection[str]) -> dict[str, Any]:
    """The options of some names that a user gave."""
    values = {name: getattr(args, name, None) for name in names}
    return {name: value for name, value in values.items() if value is not None and value is not False}


def refuse_options(args: argparse.Namespace, without: Collection[str], task: str) -> None:
    """Refuse options that mean nothing for a task."""
    odd = [f"--{name.replace('_', '-')}" for name in given(args, sorted(without))]
    if odd:
        it = "it" if len(odd) == 1 else "them"
        raise SystemExit(f"the checkpoint is for {task}, which has no {' and no '.join(odd)}: leave {it} out")


def note_differences(differences: Sequence[str], doing: str) -> None:
    """Say what a CONFIG does otherwise than the checkpoint's own."""
    if differences and is_first_process():
        way = f"leave out CONFIG to {doing} as it was trained"
        print("\n  ".join(["note: this is not what the checkpoint was trained with:", *differences, way]))
