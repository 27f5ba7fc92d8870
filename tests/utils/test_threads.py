"""Threads that stop when they are told to, and say what ended them."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any

from microscaling.utils.backoff import Backoff
from microscaling.utils.pool import Pool
from microscaling.utils.threads import StoppableThread, stop_all


class Sleeper(StoppableThread):
    def cycle(self) -> None:
        self.stopped.wait(3600)


class Failing(StoppableThread):
    def cycle(self) -> None:
        raise ValueError("oops")


class Deaf(StoppableThread):
    def __init__(self) -> None:
        super().__init__("deaf")
        self.let_go = threading.Event()

    def cycle(self) -> None:
        self.let_go.wait()


def test_a_wait_ends_with_stop() -> None:
    threads = [Sleeper("one"), Sleeper("two")]
    for thread in threads:
        thread.start()
    assert stop_all(threads, 60) == []


def test_stop_before_start_is_no_error() -> None:
    assert stop_all([Sleeper("never started")], 0) == []


def test_a_thread_is_over_when_it_has_run() -> None:
    thread = Sleeper("one")
    before = thread.over
    thread.start()
    meanwhile = thread.over
    stop_all([thread], 60)
    assert (before, meanwhile, thread.over) == (False, False, True)


def test_what_ended_a_thread_is_kept() -> None:
    thread = Failing("failing")
    thread.start()
    thread.join()
    assert repr(thread.error) == "ValueError('oops')"


def test_who_does_not_end_is_named() -> None:
    thread = Deaf()
    thread.start()
    assert stop_all([thread], 0.01) == [thread]
    thread.let_go.set()
    thread.join()


def test_delays_double_up_to_the_most_and_stay_there() -> None:
    backoff = Backoff(1, 60)
    assert [backoff.next() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    backoff.reset()
    assert backoff.next() == 1


def test_jitter_only_shortens() -> None:
    backoff = Backoff(8, 8, jitter=0.5)
    delays = [backoff.next() for _ in range(100)]
    assert 4 <= min(delays) < max(delays) <= 8


def test_a_pool_has_as_many_threads_as_it_needs_and_no_more_than_its_size() -> None:
    all_in = threading.Barrier(4)
    pool: Pool[int] = Pool("work", 3, lambda item: all_in.wait() and None)
    for item in range(3):
        pool.submit(item)
    all_in.wait(60)
    assert len(pool.threads) == 3
    assert pool.stop(60) == []


def test_threads_that_wake_while_the_pool_is_told_to_stop_end_too() -> None:
    class Slow(queue.PriorityQueue[Any]):
        """Whoever waits takes what is put, and goes on, before the next one is put."""

        def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
            super().put(item, block, timeout)
            time.sleep(0.05)

    pool: Pool[int] = Pool("work", 3, lambda item: None)
    pool._items = Slow()
    for item in range(3):
        pool.submit(item)
    while pool._unfinished:
        time.sleep(0.001)
    time.sleep(0.05)  # until all of them wait
    assert pool.stop(60) == []


def test_a_thread_that_has_only_just_taken_an_item_is_not_idle() -> None:
    taken, go_on, done = threading.Event(), threading.Event(), threading.Event()

    class Slow(queue.PriorityQueue[Any]):
        """Gives its first item to a thread that then does not come to run for a while."""

        def get(self, block: bool = True, timeout: float | None = None) -> Any:
            item = super().get(block, timeout)
            if item[2] == "first":
                taken.set()
                go_on.wait(60)
            return item

    pool: Pool[str] = Pool("work", 2, lambda item: done.set() if item == "second" else None)
    pool._items = Slow()
    pool.submit("first")
    assert taken.wait(60)
    pool.submit("second")
    assert done.wait(60)
    go_on.set()
    assert pool.stop(60) == []


def test_the_lowest_rank_goes_first() -> None:
    done: list[str] = []
    taken, hold, all_done = threading.Event(), threading.Event(), threading.Event()

    def work(item: str) -> None:
        taken.set()
        hold.wait(60)
        done.append(item)
        if len(done) == 4:
            all_done.set()

    pool = Pool("work", 1, work)
    pool.submit("first")
    assert taken.wait(60)
    for item, rank in (("create", 1), ("start", 0), ("create too", 1)):
        pool.submit(item, rank)
    hold.set()
    assert all_done.wait(60)
    assert done == ["first", "start", "create", "create too"]
    assert pool.stop(60) == []
