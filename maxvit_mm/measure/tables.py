"""What was timed, as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .timing import Row


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


def growth_table(sides: Sequence[int], seconds: Mapping[str, Sequence[float]]) -> str:
    """Milliseconds, and microseconds a pixel, of square images, for each partition."""
    lines = [
        f"| image | {' | us a pixel | '.join(seconds)} | us a pixel |",
        "|---" * (1 + 2 * len(seconds)) + "|",
    ]
    for i, side in enumerate(sides):
        cells = [f"{side} x {side}"]
        for all_of_them in seconds.values():
            cells += [f"{all_of_them[i] * 1e3:.0f} ms", f"{all_of_them[i] / side**2 * 1e6:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
