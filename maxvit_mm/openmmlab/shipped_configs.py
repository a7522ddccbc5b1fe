"""Our own configs, found by their names from anywhere, in a clone and in an installed package."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def folder_of_ours() -> Path:
    """Where our configs are: an installed package carries its own, a clone has them beside it."""
    return next(path for path in (PACKAGE / ".mim/configs", PACKAGE.parent / "configs") if path.is_dir())


def find_config(name: str) -> Path:
    """A config by its path, or one of ours by its name, from any working directory.

    Raises:
        SystemExit: where there is none; names the nearest of ours.
    """
    if Path(name).is_file():
        return Path(name)
    if Path(name).parent not in (Path(), Path("configs")):
        raise SystemExit(f"there is no config {name}")
    folder = folder_of_ours()
    path = (folder / Path(name).name).with_suffix(".py")
    if path.is_file():
        return path
    ours = sorted(path.stem for path in folder.glob("*.py"))
    alike = ", ".join(get_close_matches(Path(name).stem, ours, n=4))
    raise SystemExit(f"there is no config {name}; nearest of ours: {alike or ', '.join(ours)}")
