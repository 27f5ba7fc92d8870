"""Steps of the start that are repeated until the other side answers."""

from __future__ import annotations

import logging
import threading

import pytest

from microscaling.errors import ConfigError, Stopped, TemporaryError
from microscaling.utils.patience import Patience

log = logging.getLogger("msstest")
AWAY = TemporaryError("away", 0.001)


def steps(*answers: object):
    """A step that gives, or raises, one of these after the other."""
    left = list(answers)

    def step() -> object:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return step


def test_it_waits_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    patience = Patience(log, 1.0)
    assert patience.run(steps(AWAY, AWAY, "here")) == "here"
    assert caplog.messages == ["waiting: away", "it answers now, the start continues"]
    assert not patience.waits


def test_without_a_failure_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert Patience(log, 1.0).run(steps("here")) == "here"
    assert not caplog.messages


def test_the_last_error_when_the_next_try_would_come_too_late() -> None:
    with pytest.raises(TemporaryError, match="later"):
        Patience(log, 1.0).run(steps(AWAY, TemporaryError("later", 3600)), 60)


def test_what_only_a_person_can_mend_is_not_waited_for() -> None:
    with pytest.raises(ConfigError, match="no such user"):
        Patience(log, 1.0).run(steps(TemporaryError("no such user", hopeless=True)))


def test_a_stop_ends_the_wait() -> None:
    stopped = threading.Event()
    patience = Patience(log, 1.0, stopped)

    def step() -> None:
        stopped.set()
        raise TemporaryError("away", 3600)

    with pytest.raises(Stopped):
        patience.run(step)
    assert patience.waits
