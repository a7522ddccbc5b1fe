"""Files that are whole or not there: written beside their place, and moved into it."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from .checkpoint import CheckpointError

DRAFT = re.compile(r"\.(.+)\.[^.]{8}\.draft")  # the name of a draft, and in it that of its file


@contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """A new file beside `path`, to be written; at the end, if nothing was raised, it takes `path`'s place.

    Raises:
        CheckpointError: where it cannot be written; what was there before is still there.
    """
    path = path.resolve()  # a link stays a link
    draft = None
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".draft")
        draft = Path(name)
        os.close(descriptor)
        yield draft
        draft.chmod(0o666 & ~current_umask())  # a temporary file is its owner's alone
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    except (OSError, RuntimeError, SafetensorError) as error:  # PyTorch's of a full disk is no OSError
        said = str(error).splitlines() or [type(error).__name__]
        raise CheckpointError(f"{path} could not be written (is the disk full?): {said[0]}") from error
    finally:
        if draft is not None:
            draft.unlink(missing_ok=True)


def current_umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def drafts_in(folder: Path) -> dict[Path, str]:
    """The drafts that killed processes left in a folder, each with the name of the file it was to be."""
    found = ((path, DRAFT.fullmatch(path.name)) for path in folder.glob(".*.draft"))
    return {path: match[1] for path, match in found if match}
