"""What earlier checks found, so that the next one of an unchanged folder takes seconds.

One file for each annotation file, and each folder of label images, in the user's cache. It is only ever a
shortcut: what is not remembered, or was found by other checks than these, is looked at again.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from filelock import FileLock

from .images_on_disk import Seen, Stamp

What = TypeVar("What", bound=tuple)


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/maxvit_mm`, else `~/.cache/maxvit_mm`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "maxvit_mm"


def version_of_checks() -> str:
    """Changes with every line of this room, so that new checks look again."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


@contextmanager
def one_at_a_time(subject: Path) -> Iterator[None]:
    """The first of several processes looks, the others then find what it remembered."""
    lock = None
    with suppress(OSError):
        cache_folder().mkdir(parents=True, exist_ok=True)
        lock = FileLock(remembered_in(subject).with_suffix(".lock"))
        lock.acquire()
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def remembered_in(subject: Path, part: str = "") -> Path:
    name = hashlib.sha256(f"{subject.resolve()}{part}".encode()).hexdigest()[:24]
    return cache_folder() / f"{name}.json"


class Memory(Generic[What]):
    """What is remembered of one annotation file, or folder, and of the images that it names or holds.

    Args:
        about: what else the findings depend on.
        part: tells several memories of one subject apart.
        what: is seen of an image.
    """

    def __init__(self, subject: Path, *about: Any, part: str = "", what: Any = Seen):
        stat = subject.stat()
        self.key = json.dumps([version_of_checks(), stat.st_size, stat.st_mtime_ns, *map(str, about)])
        self.file = remembered_in(subject, part)
        self.what = what
        self.content: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            content = json.loads(self.file.read_text(encoding="utf-8"))
            if isinstance(content, dict) and content.get("version") == version_of_checks():
                self.content = content

    def findings(self) -> dict[str, Any] | None:
        """What a check without a problem found, if the annotation file and `about` are what they were."""
        return self.content.get("findings") if self.content.get("key") == self.key else None

    def images(self, folder: Path, decoder: Sequence[Any], now: dict[str, Stamp]) -> dict[str, What]:
        """What was seen of images whose stamps are what they were."""
        if self.content.get("folder") != [str(folder), *decoder]:
            return {}
        before = self.content.get("images", {})
        return {
            name: self.what(*before[name][2:])
            for name, stamp in now.items()
            if name in before and before[name][:2] == list(stamp)
        }

    def keep(
        self,
        folder: Path,
        decoder: Sequence[Any],
        now: dict[str, Stamp],
        seen: dict[str, What],
        findings: dict[str, Any] | None,
    ) -> None:
        """Write it down, whole or not at all; a disk that takes nothing only costs the next run time."""
        content = {
            "version": version_of_checks(),
            "folder": [str(folder), *decoder],
            "images": {name: [*now[name], *seen[name]] for name in seen},
        }
        if findings is not None:
            content |= {"key": self.key, "findings": findings}
        with suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            descriptor, draft = tempfile.mkstemp(dir=self.file.parent, prefix=f".{self.file.name}.")
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    json.dump(content, file)
                Path(draft).replace(self.file)
            finally:
                Path(draft).unlink(missing_ok=True)
