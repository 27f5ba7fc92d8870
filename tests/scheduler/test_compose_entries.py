"""Containers of services in the events of an engine: pure, but for its lock."""

from __future__ import annotations

from typing import Any

import pytest

from microscaling.clients.docker.compose import NUMBER, PROJECT, SERVICE, Scope
from microscaling.scheduler.compose.entries import ComposeEntries
from microscaling.scheduler.compose.known import Found, State
from microscaling.scheduler.compose.originals import Originals

LABELS = {PROJECT: "shop", SERVICE: "web", NUMBER: "1"}


def entries() -> ComposeEntries:
    """Those of an engine on which one container of `web` runs."""
    made = ComposeEntries(Originals())
    made.scope, made.tasks = Scope(frozenset({"shop"})), frozenset({"web"})
    made.originals.listed({"o1": Found("web", LABELS, State.RUNNING)}, made.originals.ask(100.0), made.tasks)
    return made


def message(action: str, **attributes: str) -> dict[str, Any]:
    return {
        "Action": action,
        "Actor": {"ID": "o1", "Attributes": {**LABELS, "name": "shop-web-1", **attributes}},
    }


def died(**attributes: str) -> dict[str, Any]:
    return message("die", **attributes)


@pytest.mark.parametrize(
    ("attributes", "stopped"),
    [
        # Podman: an end as by a stop is taken for one, as nothing else tells of it.
        ({"exitCode": "0", "containerExitCode": "0"}, True),
        ({"exitCode": "137", "containerExitCode": "137"}, True),
        ({"exitCode": "1", "containerExitCode": "1"}, False),
        # Docker would have told of a signal.
        ({"exitCode": "0"}, False),
    ],
)
def test_an_end_without_a_signal(attributes: dict[str, str], stopped: bool) -> None:
    made = entries()
    event = made.event(died(**attributes))
    assert event is not None
    assert event.foreign == stopped
    assert made.originals.resting(0.0) == ({"web"} if stopped else set())


def test_a_stop_of_our_own_on_podman_is_no_ones_else() -> None:
    made = entries()
    made.originals.begins("o1", "stop", 0.0)
    event = made.event(died(exitCode="0", containerExitCode="0"))
    assert event is not None
    assert not event.foreign
    assert made.originals.resting(0.0) == set()


def test_podman_tells_of_a_signal_that_is_no_stop() -> None:
    made = entries()
    made.event(message("kill", containerExitCode="0"))
    event = made.event(died(exitCode="137", containerExitCode="137"))
    assert event is not None
    assert not event.foreign
    assert made.originals.resting(0.0) == set()
    made.event(message("start", containerExitCode="0"))
    event = made.event(died(exitCode="0", containerExitCode="0"))
    assert event is not None
    assert event.foreign, "that signal was for the life before"
