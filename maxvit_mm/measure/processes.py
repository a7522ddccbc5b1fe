"""A report in a process of its own, and where that ends, in another one, which goes on behind it.

After an error of a kernel a GPU takes no more work from the process, and behind a kernel that never ends
nothing begins. Either would lose all that is measured after it.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection

from .found import Found
from .report import Report

LONGEST = 1 / 2  # of the time of all sections, after which one is ended


def run_apart(report: Report, save: Callable[[Report], None]) -> Found:
    """As `report.run(save)`, whatever becomes of a process that measures."""
    context = multiprocessing.get_context("spawn")
    longest = 60 * report.minutes * LONGEST
    while left := [title for title, _ in report.sections() if title not in report.over]:
        reading, writing = context.Pipe(duplex=False)
        process = context.Process(target=go_on, args=(report, writing))
        process.start()
        writing.close()
        how = "its process ended"
        try:
            while reading.poll(longest):
                report.found, report.over, report.running = reading.recv()
                save(report)
            process.kill()
            how = f"it took more than {longest:.0f} s"
        except (EOFError, OSError):  # it ended, or in the middle of what it said
            pass
        process.join(60)
        process.kill()  # where it hangs on its way out
        process.join()
        if report.running or left[0] not in report.over:  # else it gave up its GPU, between two sections
            title = report.running or left[0]
            report.found.lost.append(f"{title}: {how}, with exit status {process.exitcode}")
            report.over.append(title)
            report.running = None
            save(report)
    return report.found


def go_on(report: Report, writing: Connection) -> None:
    """In a process: measure what is not over, and say of each section what was found."""
    report.run(lambda now: writing.send((now.found, now.over, now.running)))
