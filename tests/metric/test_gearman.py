"""The jobs of a function in every state of a real job server of Gearman; the truth is what the test has
done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.errors import ConfigError, MetricError
from microscaling.metric import missing
from microscaling.metric.base import Measurement
from microscaling.metric.gearman import GearmanMetric
from tests.frameworks.conftest import look  # noqa: F401
from tests.frameworks.stage import until
from tests.services.gearmand import (
    CAN_DO,
    GRAB_JOB,
    NO_JOB,
    SUBMIT_JOB_EPOCH,
    SUBMIT_JOB_HIGH_BG,
    SUBMIT_JOB_LOW_BG,
    WORK_COMPLETE,
    GearmanClient,
    Gearmand,
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Gearmand]:
    with Gearmand(tmp_path) as server:
        yield server


@pytest.fixture
def client(server: Gearmand) -> Iterator[GearmanClient]:
    with server.client() as client:
        yield client


def test_every_state(server: Gearmand, client: GearmanClient, look: Any) -> None:  # noqa: F811
    metric = GearmanMetric(server.url, "resize")
    measure = look(metric)
    assert measure() is None
    assert metric.current == 0, "it is not there"
    client.submit("resize", 4)
    client.submit("resize", 1, SUBMIT_JOB_HIGH_BG)
    client.submit("resize", 1, SUBMIT_JOB_LOW_BG)
    client.submit("other", 9)
    assert measure() == Measurement(6, 0), "of all priorities"
    with server.client() as worker:
        taken = [worker.grab("resize") for _ in range(3)]
        assert measure() == Measurement(3, 3)
        worker.send(WORK_COMPLETE, taken[0], "")
        until(measure, Measurement(3, 2))
    until(measure, Measurement(5, 0))  # the jobs of a worker that is gone come back by themselves
    with server.client() as worker:
        for _ in range(5):
            worker.send(WORK_COMPLETE, worker.grab("resize"), "")
        until(measure, Measurement(0, 0))  # it is empty


def test_a_job_for_later_counts_as_waiting(server: Gearmand, client: GearmanClient, look: Any) -> None:  # noqa: F811
    """As the page says: the server tells no difference."""
    client.submit("resize", 2, SUBMIT_JOB_EPOCH, f"{time.time() + 3600:.0f}")
    with server.client() as worker:
        worker.send(CAN_DO, "resize")
        assert worker.ask(GRAB_JOB)[0] == NO_JOB
        assert look(GearmanMetric(server.url, "resize"))() == Measurement(2, 0)


def test_a_missing_function_may_hold_the_task(server: Gearmand, look: Any) -> None:  # noqa: F811
    metric = GearmanMetric(server.url, "resize")
    metric.missing = "held"
    with pytest.raises(MetricError, match="Gearman knows no function resize"):
        look(metric)()


def test_all_functions_of_one_server_are_asked_for_at_once(
    server: Gearmand,
    client: GearmanClient,
    look: Any,  # noqa: F811
) -> None:
    resize, other = GearmanMetric(server.url, "resize"), GearmanMetric(server.url, "other")
    look(resize)
    client.submit("resize", 2)
    client.submit("other", 3)
    assert resize.source.key == other.source.key  # type: ignore[union-attr]
    answer = resize.source.fetch()  # type: ignore[union-attr]
    assert [metric.read(answer) for metric in (resize, other)] == [Measurement(2, 0), Measurement(3, 0)]


def test_a_misspelt_function_is_said_once(
    server: Gearmand,
    client: GearmanClient,
    look: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(missing, "HINT_AFTER_S", 0.0)
    client.submit("resize", 1)
    measure = look(GearmanMetric(server.url, "resise"))
    for _ in range(3):
        measure()
    [line] = caplog.messages
    assert 'the function "resise" has not existed since the start, but "resize" exists' in line


@pytest.mark.parametrize("name", ["a\nb", "a\tb"])
def test_a_function_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="expected the name of a function"):
        GearmanMetric("gearman://h", name)
