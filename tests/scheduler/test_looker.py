"""Looks that fail, and their effect."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from microscaling.demand.drain import Activity, Busy, Way
from microscaling.demand.task import Task
from microscaling.errors import TemporaryError
from microscaling.metric.consumers.base import Consumer, Consumers
from microscaling.scheduler.containers import looker as looker_module
from microscaling.scheduler.containers.backend import Backend, Unmatched
from microscaling.scheduler.containers.container import Container
from microscaling.scheduler.containers.looker import Looker

TASK = Task("worker")
CONTAINERS = [Container(TASK, "n", order, id=f"id{order}") for order in range(2)]


class Listed(Consumers):
    def fetch(self) -> Sequence[Consumer]:
        return ()


class Failing:
    """An engine that finds nothing out."""

    def look(self, task: Task, busy: Busy, ids: Sequence[str]) -> Mapping[str, Activity]:
        raise Unmatched("NSQ has no consumer with the host name of container id0")


def look(busy: Busy) -> Mapping[str, Activity]:
    looker = Looker(cast(Backend, Failing()), lambda *_: None, lambda: None)
    found: dict[str, Activity] = {}
    for _ in range(3):
        found = dict(looker.look(TASK, busy, CONTAINERS))
    return found


def by_source(implied: bool, matched: bool) -> Busy:
    source = Listed()
    source.matched = matched
    return Busy(Way.SOURCE, source=source, implied=implied)


@pytest.mark.parametrize(
    "busy",
    [by_source(implied=False, matched=False), by_source(implied=True, matched=True), Busy(Way.FILE, "/busy")],
    ids=["asked for", "it has shown one before", "a busy file"],
)
def test_what_cannot_be_found_out_counts_as_busy(busy: Busy, caplog: pytest.LogCaptureFixture) -> None:
    assert look(busy) == {}, "unknown"
    assert caplog.messages == [
        "worker: cannot tell if a container is busy, so it counts as busy: NSQ has no consumer with the host "
        "name of container id0"
    ], "said once"


def test_a_source_that_nobody_asked_for_and_that_shows_none_holds_nothing_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    assert look(by_source(implied=True, matched=False)) == dict.fromkeys(("id0", "id1"), Activity.UNSEEN)
    assert caplog.messages == [
        "worker: cannot tell if a container is busy, so the newest go first, as without a sign of it (busy: "
        "source makes it count as busy): NSQ has no consumer with the host name of container id0"
    ]


def test_a_source_that_does_not_answer_holds_nothing_up_for_long_before_it_has_shown_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Away:
        def look(self, *_: Any) -> Mapping[str, Activity]:
            raise TemporaryError("NSQ does not answer")

    looker = Looker(cast(Backend, Away()), lambda *_: None, lambda: None)
    busy = by_source(implied=True, matched=False)
    assert looker.look(TASK, busy, CONTAINERS) == {}, "a job must not be lost to a short failure"
    monkeypatch.setattr(looker_module, "UNPROVEN_S", 0.0)
    assert looker.look(TASK, busy, CONTAINERS) == dict.fromkeys(("id0", "id1"), Activity.UNSEEN)
    assert looker.look(TASK, by_source(implied=True, matched=True), CONTAINERS) == {}


@pytest.mark.parametrize(
    ("matched", "seen"), [(False, dict.fromkeys(("id0", "id1"), Activity.UNSEEN)), (True, {})]
)
def test_new_containers_hold_nothing_up_before_the_source_has_shown_one(
    matched: bool, seen: dict[str, Activity]
) -> None:
    class Young:
        def look(self, *_: Any) -> Mapping[str, Activity]:
            return {}

    looker = Looker(cast(Backend, Young()), lambda *_: None, lambda: None)
    assert looker.look(TASK, by_source(implied=True, matched=matched), CONTAINERS) == seen


def test_a_failure_that_names_others_each_time_is_said_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Changing:
        looks = 0

        def look(self, *_: Any) -> Mapping[str, Activity]:
            self.looks += 1
            raise TemporaryError(f"there are {self.looks} consumers")

    looker = Looker(cast(Backend, Changing()), lambda *_: None, lambda: None)
    for _ in range(5):
        looker.look(TASK, Busy(Way.FILE, "/busy"), CONTAINERS)
    assert len(caplog.messages) == 1
    monkeypatch.setattr(looker_module, "AGAIN_S", 0.0)
    looker.look(TASK, Busy(Way.FILE, "/busy"), CONTAINERS)
    assert caplog.messages[1].endswith("there are 6 consumers")
    monkeypatch.setattr(looker_module, "UNPROVEN_S", 0.0)
    for _ in range(3):
        looker.look(TASK, by_source(implied=True, matched=False), CONTAINERS)
    assert len(caplog.messages) == 3, "where nobody has asked for it, it is said once"


def test_no_error_of_a_look_ends_its_thread(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def look(self, *_: Any) -> Mapping[str, Activity]:
            raise KeyError("Networks")

    looker = Looker(cast(Backend, Broken()), lambda *_: None, lambda: None)
    assert looker.look(TASK, Busy(Way.FILE, "/busy"), CONTAINERS) == {}
    assert "it counts as busy: KeyError" in caplog.text
