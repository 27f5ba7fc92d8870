"""Messages of agents are read as the standard library's JSON reads them, only quicker."""

from __future__ import annotations

import json

import pytest

from microscaling.api.agent_report import task_detail
from microscaling.demand.task import Task
from microscaling.metric.measurement import Measurement
from microscaling.metric.toy import ToyMetric
from microscaling.server.domain import reports as wire
from microscaling.server.domain.reports import Report, read_report
from microscaling.server.limits import Refused

TEXTS = {
    "the last of a repeated key counts": '{"user": "a", "user": "b", "user": "c"}',
    "half a surrogate": '{"user": "a", "detail": {"hold": "x\\ud800y", "name": "\\udc00"}}',
    "a whole one": '{"user": "\\ud83d\\ude00"}',
    "no number": '{"user": "a", "x": NaN}',
    "endless": '{"user": "a", "x": -Infinity}',
    "a fraction out of bounds": '{"user": "a", "x": 1e400}',
    "more than 64 bits": '{"user": "a", "x": 18446744073709551616}',
    "more than 64 bits where a number is looked at": '{"user": "a", "detail": {"cap": 18446744073709551616}}',
    "64 bits where a number is looked at": '{"user": "a", "detail": {"cap": 18446744073709551615}}',
    "400 digits": '{"user": "a", "x": 1' + "0" * 400 + "}",
    "5,000 digits": '{"user": "a", "x": 1' + "0" * 5000 + "}",
    "a long text of many digits": '{"user": "a", "x": 1' + "0" * 50_000 + "}",
    "500 levels": '{"user": "a", "x": ' + "[" * 500 + "]" * 500 + "}",
    "100,000 levels": '{"user": "a", "x": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "a byte order mark": '\ufeff{"user": "a"}',
    "a control character": '{"user": "a\x01"}',
    "something behind": '{"user": "a"} {}',
    "a comma too many": '{"user": "a",}',
    "0 in front": '{"user": "a", "x": 01}',
    "half a surrogate as it is": '{"user": "a\udc80"}',
    "nothing": "",
}


def outcome(text: str) -> Report | str:
    try:
        return read_report(text)
    except Refused as why:
        return str(why)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_as_the_standard_library(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = outcome(text)
    monkeypatch.setattr(wire, "_parsed", wire._parsed_slowly)
    assert quick == outcome(text)


@pytest.mark.parametrize(
    "jobs",
    [
        Measurement(3),
        Measurement(0, 0),
        Measurement(3, 4, 5, 6, paused=True, oldest_age_s=70.0, exact=False),
    ],
)
def test_the_jobs_of_an_agents_source_arrive(jobs: Measurement) -> None:
    task = Task("a", metric=ToyMetric(3))
    task.metric.measured = jobs
    metrics = {"tasks": [{"app": "a", "runningCount": 0, "pendingCount": 0}]}
    text = json.dumps({"user": "u", "metrics": metrics, "detail": {"tasks": [task_detail(task)]}})
    assert read_report(text).tasks["a"].measured == jobs
    task.held = "no answer"
    assert "jobs" not in task_detail(task)


@pytest.mark.parametrize("jobs", [{"waiting": -1}, {"waiting": 1, "running": "2"}, 5])
def test_jobs_that_are_no_counts_are_refused(jobs: object) -> None:
    metrics = {"tasks": [{"app": "a", "runningCount": 0, "pendingCount": 0}]}
    detail = {"tasks": [{"app": "a", "metric": 1, "jobs": jobs}]}
    with pytest.raises(Refused):
        read_report(json.dumps({"user": "u", "metrics": metrics, "detail": detail}))


def test_half_a_surrogate_is_mended_not_refused() -> None:
    report = read_report(TEXTS["half a surrogate"])
    assert report.about is not None
    assert report.about.hold.encode()
