"""How a command ends that cannot go on: in one sentence, said by one process."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import TypeVar

from ..data.folder import DataError
from ..openmmlab.config_checks import has_checkpoint
from ..openmmlab.hardware import is_first_process
from ..weights import CheckpointError

PATIENCE = 15  # seconds
Result = TypeVar("Result")


def said_once(command: Callable[..., Result]) -> Callable[..., Result]:
    """A command that, run in several processes, refuses in the words of the first alone.

    The others wait for the launcher to end them with it. Where it does not, the reason was theirs alone.
    """

    @wraps(command)
    def quietly(argv: Sequence[str] | None = None) -> Result:
        try:
            return command(argv)
        except SystemExit as stop:
            if stop.code and not is_first_process():
                time.sleep(PATIENCE)
            raise

    return quietly


@contextmanager
def clear_refusals(work_dir: str | None = None) -> Iterator[None]:
    """End with a message, instead of a traceback, on what is the user's to mend.

    Args:
        work_dir: of the training that runs within, if one does.
    """
    try:
        yield
    except (DataError, CheckpointError) as error:
        raise SystemExit(str(error)) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise SystemExit(way_on(f"the disk is full ({error}): make room", work_dir)) from error
    except KeyboardInterrupt:
        raise SystemExit(way_on("interrupted", work_dir)) from None


def way_on(what: str, work_dir: str | None) -> str:
    """What has happened, and how a training that it stopped goes on."""
    if work_dir is None:
        return what
    if has_checkpoint(work_dir):
        return f"{what}; the checkpoints are whole: --resume --work-dir {work_dir} goes on from the last one"
    return f"{what} before the first checkpoint was written: start again, without --resume"
