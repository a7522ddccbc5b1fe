"""Print what holds pip: the pins, less what the user chose. `ours`: the environment is not the user's.

A torch that is there stays to the letter of its version. Where it is not the pinned one, or where the
environment is the user's, what else is there stays too, as long as setup.py allows it.
"""

import sys
from importlib.metadata import distributions
from pathlib import Path

pins = Path(__file__).with_name("pins.txt").read_text().splitlines()
found = [(package.metadata["Name"], package.version) for package in distributions()]
there = {name.lower().replace("_", "-"): version for name, version in reversed(found) if name}
torch = there.get("torch")
ours = sys.argv[1:] == ["ours"] and (torch is None or f"torch=={torch.partition('+')[0]}" in pins)
kept = there.keys() & {"torch"} if ours else there.keys()
print("\n".join([f"torch=={torch}"] * bool(torch) + [pin for pin in pins if pin.split("==")[0] not in kept]))
