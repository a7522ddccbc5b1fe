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
    excitation,
    few_tokens,
    ffn,
    gate,
    many_tokens,
    of_table,
    product,
    residual,
    statistics,
)
from maxvit_mm.fast.gpu.launch import attention as launch
from maxvit_mm.fast.gpu.launch import excitation as of_gate
from maxvit_mm.fast.gpu.launch import ffn as of_ffn
from maxvit_mm.fast.gpu.launch import narrow as of_training
from maxvit_mm.fast.gpu.launch import product as of_product
from maxvit_mm.fast.gpu.launch import residual as of_sums
from maxvit_mm.fast.gpu.launch import statistics as of_statistics
from maxvit_mm.fast.gpu.launch.depthwise import OPTIONS as depthwise_options  # noqa: N811

CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
SHARED = 99 << 10  # bytes that a program has together, on the GPUs of the kernels that have least
OF_A_NORM = "mean", "variance", "weight", "bias", "scale", "shift"
STATISTICS = {f"{of}{name}{i}" for of in ("", "of_") for name in OF_A_NORM for i in ("", 1, 2)}
STATISTICS |= {"factor", "constant", "per_x", "per_z", "per_one", "by_y", "by_one", "inverse", "found"}
STATISTICS |= {"running_mean", "running_variance", "norm_mean", "of_norm_weight", "of_norm_bias"}
STATISTICS |= {"by_scatter", "product", "constants", "of_bias"}
IN_FP32 = {"table", "lse", "delta", "partial", "sums", "r", "of_r", "of_taps", *STATISTICS}
MAPS = {"qkv", "out", "of_out", "of_qkv", "x", "y", "z", "g", "of_y", "of_x", "hidden", "gradient"}
MAPS |= {"branch", "keep", "total", "of_total", "of_branch", "n", "scaled", "through"}
PLACES = {*MAPS, *IN_FP32}
TYPES = dict.fromkeys(("eps", "eps1", "eps2", "momentum", "kept", "values"), "fp32") | {"batches": "*i64"}


def stack(kernel, precision, options, architecture, fp32=IN_FP32):
    """The bytes of a thread's stack, for which there is no other use than spilled registers."""
    constants = {name: options.pop(name) for name in kernel.arg_names if name in options}
    signature, attributes = {}, {}
    for place, name in enumerate(kernel.arg_names):
        if name in PLACES:
            signature[name] = "*fp32" if name in fp32 else f"*{precision}"
            attributes[(place,)] = [["tt.divisibility", 16]]
        else:
            number = "fp32" if name == "share" and kernel.fn.__module__.endswith("excitation") else "i32"
            signature[name] = "constexpr" if name in constants else TYPES.get(name, number)
            if name == "channels":
                attributes[(place,)] = [["tt.divisibility", 16]]
    source = ASTSource(
        kernel,
        signature,
        {(kernel.arg_names.index(name),): value for name, value in constants.items()},
        attributes,
    )
    built = triton.compile(source, target=GPUTarget("cuda", architecture, 32), options=options)
    assert built.metadata.shared <= SHARED, (
        kernel.fn.__name__,
        precision,
        architecture,
        built.metadata.shared,
    )
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(built.asm["cubin"])
        file.flush()
        used = subprocess.run(
            [CUOBJDUMP, "-res-usage", file.name], capture_output=True, text=True, check=True
        )
    found = re.search(r"STACK:(\d+) SHARED:\d+ LOCAL:(\d+)", used.stdout)
    return int(found[1]) + int(found[2])


def attention_kernels():
    """Each with a precision and what it is built with, as `launch` does; products as exact as asked for."""
    for precision, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        x = torch.empty(0, dtype=dtype)
        for exact in ("ieee",) if precision == "bf16" else ("ieee", "tf32"):
            kind = "" if exact == "ieee" else f" {exact}"
            for name, of_table_too in (("forward", None), ("backward", True), ("backward", False)):
                options = dict(launch.few_options(x, name, 7, 7), PRECISION=exact)
                del options["per_sm"]
                if of_table_too is not None:
                    options["OF_TABLE"] = of_table_too
                without = " without table" if of_table_too is False else ""
                yield f"few_tokens.{name}{without}{kind}", getattr(few_tokens, name), precision, options
            for name in ("forward", "backward_of_queries", "backward_of_keys"):
                options = dict(launch.many_options(x, name, 28, 28), PRECISION=exact)
                yield f"many_tokens.{name}{kind}", getattr(many_tokens, name), precision, options
            options = dict(launch.many_options(x, "of_bias", 28, 28), PRECISION=exact)
            yield f"of_table.of_bias{kind}", of_table.of_bias, precision, options
    options = dict(COLUMNS=8, LANES=64, ENTRIES=launch.ENTRIES)
    yield "of_table.of_table", of_table.of_table, "fp32", options


def narrow_kernels():
    """The same of an MBConv's middle, with norms and with them folded, and with a backward pass to come."""
    for stride, options in depthwise_options.items():
        for kind, of_norms in (
            ("normed", dict(NORMED=True, BIASED=False, WHOLE=True)),
            ("deployed", dict(NORMED=False, BIASED=True, WHOLE=True)),
            ("half", dict(NORMED=True, BIASED=False, WHOLE=False)),
            ("half erf", dict(NORMED=True, BIASED=False, WHOLE=False)),
        ):
            given = dict(options, **of_norms, STRIDE=stride, TANH="erf" not in kind)
            yield f"depthwise.forward {kind} {stride}", depthwise.forward, given
        for kind in ("", "erf "):
            given = dict(options, STRIDE=stride, TANH=kind != "erf ")
            yield f"depthwise_backward.backward {kind}{stride}", depthwise_backward.backward, given
    for name in ("sum_of_gelu", "gated", "backward"):
        for tanh in (True, False):
            options = dict(of_training.TILE, TANH=tanh)
            yield f"gate.{name}{'' if tanh else ' erf'}", getattr(gate, name), options


def small_kernels():
    """Of what is of channels and images alone, of sums with their norms, and of the FFN."""
    options, exact = dict(TOKENS=of_product.TOKENS), dict(PRECISION=product.EXACT.value)
    yield "product.scatter", product.scatter, of_product.SCATTER[False] | options | exact
    yield "product.statistics", product.statistics, of_product.OF_PRODUCT | options
    yield "product.of_n", product.of_n, of_product.OF_N[False] | exact
    for of_batch in (True, False):
        options, kind = dict(of_statistics.COMBINED), "" if of_batch else " frozen"
        options |= dict(OF_BATCH=of_batch, COUNTS=True)
        yield f"statistics.at_statistics{kind}", statistics.at_statistics, options
        options = dict(of_statistics.OF_NORM, OF_BATCH=of_batch)
        yield f"statistics.of_first_norm{kind}", statistics.of_first_norm, options
        yield f"excitation.back{kind}", excitation.back, dict(of_gate.TILE, OF_BATCH=of_batch)
        yield f"product.back{kind}", product.back, dict(of_product.BACK, OF_BATCH=of_batch)
        yield f"product.of_weight{kind}", product.of_weight, dict(of_product.OF_WEIGHT, OF_BATCH=of_batch)
    for name in ("squeeze", "excite", "back_to_squeezed"):
        yield f"excitation.{name}", getattr(excitation, name), dict(of_gate.TILE)
    for width in (64, 512, 1536):
        tile = of_sums.tile_of(width)
        yield f"residual.forward {width}", residual.forward, dict(tile, DROPS=True, NORMS=True)
        yield f"residual.backward {width}", residual.backward, dict(tile, DROPS=True)
    yield "residual.scaled", residual.scaled, of_sums.tile_of(64)
    for tanh in (True, False):
        yield f"ffn.backward{'' if tanh else ' erf'}", ffn.backward, dict(of_ffn.TILE, TANH=tanh)


def architectures(name, precision):
    """The newest and what stands beside the usual for a few, since each takes its time to compile."""
    if precision == "fp32" or any(word in name.split() for word in ("erf", "frozen", "without")):
        return (90,)
    newest = (
        "few_tokens.backward",
        "many_tokens.forward",
        "depthwise_backward.backward 1",
        "residual.backward 512",
    )
    return (80, 90, 120) if name in newest else (80, 90)


if __name__ == "__main__":
    found = {}
    in_bf16 = [
        (name, kernel, "bf16", options) for name, kernel, options in [*small_kernels(), *narrow_kernels()]
    ]
    options = of_product.SCATTER[True] | dict(TOKENS=of_product.TOKENS)
    in_fp32 = [
        (f"{name} {exact}", kernel, "fp32", dict(made, PRECISION=exact))
        for exact in ("tf32", product.EXACT.value)
        for name, kernel, made in (
            ("product.scatter", product.scatter, options),
            ("product.of_n", product.of_n, of_product.OF_N[True]),
        )
    ]
    for name, kernel, precision, options in [*in_bf16, *in_fp32, *attention_kernels()]:
        # What a product multiplies is in its precision.
        fp32 = IN_FP32 - {"weight"} if name.startswith("product") else IN_FP32
        for architecture in architectures(name, precision):
            key = f"{name} {precision} sm_{architecture}"
            found[key] = stack(kernel, precision, dict(options), architecture, fp32)
    print(json.dumps(found))
