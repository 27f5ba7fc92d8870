"""Calls that are given up."""

from __future__ import annotations

import threading

import pytest

from microscaling.utils.deadline_call import DeadlineCaller

LONG_S = 60.0


def test_what_is_called_answers_or_raises() -> None:
    calls = DeadlineCaller("a call")
    assert calls.call(lambda: threading.current_thread().name, LONG_S) == "a call"
    with pytest.raises(KeyError):
        calls.call(lambda: {}["key"], LONG_S)


def test_a_call_that_is_given_up_goes_on_alone() -> None:
    calls, over, begun = DeadlineCaller("a call"), threading.Event(), []
    at_work = threading.Event()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            calls.call(lambda: begun.append(1) or at_work.set() or over.wait(LONG_S), 0.01)
    assert at_work.wait(LONG_S)  # a busy machine may begin it later than it is given up
    assert begun == [1]
    over.set()
    assert calls.call(lambda: "next", LONG_S) == "next"
