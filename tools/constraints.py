"""Print what holds pip: the pins, less what the user chose.

    python tools/constraints.py                    # beside what a user's environment has
    python tools/constraints.py ours               # in an environment of the clone
    python tools/constraints.py ours OTHER.txt     # in one that is for other versions, which OTHER.txt lists

A torch that is there stays to the letter of its version. Where it is not the pinned one, or where the
environment is the user's, what else is there stays too, as long as setup.py allows it; and torchvision is
the one for that torch, which pip finds out. In an environment for other versions nothing stays but a build of
the torch that is listed.
"""

import sys
from importlib.metadata import distributions
from pathlib import Path


def lines(path: Path) -> "list[str]":
    return [line for line in path.read_text().splitlines() if not line.startswith("#")]


def name_of(pin: str) -> str:
    return pin.partition("==")[0]


is_ours, *others = sys.argv[1:] or [""]
other = [pin for path in others for pin in lines(Path(path))]
replaced = {name_of(pin) for pin in other}
pins = [pin for pin in lines(Path(__file__).with_name("pins.txt")) if name_of(pin) not in replaced] + other
found = [(package.metadata["Name"], package.version) for package in distributions()]
there = {name.lower().replace("_", "-"): version for name, version in reversed(found) if name}
torch = there.get("torch")
is_pinned = torch is None or f"torch=={torch.partition('+')[0]}" in pins
if other and not is_pinned:
    torch, is_pinned = None, True
kept = there.keys() & ({"torch"} if torch else set()) if is_ours and is_pinned else there.keys()
kept |= set() if is_pinned else {"torchvision"}
print("\n".join([f"torch=={torch}"] * bool(torch) + [pin for pin in pins if name_of(pin) not in kept]))
