"""Stages in threads: the same items in the same order, only a few ahead, and an end for each thread."""

import threading
import time

import pytest

from maxvit_mm.inference.ahead import ahead


def test_items_come_in_order_and_only_a_few_are_made_before_they_are_asked_for():
    made = []

    def items():
        for i in range(50):
            made.append(i)
            yield i

    stage = ahead(ahead(items(), 2), 2)
    assert next(stage) == 0
    time.sleep(0.3)
    assert len(made) <= 8  # two waiting and one in hand, in each of two stages
    assert list(stage) == list(range(1, 50))


def test_what_a_thread_raises_is_raised_in_its_place():
    def items():
        yield 1
        raise SystemExit("the end of the world")

    stage = ahead(items(), 4)
    assert next(stage) == 1
    with pytest.raises(SystemExit, match="the end of the world"):
        next(stage)


def test_a_consumer_that_stops_ends_the_threads_and_closes_what_they_read():
    closed = threading.Event()
    before = threading.active_count()

    def items():
        try:
            yield from range(10**9)
        finally:
            closed.set()

    stage = ahead(ahead(items(), 2), 2)
    next(stage)
    stage.close()
    assert closed.wait(5)
    assert threading.active_count() == before
