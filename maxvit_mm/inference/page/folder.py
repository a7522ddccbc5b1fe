"""The folder of a page's files: uploads and what visitors are given, of bounded size, gone at the end."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from threading import Lock
from uuid import uuid4

BLOCK = 4096  # bytes of a disk that a file takes at least, however small it is


class Folder:
    """Files that come and go.

    Args:
        path: of the folder.
        most: bytes of all files, each counted as a block at least. Beyond them the oldest are deleted.
    """

    def __init__(self, path: Path, most: int):
        self.path, self.most = path.resolve(), most
        self.lock = Lock()
        self.kept: set[Path] = set()

    def keep(self) -> None:
        """What is there now stays."""
        self.kept = set(self.files())

    def new(self) -> Path:
        """A new folder in it, whose name nobody can guess."""
        self.tidy()
        folder = self.path / uuid4().hex
        folder.mkdir()
        return folder

    def tidy(self) -> None:
        """Delete the oldest files until the others fit."""
        with self.lock:
            sizes = {}
            for file in self.files():
                if file not in self.kept:
                    try:
                        stat = file.stat()
                    except FileNotFoundError:  # Gradio deletes old files as well
                        continue
                    sizes[file] = (stat.st_mtime, max(stat.st_size, BLOCK))
            total = sum(size for _, size in sizes.values())
            for file in sorted(sizes, key=lambda each: sizes[each]):
                if total <= self.most:
                    break
                file.unlink(missing_ok=True)
                with suppress(OSError):
                    file.parent.rmdir()  # where it was the last in it
                total -= sizes[file][1]

    def files(self) -> list[Path]:
        return [path for path in self.path.rglob("*") if path.is_file()]
