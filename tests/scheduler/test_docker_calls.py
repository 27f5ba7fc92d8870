"""Streams of an engine, and who closes them."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator

import pytest

from microscaling.scheduler.containers.backend import BackendUnavailable
from microscaling.scheduler.docker.calls import messages


class Stream:
    """An event, and an end that is noticed only when it is closed, as of an engine that was killed."""

    closed = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return "event"

    def close(self) -> None:
        self.closed += 1
        raise OSError(107, "Transport endpoint is not connected")


def handle(stream: Iterable[str], error: Exception) -> None:
    """Takes the first message, and fails."""
    for _ in messages(stream):
        raise error


def test_a_stream_that_is_left_is_closed_by_its_owner() -> None:
    """Else the error of its end would stand among the lines of the log, as one that nobody can catch."""
    stream = Stream()
    with pytest.raises(KeyError):
        handle(stream, KeyError("of the handling"))
    gc.collect()
    assert stream.closed == 0


def test_only_errors_of_the_stream_are_those_of_the_engine() -> None:
    def ends() -> Iterator[str]:
        yield "event"
        raise ConnectionResetError("Connection reset by peer")

    with pytest.raises(BackendUnavailable, match="reset by peer"):
        list(messages(ends()))
    with pytest.raises(ConnectionResetError):
        handle(ends(), ConnectionResetError("of the handling"))
