"""What `tools/benchmark.py` does: ours beside every peer that is installed, as a table, JSON and a chart."""

from __future__ import annotations

import argparse
import json
import math
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from ..measure.charts import draw_bars, draw_growth
from ..measure.found import Found
from ..measure.goals import TINY, Sizes
from ..measure.peers import CANDIDATES, GRAPHS, Work
from ..measure.processes import run_apart
from ..measure.report import Report
from ..measure.tables import growth_table, table
from ..measure.timing import DTYPES, Row, first_calls, growth, measure, unseen


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """`tools/benchmark.py`: measure, print a table, and write it as JSON and a chart."""
    args = options(argv)
    machine = f"{args.device}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    args.out.mkdir(parents=True, exist_ok=True)
    if args.sweep:
        seconds = growth(args.sweep, args.device, args.rounds)
        write_json(args.out / "growth.json", {"sides": args.sweep, "seconds": seconds})
        draw_growth(args.sweep, seconds, args.out / "growth.png")
        print(f"{growth_table(args.sweep, seconds)}\n\n{machine}; plot in {args.out}")
        return []
    if args.report:
        return write_report(args, machine)
    names = args.only or [name for name in CANDIDATES if args.device == "cuda" or name not in GRAPHS]
    rows = []
    for work in works(args):
        print(work, flush=True)
        rows.append(measure(work, names, args.device, args.rounds, memory=work.kind != "forward"))
    seen = {(row.work.batch, row.work.height, row.work.width) for row in rows}
    for row in list(rows) if args.new_size else []:
        work = unseen(row.work, seen)
        print(f"{work}, a new size", flush=True)
        rows += first_calls(work, names, args.device)
    found = [{**row._asdict(), "work": row.work._asdict()} for row in rows]
    write_json(args.out / "benchmark.json", {"machine": machine, "rows": found})
    ratios = {
        name: [(row.seconds[name] or 0) / (row.seconds[names[0]] or 1) for row in rows] for name in names
    }
    draw_bars([str(row.work) for row in rows], ratios, args.out / "benchmark.png")
    print(f"\n{table(rows, names)}\n\n{machine}; written to {args.out}")
    return rows


def write_report(args: argparse.Namespace, machine: str) -> list[Row]:
    """The goals of a GPU, as one table, and all times behind it as JSON, both written after each section.

    Raises:
        SystemExit: where something was not measured; names what, once all else is written.
    """
    sizes = Sizes() if args.device == "cuda" else TINY
    start = time.monotonic()
    if args.device == "cuda":
        machine = f"{torch.cuda.get_device_name()}, {machine}"

    def text_of(found: Found) -> str:
        return f"{found.as_text()}\n\n{machine}, {args.dtype[0]}; {time.monotonic() - start:.0f} s in all"

    def save(report: Report) -> None:
        found = report.found
        (args.out / "report.md").write_text(text_of(found) + "\n")
        everything = {
            "machine": machine,
            "rows": [{**row._asdict(), "work": row.work._asdict()} for row in found.rows],
            "steps": found.detector,
            "goals": [{**goal._asdict(), "reached": goal.reached} for goal in found.goals],
            "parts": found.parts,
            "reading": found.reading,
            "lost": found.lost,
        }
        write_json(args.out / "report.json", everything)

    report = Report(args.device, args.dtype[0], args.rounds, args.data, sizes, args.minutes)
    found = run_apart(report, save) if args.device == "cuda" else report.run(save)
    print(f"\n{(args.out / 'report.md').read_text()}; written to {args.out}")
    if found.lost:
        raise SystemExit(f"{len(found.lost)} were not measured: {'; '.join(found.lost)}")
    return found.rows


def options(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, refused where nothing sensible would be measured."""
    parser = argparse.ArgumentParser(description="MaxViT-T of ours beside its peers, interleaved, medians.")
    parser.add_argument(
        "--size",
        nargs="+",
        default=["4x224x224", "1x896x896"],
        metavar="BATCHxHxW",
        help="multiples of 224 if the other MaxViTs are to take part (default 4x224x224 1x896x896)",
    )
    parser.add_argument("--kind", nargs="+", choices=["forward", "training"], default=["forward", "training"])
    parser.add_argument("--dtype", nargs="+", choices=DTYPES, help="default fp32, and bf16 for --report")
    parser.add_argument("--compile", action="store_true", help="torch.compile all of them")
    parser.add_argument(
        "--autocast", action="store_true", help="the forward pass in bf16 by autocast, not by a cast network"
    )
    parser.add_argument("--scaled", action="store_true", help="partition image / 32 instead of 7")
    parser.add_argument(
        "--new-size",
        action=argparse.BooleanOptionalAction,
        help="also the first and the second call at a size never seen (default on a GPU)",
    )
    parser.add_argument("--only", nargs="+", choices=CANDIDATES, help="of the candidates, these")
    parser.add_argument(
        "--sweep", nargs="+", type=int, metavar="SIDE", help="instead: ours on square images of these sides"
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="instead: the table of goals for a GPU; on a CPU a rehearsal on tiny images",
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="of --report: images in COCO's layout (the embedded shapes)"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        help="of --report: after so many, nothing else is begun, and what is missing is named (6 on a GPU)",
    )
    parser.add_argument("--rounds", type=int, default=7, help="how often each is timed, in turn (default 7)")
    parser.add_argument(
        "--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu"
    )
    parser.add_argument("--out", type=Path, default=Path("work_dirs/benchmark"))
    args = parser.parse_args(argv)
    args.dtype = args.dtype or ["bf16" if args.report else "fp32"]
    if args.minutes is None:
        args.minutes = 6.0 if args.device == "cuda" else math.inf
    if args.new_size is None:
        args.new_size = args.device == "cuda"
    for size in args.size:
        if not re.fullmatch(r"[1-9]\d*x[1-9]\d*x[1-9]\d*", size):
            parser.error(f"--size is BATCHxHEIGHTxWIDTH, such as 4x224x224; got {size}")
    if args.rounds < 1:
        parser.error(f"--rounds is 1 or more; got {args.rounds}")
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda, but PyTorch finds no GPU here, or was installed without CUDA")
    if args.autocast and ("bf16" not in args.dtype or "forward" not in args.kind):
        parser.error("--autocast is of the forward pass in bf16: give --kind forward --dtype bf16 with it")
    if args.data and not args.report:
        parser.error("--data is of --report")
    if args.data and not args.data.is_dir():
        parser.error(f"--data {args.data} is no folder")
    if args.report and (args.only or args.compile or args.scaled or args.autocast or args.sweep):
        parser.error(
            "--report has works of its own: give it --device, --dtype, --rounds, --minutes, "
            "--data and --out alone"
        )
    if args.sweep and (args.only or args.compile or args.scaled or args.dtype != ["fp32"]):
        parser.error("--sweep is of ours, deployed, in fp32, with both partitions: give it alone")
    return args


def works(args: argparse.Namespace) -> Iterator[Work]:
    """The rows of the table, in their order."""
    for kind in args.kind:
        for size in args.size:
            for dtype in args.dtype:
                batch, height, width = map(int, size.split("x"))
                label = "forward" if kind == "forward" else "training step"
                autocast = args.autocast and kind == "forward" and dtype == "bf16"
                yield Work(label, batch, height, width, dtype, args.compile, args.scaled, autocast)


def write_json(path: Path, found: dict[str, Any]) -> None:
    path.write_text(json.dumps(found, indent=1))
