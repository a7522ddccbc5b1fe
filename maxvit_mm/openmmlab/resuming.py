"""Which checkpoint a training goes on from: the last whole one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmengine.runner import CheckpointLoader

from ..weights import CheckpointError

POINTER = "last_checkpoint"  # MMEngine's file that names the last one
STATE = {"meta", "state_dict", "message_hub"}  # what MMEngine resumes, and does not look for


def checkpoint_to_resume(work_dir: Path, folder: Path, template: str) -> tuple[str | None, str]:
    """Find the last whole checkpoint of a training.

    MMEngine names the last one in a file of the work directory, after it has written it. A killed training
    may leave a whole one that is not named yet. Another hook than ours, or a copy that was cut short, may
    leave a damaged one that is.

    Args:
        work_dir: where `last_checkpoint` is.
        folder: where the checkpoints are.
        template: their names, such as 'epoch_{}.pth'.

    Returns:
        its path, None where there is none at all; and a line on why it is not the named one, else empty.

    Raises:
        CheckpointError: where there are checkpoints and none is whole.
    """
    pointer = work_dir / POINTER
    text = pointer.read_text(errors="replace").strip("\0 \n") if pointer.is_file() else ""
    if "://" in text:
        return text, ""  # on remote storage, which MMEngine reads
    named = Path(text) if text else None
    problems = [] if named is None or named.is_file() else [f"{pointer} names {named}, which is not there"]
    found = None
    for path in candidates(pointer, named, folder, template):
        problem = why_not(path)
        if problem is None:
            found = path
            break
        problems.append(problem)
    if found is not None:
        if found == named and not problems:
            return str(found), ""
        why = "; ".join(problems) or f"{pointer} names {named or 'none'}"
        return str(found), f"resuming from {found}, the last whole checkpoint: {why}"
    if problems:
        raise CheckpointError(
            f"there is no whole checkpoint in {folder} to resume from ({'; '.join(problems)}); to start from "
            f"the beginning, train without resuming"
        )
    return None, ""


def candidates(pointer: Path, named: Path | None, folder: Path, template: str) -> Iterator[Path]:
    """The checkpoints of a training, the last one first.

    A folder may hold those of an older run as well, of higher numbers: they are older than `pointer`.
    """
    steps = steps_of(folder.iterdir() if folder.is_dir() else (), template)
    written = {path: path.stat().st_mtime_ns for path in steps}
    if named is not None and not named.is_file():
        named = folder / named.name  # the work directory was moved
    step = steps_of([named], template).get(named) if named is not None else None
    if named is not None and named.is_file():
        for path in [path for path in steps if path.samefile(named)]:
            del steps[path]
        if step is None:
            yield named
    if named is None or step is None:  # there is nothing to go by but times
        yield from sorted(steps, key=lambda path: written[path], reverse=True)
        return
    last = pointer.stat().st_mtime_ns
    newer = {path: steps[path] for path in steps if written[path] > last}
    older = {path: steps[path] for path in steps if path not in newer and steps[path] < step}
    if named.is_file():
        newer[named] = step
    for group in (newer, older):
        yield from sorted(group, key=lambda path: group[path], reverse=True)


def steps_of(paths: Iterable[Path], template: str) -> dict[Path, int]:
    """The number of epochs or iterations in the name of each checkpoint; others are left out."""
    pattern = re.compile(r"(\d+)".join(map(re.escape, template.split("{}", 1))))
    found = ((path, pattern.fullmatch(path.name)) for path in paths)
    return {path: int(match[1]) for path, match in found if match}


def why_not(path: Path) -> str | None:
    """Why a training cannot go on from a file."""
    try:
        checkpoint = CheckpointLoader.load_checkpoint(str(path), map_location="cpu", logger="silent")
    except CheckpointError as error:
        return str(error)
    if isinstance(checkpoint, dict) and checkpoint.keys() >= STATE:
        return None
    return f"{path} holds no state of a training"
