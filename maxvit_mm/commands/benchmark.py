"""What `tools/benchmark.py` does: ours beside every peer that is installed, interleaved, in one run."""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..measure.charts import draw_bars, draw_growth
from ..measure.cost import LiveBytes, multiply_adds
from ..measure.peers import CANDIDATES, CHANNELS_LAST, CannotRunError, Work, ours

Run = Callable[[], Any]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Row(NamedTuple):
    """Medians of one work: seconds and peak bytes for each candidate, None where it cannot."""

    work: Work
    seconds: dict[str, float | None]
    peak_bytes: dict[str, int | None]
    multiply_adds: int
    peak_rate: float  # FLOP/s of the machine's matrix product in this type, measured beside


def prepare(name: str, work: Work, device: str) -> Run:
    """A call that does `work` once; on a GPU it returns before it is done."""
    torch.manual_seed(0)
    network = CANDIDATES[name](work).to(device)
    network.train(work.kind != "forward")  # Swin's returns nothing
    images = torch.randn(work.batch, 3, work.height, work.width, device=device)
    if name in CHANNELS_LAST:
        images = images.contiguous(memory_format=torch.channels_last)
    forward: Callable[[Tensor], Any] = torch.compile(network) if work.compiled else network
    kind = DTYPES[work.dtype]
    # Trained in mixed precision; for inference the whole network is cast, which is faster for all of them.
    mixed = nullcontext() if kind is torch.float32 else torch.autocast(device, kind)
    if work.kind == "forward":
        network, images = network.to(kind), images.to(kind)

    def infer() -> None:
        with torch.no_grad():
            forward(images)

    def train() -> None:
        network.zero_grad()
        with mixed:
            out = forward(images)
            total = sum(
                each.float().square().mean() for each in (out if isinstance(out, tuple | list) else [out])
            )
        total.backward()

    return infer if work.kind == "forward" else train


def seconds_of(run: Run, device: str) -> float:
    """How long one call takes; on a GPU by the GPU's own clock."""
    if device == "cuda":
        started, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        started.record()
        run()
        ended.record()
        ended.synchronize()
        return started.elapsed_time(ended) / 1e3
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def measure(work: Work, names: Sequence[str], device: str, rounds: int, memory: bool) -> Row:
    """Time `names` in turn, `rounds` times over, after a warm-up of each."""
    runs: dict[str, Run] = {}
    peaks: dict[str, int | None] = dict.fromkeys(names)
    for name in names:
        try:
            runs[name] = prepare(name, work, device)
            runs[name]()  # warm-up, and compilation
            if memory and not work.compiled:
                peaks[name] = peak_of(runs[name], device)
            runs[name]()
        except (CannotRunError, ImportError, AssertionError, RuntimeError, ValueError) as error:
            if name.startswith("maxvit_mm") and not isinstance(error, CannotRunError):
                raise  # a peer may fail, ours may not
            runs.pop(name, None)
            print(f"  {name} cannot: {str(error).splitlines()[0][:100]}", flush=True)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(seconds_of(run, device))
    medians = {name: statistics.median(times[name]) if name in times else None for name in names}
    with torch.device("meta"):
        network = ours(work).eval()
        images = torch.empty(work.batch, 3, work.height, work.width)
    spent, _ = multiply_adds(lambda: network(images))
    return Row(work, medians, peaks, spent, matrix_rate(DTYPES[work.dtype], device))


def peak_of(run: Run, device: str) -> int:
    """Peak bytes of the tensors that one call makes, beside parameters and images."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return torch.cuda.max_memory_allocated() - before
    with LiveBytes() as live:
        run()
    return live.peak


def matrix_rate(kind: torch.dtype, device: str, side: int = 2048) -> float:
    """The best FLOP/s of a matrix product of `side` squared."""
    a, b = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))

    def product() -> None:
        torch.mm(a, b)

    product()
    return 2 * side**3 / min(seconds_of(product, device) for _ in range(10))


def table(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Milliseconds, in brackets in times of the first; last, what our fastest makes of the machine."""
    lines = [
        "| work | " + " | ".join(names) + " | our fastest, images a second | of the matrix peak |",
        "|---" * (len(names) + 3) + "|",
    ]
    for row in rows:
        reference = row.seconds[names[0]]
        cells = [cell(row.seconds[name], reference, 1e3, "ms") for name in names]
        products = (1 if row.work.kind == "forward" else 3) * 2 * row.multiply_adds
        ours_took = [row.seconds[name] for name in names if name.startswith("maxvit_mm")]
        best = min((seconds for seconds in ours_took if seconds is not None), default=None)
        rate, share = "", ""
        if best is not None:
            images = row.work.batch / best
            rate = f"{images:.0f}" if images >= 100 else f"{images:.3g}"
            share = f"{products / best / row.peak_rate:.0%}"
        lines.append(f"| {row.work} | " + " | ".join(cells) + f" | {rate} | {share} |")
        if any(row.peak_bytes.values()):
            memory = [cell(row.peak_bytes[name], row.peak_bytes[names[0]], 2**-20, "MiB") for name in names]
            lines.append("| its peak memory | " + " | ".join(memory) + " | | |")
    return "\n".join(lines)


def cell(value: float | None, reference: float | None, scale: float, unit: str) -> str:
    if value is None:
        return "cannot"
    ratio = f" ({value / reference:.2f})" if reference else ""
    return f"{value * scale:.0f} {unit}{ratio}"


def sweep(sides: Sequence[int], device: str, rounds: int, out: Path) -> str:
    """How the forward pass grows with the pixels, for both partitions: a table, numbers and a plot."""
    found: dict[bool, list[float]] = {False: [], True: []}
    runs: dict[tuple[int, bool], Run] = {}
    for side in sides:
        for scaled in found:
            work = Work("forward", 1, side, side, "fp32", False, scaled)
            runs[side, scaled] = prepare("maxvit_mm, deployed", work, device)
            runs[side, scaled]()
    times: dict[tuple[int, bool], list[float]] = {key: [] for key in runs}
    for _ in range(rounds):
        for key, run in runs.items():
            times[key].append(seconds_of(run, device))
    lines = ["| image | partition 7 | us a pixel | partition image/32 | us a pixel |", "|---" * 5 + "|"]
    for side in sides:
        cells = [f"{side} x {side}"]
        for scaled, all_of_them in found.items():
            seconds = statistics.median(times[side, scaled])
            all_of_them.append(seconds)
            cells += [f"{seconds * 1e3:.0f} ms", f"{seconds / side**2 * 1e6:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    by_name = {"partition 7": found[False], "partition image / 32": found[True]}
    (out / "growth.json").write_text(json.dumps({"sides": list(sides), "seconds": by_name}, indent=1))
    draw_growth(sides, by_name, out / "growth.png")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """`tools/benchmark.py`: measure, print a table, and write it as JSON and a chart."""
    parser = argparse.ArgumentParser(description="MaxViT-T of ours beside its peers, interleaved, medians.")
    parser.add_argument(
        "--size",
        nargs="+",
        default=["4x224x224", "1x896x896"],
        metavar="BATCHxHxW",
        help="multiples of 224 if the other MaxViTs are to take part (default 4x224x224 1x896x896)",
    )
    parser.add_argument("--kind", nargs="+", choices=["forward", "training"], default=["forward", "training"])
    parser.add_argument("--dtype", nargs="+", choices=DTYPES, default=["fp32"])
    parser.add_argument("--compile", action="store_true", help="torch.compile all of them")
    parser.add_argument("--scaled", action="store_true", help="partition image / 32 instead of 7")
    parser.add_argument("--only", nargs="+", choices=CANDIDATES, help="of the candidates, these")
    parser.add_argument(
        "--sweep", nargs="+", type=int, metavar="SIDE", help="instead: ours on square images of these sides"
    )
    parser.add_argument("--rounds", type=int, default=7, help="how often each is timed, in turn (default 7)")
    parser.add_argument(
        "--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu"
    )
    parser.add_argument("--out", type=Path, default=Path("work_dirs/benchmark"))
    args = parser.parse_args(argv)
    for size in args.size:
        if not re.fullmatch(r"[1-9]\d*x[1-9]\d*x[1-9]\d*", size):
            parser.error(f"--size is BATCHxHEIGHTxWIDTH, such as 4x224x224; got {size}")
    if args.rounds < 1:
        parser.error(f"--rounds is 1 or more; got {args.rounds}")
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda, but PyTorch finds no GPU here, or was installed without CUDA")
    machine = f"{args.device}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    args.out.mkdir(parents=True, exist_ok=True)
    if args.sweep:
        if args.only or args.compile or args.scaled or args.dtype != ["fp32"]:
            parser.error("--sweep is of ours, deployed, in fp32, with both partitions: give it alone")
        print(f"{sweep(args.sweep, args.device, args.rounds, args.out)}\n\n{machine}; plot in {args.out}")
        return []
    names = args.only or list(CANDIDATES)
    rows = []
    for kind in args.kind:
        for size in args.size:
            for dtype in args.dtype:
                batch, height, width = map(int, size.split("x"))
                label = "forward" if kind == "forward" else "training step"
                work = Work(label, batch, height, width, dtype, args.compile, args.scaled)
                print(work, flush=True)
                rows.append(measure(work, names, args.device, args.rounds, memory=kind == "training"))
    text = table(rows, names)
    found = [{**row._asdict(), "work": row.work._asdict()} for row in rows]
    (args.out / "benchmark.json").write_text(json.dumps({"machine": machine, "rows": found}, indent=1))
    ratios = {
        name: [(row.seconds[name] or 0) / (row.seconds[names[0]] or 1) for row in rows] for name in names
    }
    draw_bars([str(row.work) for row in rows], ratios, args.out / "benchmark.png")
    print(f"\n{text}\n\n{machine}; written to {args.out}")
    return rows
