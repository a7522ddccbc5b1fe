"""Run a tool in this process as far as a point, to see what it makes of its arguments."""

import argparse
import functools
import runpy
import sys
from contextlib import contextmanager

import pytest
from conftest import ROOT

HELPERS = {
    "clone.py",
    "constraints.py",
    "quick_flags.py",
    "torchrun.py",
}  # what tools, scripts and the Makefile use, not a reader
TOOLS = sorted({path.name for path in (ROOT / "tools").glob("*.py")} - HELPERS)


class ReachedError(Exception):
    """The tool has come to the point that it was to be run to; `args` is what it had there."""


@contextmanager
def stopped(owner: type, function: str, after: bool = False):
    """Raise `ReachedError` where `function` is called, or has returned."""
    original = getattr(owner, function)

    def stop(*args, **kwargs):
        raise ReachedError(original(*args, **kwargs) if after else args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, function, stop)
        yield


def run_tool(tool: str, arguments: list[str]) -> None:
    """What `python tools/TOOL ARGUMENTS` does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [f"tools/{tool}", *arguments])
        patch.syspath_prepend(ROOT / "tools")
        runpy.run_path(str(ROOT / "tools" / tool), run_name="__main__")


@functools.cache
def options_of(tool: str) -> set[str]:
    """The long options that a tool shows, `--help` aside."""
    with (
        stopped(argparse.ArgumentParser, "parse_known_args"),
        pytest.raises((ReachedError, SystemExit)) as reached,
    ):
        run_tool(tool, [])
    if reached.type is SystemExit:  # it takes no arguments at all, and has run
        return set()
    parser = reached.value.args[0][0]
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    return {name for action in shown for name in action.option_strings if name.startswith("--")} - {"--help"}
