"""Compile the kernels in Triton without a GPU: prints as JSON the bytes of stack of a thread of each."""

import json
import re
import subprocess
import tempfile
from pathlib import Path

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from maxvit_mm.fast.gpu.kernels import (
    depthwise,
    depthwise_backward,
    few_tokens,
    gate,
    many_tokens,
    of_table,
)
from maxvit_mm.fast.gpu.launch import attention as launch
from maxvit_mm.fast.gpu.launch import narrow as of_training
from maxvit_mm.fast.gpu.launch.depthwise import OPTIONS as depthwise_options  # noqa: N811

CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
OF_A_NORM = "mean", "variance", "weight", "bias", "scale", "shift"
STATISTICS = {f"{name}{i}" for name in OF_A_NORM for i in ("", 1, 2)}
STATISTICS |= {"factor", "constant", "per_x", "per_z", "per_one"}
IN_FP32 = {"table", "lse", "delta", "partial", "of_bias", "sums", *STATISTICS}
PLACES = {"qkv", "out", "of_out", "of_qkv", "x", "y", "z", "g", "of_y", *IN_FP32}
TYPES = {"eps1": "fp32", "eps2": "fp32"}


def stack(kernel, precision, options, architecture, fp32=IN_FP32):
    """The bytes of a thread's stack, for which there is no other use than spilled registers."""
    constants = {name: options.pop(name) for name in kernel.arg_names if name in options}
    signature, attributes = {}, {}
    for place, name in enumerate(kernel.arg_names):
        if name in PLACES:
            signature[name] = "*fp32" if name in fp32 else f"*{precision}"
            attributes[(place,)] = [["tt.divisibility", 16]]
        else:
            signature[name] = "constexpr" if name in constants else TYPES.get(name, "i32")
            if name == "channels":
                attributes[(place,)] = [["tt.divisibility", 16]]
    source = ASTSource(
        kernel,
        signature,
        {(kernel.arg_names.index(name),): value for name, value in constants.items()},
        attributes,
    )
    built = triton.compile(source, target=GPUTarget("cuda", architecture, 32), options=options)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(built.asm["cubin"])
        file.flush()
        used = subprocess.run(
            [CUOBJDUMP, "-res-usage", file.name], capture_output=True, text=True, check=True
        )
    found = re.search(r"STACK:(\d+) SHARED:\d+ LOCAL:(\d+)", used.stdout)
    return int(found[1]) + int(found[2])


def attention_kernels():
    """Each with a precision and what it is built with, as `launch` does."""
    for precision, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        x = torch.empty(0, dtype=dtype)
        for name, extra in (("forward", {}), ("backward", dict(OF_TABLE=True))):
            options = launch.few_options(x, name, 7, 7)
            del options["per_sm"]
            yield f"few_tokens.{name}", getattr(few_tokens, name), precision, {**options, **extra}
        for name in ("forward", "backward_of_queries", "backward_of_keys"):
            options = launch.many_options(x, name, 28, 28)
            yield f"many_tokens.{name}", getattr(many_tokens, name), precision, options
        options = launch.many_options(x, "of_bias", 28, 28)
        yield "of_table.of_bias", of_table.of_bias, precision, options
    options = dict(COLUMNS=8, LANES=64, ENTRIES=launch.ENTRIES)
    yield "of_table.of_table", of_table.of_table, "fp32", options


def narrow_kernels():
    """The same of an MBConv's middle, with norms and with them folded, and with a backward pass to come."""
    for stride, options in depthwise_options.items():
        flags = dict(TANH=True, STRIDE=stride)
        for kind, of_norms in (
            ("normed", dict(NORMED=True, BIASED=False, WHOLE=True)),
            ("deployed", dict(NORMED=False, BIASED=True, WHOLE=True)),
            ("half", dict(NORMED=True, BIASED=False, WHOLE=False)),
        ):
            yield f"depthwise.forward {kind} {stride}", depthwise.forward, {**options, **flags, **of_norms}
        yield f"depthwise_backward.backward {stride}", depthwise_backward.backward, {**options, **flags}
    for name in ("sum_of_gelu", "gated", "backward", "through_norm"):
        kernel = getattr(gate, name)
        options = dict(of_training.TILE, **({"TANH": True} if "TANH" in kernel.arg_names else {}))
        yield f"gate.{name}", kernel, options


if __name__ == "__main__":
    found = {}
    in_bf16 = [(name, kernel, "bf16", options) for name, kernel, options in narrow_kernels()]
    for name, kernel, precision, options in [*attention_kernels(), *in_bf16]:
        if "PRECISION" in kernel.arg_names:
            options["PRECISION"] = "ieee"
        for architecture in (80, 90) if precision == "bf16" else (90,):
            key = f"{name} {precision} sm_{architecture}"
            found[key] = stack(kernel, precision, dict(options), architecture)
    print(json.dumps(found))
