"""Print CFLAGS with which gcc compiles mmcv's ops in a fifth of the time: python tools/quick_flags.py FOLDER

They are for tests, which need no fast ops: CFLAGS take the place of Python's own, -g -O3. And every file of
mmcv includes the same headers of PyTorch, which keep gcc busy longer than all the rest: they are compiled
once, into FOLDER. gcc takes them for the very flags that they were compiled with, else it reads the headers.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

from torch._C import _GLIBCXX_USE_CXX11_ABI
from torch.utils.cpp_extension import include_paths

flags = ["-g0", "-O1"]
compiler = os.environ.get("CXX", "c++")
header = Path(sys.argv[1], "torch_types.h").absolute()
header.parent.mkdir(parents=True, exist_ok=True)
header.write_text("#include <torch/types.h>\n")
added = [
    *shlex.split(sysconfig.get_config_var("CCSHARED") or ""),
    *("-std=c++17", f"-D_GLIBCXX_USE_CXX11_ABI={_GLIBCXX_USE_CXX11_ABI:d}"),
    *(f"-I{path}" for path in include_paths()),
]
version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
if "Free Software Foundation" in version:
    precompile = [compiler, "-x", "c++-header", *flags, *added, header, "-o", f"{header}.gch"]
    subprocess.run(precompile, check=True)
    flags += ["-include", str(header)]
print(shlex.join(flags))
