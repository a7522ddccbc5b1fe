"""What `tools/benchmark.py` does: ours beside every peer that is installed, interleaved, in one run."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .cost import LiveBytes, multiply_adds
from .peers import CANDIDATES, CHANNELS_LAST, CannotRunError, Work, ours

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
    """A call that does `work` once, after which its results are there."""
    torch.manual_seed(0)
    network = CANDIDATES[name](work).to(device)
    network.train(work.kind != "forward")  # Swin's returns nothing
    images = torch.randn(work.batch, 3, work.height, work.width, device=device)
    if name in CHANNELS_LAST:
        images = images.contiguous(memory_format=torch.channels_last)
    forward: Callable[[Tensor], Any] = torch.compile(network) if work.compiled else network
    kind = DTYPES[work.dtype]
    mixed = nullcontext() if kind is torch.float32 else torch.autocast(device, kind)

    def infer() -> None:
        with torch.no_grad(), mixed:
            forward(images)
        wait(device)

    def train() -> None:
        network.zero_grad()
        with mixed:
            out = forward(images)
            total = sum(
                each.float().square().mean() for each in (out if isinstance(out, tuple | list) else [out])
            )
        total.backward()
        wait(device)

    return infer if work.kind == "forward" else train


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def seconds_of(run: Run) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


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
            times[name].append(seconds_of(run))
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
        wait(device)

    product()
    return 2 * side**3 / min(seconds_of(product) for _ in range(10))


def table(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Milliseconds, in brackets in times of ours; the last column is our share of the matrix peak."""
    lines = [
        "| work | " + " | ".join(names) + " | ours, of the matrix peak |",
        "|---" * (len(names) + 2) + "|",
    ]
    for row in rows:
        reference = row.seconds[names[0]]
        cells = [cell(row.seconds[name], reference, 1e3, "ms") for name in names]
        products = (1 if row.work.kind == "forward" else 3) * 2 * row.multiply_adds
        share = f"{products / reference / row.peak_rate:.0%}" if reference else ""
        lines.append(f"| {row.work} | " + " | ".join(cells) + f" | {share} |")
        if any(row.peak_bytes.values()):
            memory = [cell(row.peak_bytes[name], row.peak_bytes[names[0]], 2**-20, "MiB") for name in names]
            lines.append("| its peak memory | " + " | ".join(memory) + " | |")
    return "\n".join(lines)


def cell(value: float | None, reference: float | None, scale: float, unit: str) -> str:
    if value is None:
        return "cannot"
    ratio = f" ({value / reference:.2f})" if reference else ""
    return f"{value * scale:.0f} {unit}{ratio}"


def draw(rows: Sequence[Row], names: Sequence[str], path: Path) -> None:
    """Bars of the times relative to ours, a group for each work."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 1.2 + 0.9 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    height = 0.8 / len(names)
    for i, name in enumerate(names):
        ratios = [(row.seconds[name] or 0) / (row.seconds[names[0]] or 1) for row in rows]
        axes.barh([place + i * height for place in range(len(rows))], ratios, height, label=name)
    axes.set_yticks([place + 0.4 - height / 2 for place in range(len(rows))], [str(row.work) for row in rows])
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel(f"time, in times that of {names[0]}; no bar: cannot")
    axes.legend()
    figure.savefig(path, dpi=110)


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """`tools/benchmark.py`: measure, print a table, and write it as JSON and a chart."""
    parser = argparse.ArgumentParser(description="MaxViT-T of ours beside its peers, interleaved, medians.")
    parser.add_argument("--size", nargs="+", default=["4x224x224", "1x896x896"], metavar="BATCHxHxW")
    parser.add_argument("--kind", nargs="+", choices=["forward", "training"], default=["forward", "training"])
    parser.add_argument("--dtype", nargs="+", choices=DTYPES, default=["fp32"])
    parser.add_argument("--compile", action="store_true", help="torch.compile all of them")
    parser.add_argument("--scaled", action="store_true", help="partition image / 32 instead of 7")
    parser.add_argument("--only", nargs="+", choices=CANDIDATES, help="of the candidates, these")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/benchmark"))
    args = parser.parse_args(argv)
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
    args.out.mkdir(parents=True, exist_ok=True)
    text = table(rows, names)
    machine = f"{args.device}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    found = [{**row._asdict(), "work": row.work._asdict()} for row in rows]
    (args.out / "benchmark.json").write_text(json.dumps({"machine": machine, "rows": found}, indent=1))
    draw(rows, names, args.out / "benchmark.png")
    print(f"\n{text}\n\n{machine}; written to {args.out}")
    return rows
