"""How long ours and its peers take: one after another in each round, in one process, medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from .cost import multiply_adds
from .live_bytes import LiveBytes
from .peers import CANDIDATES, CHANNELS_LAST, GRAPHS, CannotRunError, Work, ours

Run = Callable[[], Any]
Key = TypeVar("Key", bound=Hashable)
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
STEP = 224  # the smallest side that all candidates take, and by which sides may grow
PARTITIONS = {"partition 7": False, "partition image / 32": True}  # whether scaled with the image


class Row(NamedTuple):
    """Medians of one work: seconds and peak bytes for each candidate, None where it cannot."""

    work: Work
    seconds: dict[str, float | None]
    peak_bytes: dict[str, int | None]
    multiply_adds: int
    peak_rate: float  # FLOP/s of the machine's matrix product in this type, measured beside
    why_not: Mapping[str, str] = {}  # of each candidate that cannot, in words


def prepare(name: str, work: Work, device: str) -> Run:
    """A call that does `work` once; on a GPU it returns before it is done.

    Raises:
        CannotRunError: where the candidate has no way to do it, and what its own constructor raises.
    """
    torch.manual_seed(0)
    network = CANDIDATES[name](work).to(device)
    network.train(work.kind != "forward")  # Swin's returns nothing
    images = torch.randn(work.batch, 3, work.height, work.width, device=device)
    if name in CHANNELS_LAST:
        images = images.contiguous(memory_format=torch.channels_last)
    forward: Callable[[Tensor], Any] = torch.compile(network) if work.compiled else network
    kind = DTYPES[work.dtype]
    # Trained in mixed precision; for inference the whole network is cast, which is faster for all of them,
    # unless autocast is what is asked for.
    mixed: Any = nullcontext()
    if kind is not torch.float32:
        mixed = torch.autocast(device, kind, cache_enabled=name not in GRAPHS)  # a graph holds its casts
    if work.kind == "forward" and not work.autocast:
        network, images, mixed = network.to(kind), images.to(kind), nullcontext()

    def infer() -> None:
        with torch.no_grad(), mixed:
            forward(images)

    def train() -> None:
        network.zero_grad()
        with mixed:
            out = forward(images)
            total = sum(
                each.float().square().mean() for each in (out if isinstance(out, tuple | list) else [out])
            )
        total.backward()

    run = infer if work.kind == "forward" else train
    return as_graph(run, device) if name in GRAPHS else run


def as_graph(run: Run, device: str) -> Run:
    """All that a call starts on a GPU, captured, to be started at once: nothing waits for Python then."""
    if device != "cuda":
        raise CannotRunError("a CUDA graph is for a GPU")
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # as PyTorch asks for; kernels are compiled in these calls
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()

    def replay(_: Run = run) -> None:  # which has the network and the images: they are not the graph's own
        graph.replay()

    return replay


def measure(work: Work, names: Sequence[str], device: str, rounds: int, memory: bool) -> Row:
    """Time `names` in turn, `rounds` times over, after a warm-up of each."""
    runs: dict[str, Run] = {}
    peaks: dict[str, int | None] = dict.fromkeys(names)
    reasons: dict[str, str] = {}
    for name in names:
        try:
            runs[name] = prepare(name, work, device)
            runs[name]()  # warm-up, and compilation
            if memory and not work.compiled:
                peaks[name] = peak_of(runs[name], device)
            runs[name]()
        except Exception as error:
            reasons[name] = may_fail(name, error)
            runs.pop(name, None)
    medians = in_turn(runs, device, rounds)
    return row(work, {name: medians.get(name) for name in names}, peaks, device, reasons)


def may_fail(name: str, error: Exception) -> str:
    """What keeps a candidate from a work, in words, which are printed. A peer may fail, ours may not."""
    if name.startswith("maxvit_mm") and not isinstance(error, CannotRunError):
        raise error
    words = in_a_line(error)
    print(f"  {name} cannot: {words}", flush=True)
    return words


def in_a_line(error: BaseException) -> str:
    """An error, in a line."""
    words = (str(error).strip().splitlines() or [""])[0][:300]
    return words if isinstance(error, CannotRunError) else f"{type(error).__name__}: {words}"


def row(
    work: Work,
    seconds: dict[str, float | None],
    peaks: dict[str, int | None],
    device: str,
    reasons: Mapping[str, str],
) -> Row:
    """What was measured, beside what the work takes and what the machine can."""
    with torch.device("meta"):
        network = ours(work).eval()
        images = torch.empty(work.batch, 3, work.height, work.width)
    spent, _ = multiply_adds(lambda: network(images), network)
    return Row(work, seconds, peaks, spent, matrix_rate(DTYPES[work.dtype], device), reasons)


def first_calls(work: Work, names: Sequence[str], device: str) -> list[Row]:
    """How long the first call takes at a size that the process has not seen, and the second, once each.

    cuDNN and compilers prepare for each size, and a detector meets another at nearly every step. All else is
    ready: each candidate has run at the smallest size. Where several have maps of the same shapes, one may
    find ready what cuDNN compiled for another before.
    """
    seconds: dict[str, dict[str, float | None]] = {"first": {}, "second": {}}
    reasons: dict[str, str] = {}
    found: list[float | None]
    for name in names:
        try:
            prepare(name, work._replace(batch=1, height=STEP, width=STEP), device)()
            run = prepare(name, work, device)
            found = [seconds_of(run, device) for _ in seconds]
        except Exception as error:
            reasons[name] = may_fail(name, error)
            found = [None, None]
        for call, took in zip(seconds, found, strict=True):
            seconds[call][name] = took
    return [
        row(work._replace(call=call), took, dict.fromkeys(names), device, reasons)
        for call, took in seconds.items()
    ]


def unseen(work: Work, seen: set[tuple[int, int, int]]) -> Work:
    """The same work on larger images, of a size that is not among those `seen`, and is from then on."""
    while (size := (work.batch, work.height, work.width)) in seen:
        work = work._replace(height=work.height + STEP)
    seen.add(size)
    return work


def in_turn(runs: Mapping[Key, Run], device: str, rounds: int) -> dict[Key, float]:
    """Median seconds of each, one after another in each round: a busy moment falls on all of them."""
    times: dict[Key, list[float]] = {key: [] for key in runs}
    for _ in range(rounds):
        for key, run in runs.items():
            times[key].append(seconds_of(run, device))
    return {key: statistics.median(all_of_them) for key, all_of_them in times.items()}


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

    # Ten after a warm-up; fewer where one takes seconds, as in bf16 on a CPU that has no instruction for it.
    times = [seconds_of(product, device)]
    while len(times) < 11 and sum(times) < 5:
        times.append(seconds_of(product, device))
    return 2 * side**3 / min(times)


def growth(sides: Sequence[int], device: str, rounds: int) -> dict[str, list[float]]:
    """Seconds of the forward pass of ours, deployed, on square images of these sides, by partition."""
    runs: dict[tuple[str, int], Run] = {}
    for side in sides:
        for name, scaled in PARTITIONS.items():
            work = Work("forward", 1, side, side, "fp32", compiled=False, scaled=scaled)
            runs[name, side] = prepare("maxvit_mm, deployed", work, device)
            runs[name, side]()  # warm-up
    medians = in_turn(runs, device, rounds)
    return {name: [medians[name, side] for side in sides] for name in PARTITIONS}
