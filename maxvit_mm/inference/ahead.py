"""Stages of work that overlap: each runs in a thread of its own, a few items ahead of the next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

Item = TypeVar("Item")
PATIENCE = 0.1  # seconds between looks at whether anybody still wants the items


def ahead(items: Iterable[Item], most: int) -> Iterator[Item]:
    """The same items, made in a thread, at most `most` of them before they are asked for.

    So memory does not depend on how many there are. What the thread raises is raised here, in its place. A
    consumer that stops early ends the thread.
    """
    queue: Queue[tuple[Any, BaseException | None, bool]] = Queue(most)
    unwanted = Event()

    def put(item: Any, error: BaseException | None = None, is_end: bool = False) -> bool:
        while not unwanted.is_set():
            try:
                queue.put((item, error, is_end), timeout=PATIENCE)
                return True
            except Full:
                continue
        return False

    def make() -> None:
        made = iter(items)
        try:
            for item in made:
                if not put(item):
                    break
            put(None, None, True)
        except BaseException as error:  # whoever asks for the items gets it
            put(None, error, True)
        finally:
            if hasattr(made, "close"):
                made.close()  # here, in the thread that runs it

    thread = Thread(target=make, daemon=True)
    thread.start()
    try:
        while True:
            try:
                item, error, is_end = queue.get(timeout=PATIENCE)
            except Empty:  # a short wait, so that Ctrl-C is heard on every system
                continue
            if error is not None:
                raise error
            if is_end:
                return
            yield item
    finally:
        unwanted.set()
        thread.join()
