"""Our own configs, found by their names from anywhere, in a clone and in an installed package."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

SUFFIXES = (".py", ".json", ".yaml", ".yml")  # of configs, as MMEngine reads them
PACKAGE = Path(__file__).resolve().parents[1]


def folder_of_ours() -> Path:
    """Where our configs are: an installed package carries its own, a clone has them beside it."""
    return next(path for path in (PACKAGE / ".mim/configs", PACKAGE.parent / "configs") if path.is_dir())


def configs_of_ours() -> list[Path]:
    """All that can be run: of detection in the folder itself, of the other tasks in a folder each."""
    folder = folder_of_ours()
    return sorted([*folder.glob("*.py"), *folder.glob("[a-z]*/*.py")])


def find_config(name: str) -> Path:
    """A config by its path, or one of ours by its name, from any working directory.

    Raises:
        SystemExit: where there is none; names the nearest of ours.
    """
    if Path(name).is_file():
        if Path(name).suffix not in SUFFIXES:
            raise SystemExit(f"{name} is no config, whose name ends in {', '.join(SUFFIXES)}")
        return Path(name)
    ours = {path.stem: path for path in configs_of_ours()}
    folders = {
        Path(),
        *(Path("configs", path.relative_to(folder_of_ours()).parent) for path in ours.values()),
    }
    if Path(name).parent not in folders:
        raise SystemExit(f"there is no config {name}")
    if Path(name).with_suffix("").name in ours:
        return ours[Path(name).with_suffix("").name]
    alike = ", ".join(get_close_matches(Path(name).stem, ours, n=4))
    raise SystemExit(f"there is no config {name}; nearest of ours: {alike or ', '.join(ours)}")
