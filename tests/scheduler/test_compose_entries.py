"""Containers of services in the events of an engine: pure, but for its lock."""

from __future__ import annotations

from typing import Any

import pytest

from microscaling.clients.docker.compose import COPY_OF, ENABLED, NUMBER, PROJECT, SERVICE, Scope
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


COPY = {**LABELS, NUMBER: "2", COPY_OF: "o1"}
OF_COMPOSE = {**LABELS, NUMBER: "2"}


def about(id: str, action: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"Action": action, "Actor": {"ID": id, "Attributes": {**labels, "name": "shop-web-2"}}}


def nonce_in_event(made: ComposeEntries, id: str, action: str, labels: dict[str, str]) -> str:
    event = made.event(about(id, action, labels))
    assert event is not None
    return event.nonce


def nonce_in_listing(made: ComposeEntries, id: str, labels: dict[str, str]) -> str:
    (one,) = made.listed([{"Id": id, "Names": ["/shop-web-2"], "Labels": labels, "State": "running"}])
    return one.nonce


def test_a_copy_is_known_by_its_name_from_its_create_on() -> None:
    made = entries()
    made.nonces.creating("shop-web-2", "n1")
    assert nonce_in_listing(made, "c2", COPY) == "n1"
    assert nonce_in_event(made, "c2", "create", COPY) == "n1"
    made.nonces.created("shop-web-2", "c2")
    assert nonce_in_event(made, "c2", "start", COPY) == "n1"
    assert nonce_in_listing(made, "c2", COPY) == "n1"


def test_one_of_composes_own_with_the_name_that_a_copy_had_is_not_ours() -> None:
    """It was stopped as if it was a late create of the agent's."""
    made = entries()
    made.nonces.creating("shop-web-2", "n1")
    made.nonces.created("shop-web-2", "c2")
    event = made.event(about("o2", "create", OF_COMPOSE))
    assert event is not None
    assert (event.nonce, event.foreign) == ("", True)
    assert nonce_in_event(made, "o2", "start", OF_COMPOSE) == ""
    assert nonce_in_listing(made, "o2", OF_COMPOSE) == ""


def test_a_copy_with_the_name_that_another_had_is_another_one() -> None:
    made = entries()
    made.nonces.creating("shop-web-2", "n1")
    made.nonces.created("shop-web-2", "c2")
    made.nonces.creating("shop-web-2", "n2")
    assert nonce_in_event(made, "c2", "destroy", COPY) == "", "late"
    assert nonce_in_event(made, "c3", "create", COPY) == "n2"
    assert nonce_in_listing(made, "c2", COPY) == "", "as old"
    assert nonce_in_listing(made, "c3", COPY) == "n2"


def test_a_copy_that_was_created_after_its_service_had_gone_is_left_over() -> None:
    made = entries()
    gone = {PROJECT: "shop", SERVICE: "gone", NUMBER: "2", COPY_OF: "o9"}

    def one(id: str, labels: dict[str, str], state: str = "created", created: float = 50.0) -> dict[str, Any]:
        return {"Id": id, "Labels": labels, "State": state, "Created": created}

    found = [one("c1", gone), one("c2", gone, "running"), one("c3", gone, created=90.0), one("c4", COPY)]
    found += [one("c5", gone | {PROJECT: "another"})]
    assert made.left_over(found, 100.0) == ["c1"]
    original = {PROJECT: "shop", SERVICE: "gone", NUMBER: "1"}
    assert made.left_over([*found, one("o1", original, "exited")], 100.0) == [], "it is there"


def test_a_service_that_comes_is_a_sign_of_compose_at_work() -> None:
    """Its container may take a place under the cap before it is a task."""
    made = entries()
    labels = {PROJECT: "shop", SERVICE: "new", NUMBER: "1", ENABLED: "true"}
    event = made.event(about("o7", "create", labels))
    assert event is not None
    assert (event.task, event.foreign) == ("new", True)
    assert made.event(about("o7", "exec_create", labels)) is None
    assert made.event(about("c7", "create", labels | {COPY_OF: "o7"})) is None
    del labels[ENABLED]
    assert made.event(about("o8", "create", labels)) is None
