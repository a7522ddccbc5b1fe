"""The kernels in Triton are compiled for GPUs without one, and need no more registers than there are."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from maxvit_mm.fast.gpu import launch

triton = pytest.importorskip("triton", "3.6", reason="kernels need Triton 3.6, which is for Linux")

CODE = Path(__file__).with_name("compile_kernels.py")
PINNED = "3.7.1"  # the Triton of tools/pins.txt; others need another number of registers
# Bytes that a thread puts into memory for want of registers, of the kernels that do: before their loops or
# behind.
SPILLED = {
    "many_tokens.forward bf16 sm_80": 32,
    "many_tokens.forward bf16 sm_90": 40,
    "many_tokens.backward_of_queries bf16 sm_80": 32,
    "many_tokens.backward_of_queries bf16 sm_90": 16,
    "many_tokens.forward fp32 sm_90": 16,
    "many_tokens.forward bf16 sm_120": 64,
    "many_tokens.backward_of_queries tf32 fp32 sm_90": 16,
    "depthwise_backward.backward erf 2 bf16 sm_90": 8,
}


@pytest.fixture(scope="module")
def compiled():
    """By kernel, precision and architecture, the bytes of a thread's stack: a process's, which compiles."""
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    done = subprocess.run([sys.executable, CODE], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_every_kernel_compiles_for_all_architectures(compiled):
    kernels = {name.split()[0] for name in compiled}
    assert kernels == written_kernels()
    assert {name.rsplit(" ", 1)[1] for name in compiled} == {"sm_80", "sm_90", "sm_120"}


def written_kernels():
    """Those that `launch` starts, by file and name."""
    folder = Path(launch.__file__).parent
    texts = [file.read_text() for file in folder.glob("*.py")]
    found = {match for text in texts for match in re.findall(r"start\(\s*(\w+\.\w+)", text)}
    return {name.replace("of_table_kernels", "of_table") for name in found}


@pytest.mark.skipif(triton.__version__ != PINNED, reason=f"written down of Triton {PINNED}")
def test_no_kernel_spills_more_than_is_written_down(compiled):
    more = {name: size for name, size in compiled.items() if size > SPILLED.get(name, 0)}
    assert not more
