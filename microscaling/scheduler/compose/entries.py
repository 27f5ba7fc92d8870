"""Containers of services in an engine's listings and events."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from microscaling.clients.docker.compose import ENABLED, Scope, is_copy, number_of, own_id, project_of
from microscaling.scheduler.compose.known import Found
from microscaling.scheduler.compose.known import State as Seen
from microscaling.scheduler.compose.nonces import Nonces
from microscaling.scheduler.compose.originals import Originals
from microscaling.scheduler.containers.backend import Event, ListedContainer, State
from microscaling.scheduler.docker.entries import (
    PODMAN_KINDS,
    REMOVING,
    STATES,
    Entries,
    address_in,
    exit_code_of,
    healthy_of,
    signal_of,
    text_of,
)

SIGNS = ("create", "destroy", "rename")
"""Kinds of events with which services come, go or change their labels."""
STOP = "15"
"""SIGTERM, as a number."""
LEFT_S = 15.0
"""Seconds from the create of a copy on, after which an agent does not start it any more."""
ENDS_OF_A_STOP = ("0", "137", "143")
"""Exit codes of a container that was asked to end."""


class ComposeEntries(Entries):
    """Parses the entries of one engine, and tells `originals` of them."""

    def __init__(self, originals: Originals) -> None:
        super().__init__()
        self.originals = originals
        self.scope: Scope | None = None
        """None before the first listing."""
        self.tasks: frozenset[str] = frozenset()
        """The names of all tasks: containers of others are left out."""
        self.services_change: Callable[[], None] = lambda: None
        """Called at a sign of other services, or of other labels."""
        self.changed: Callable[[str], None] = lambda project: None
        """Called with the project of a container of a task that has come or gone."""
        self.nonces = Nonces()
        self._own = own_id()
        self._killed: set[str] = set()
        """Ids of the containers of a Podman that got a signal."""

    def found(self, answer: Any) -> dict[str, Found]:
        """Returns the containers of the tasks in a listing, by id, the oldest first. Raises TypeError for an
        answer of another form."""
        if not isinstance(answer, list):
            raise TypeError(f"expected a list, got a {type(answer).__name__}")
        return {
            text_of(one["Id"]): Found(
                self._task_of(one.get("Labels")),
                one["Labels"],
                _state(one),
                exit_code_of(str(one.get("Status"))),
                str(one.get("ImageID") or ""),
                "(health: starting)" in str(one.get("Status")),
            )
            for one in reversed(answer)
            if self._task_of(one.get("Labels"))
        }

    def left_over(self, answer: Any, now: float) -> list[str]:
        """Returns the ids of the copies in a listing that were never started, and whose service has gone;
        `now` is the time of day. An engine may carry out a create after its service was removed."""
        # One that runs is not ours to judge: version 2 of Compose may have kept it in place of its own.
        named = [(self._service_of(one.get("Labels")), one) for one in answer]
        there = {name for name, one in named if not is_copy(one.get("Labels") or {})}
        return [
            text_of(one["Id"])
            for name, one in named
            if name and name not in there | self.tasks
            and one.get("State") == "created"
            and now - float(one.get("Created") or now) > LEFT_S
        ]  # fmt: skip

    def numbered(self, answer: Any) -> list[ListedContainer]:
        """Returns all of them, with their numbers."""
        return [
            self._listed(one, State.RUNNING) for one in reversed(answer) if self._task_of(one.get("Labels"))
        ]

    def listed(self, answer: Any) -> list[ListedContainer]:
        shown = []
        for one in reversed(answer):
            if not self._task_of(one.get("Labels")):
                continue
            state, id = STATES.get(str(one.get("State")), State.RUNNING), one["Id"]
            if state is not State.RUNNING and self.originals.is_original(id):
                if self.originals.lent(id):
                    state = State.CREATED  # as if it were a new one
                elif state is State.CREATED:
                    continue  # Compose is going to start it
            shown.append(self._listed(one, state))
        return shown

    def event(self, event: Any) -> Event | None:
        try:
            attributes = event["Actor"]["Attributes"]
            id, kind = text_of(event["Actor"]["ID"]), text_of(event["Action"])
            task = self._task_of(attributes)
            service = self.scope.task_of(attributes) if self.scope is not None else ""
        except (LookupError, TypeError, AttributeError) as error:
            self._name("event", f"an event of the engine cannot be read ({error!r:.60}): it is skipped")
            return None
        kind = PODMAN_KINDS.get(kind, kind)
        if service and kind in SIGNS and not is_copy(attributes):
            self.services_change()
        if not task:
            if service and id != self._own:
                signal, project = str(attributes.get("signal", "")), service.rpartition("/")[0]
                self.originals.bystander(project, kind, signal, time.monotonic())
            told = self.originals.caused(id, kind, time.monotonic())  # of a change, by ourselves
            others = kind == "kill" and id != self._own and not told
            if others and self.scope is not None and self.scope.has(attributes):
                self.originals.stirred_at = time.monotonic()
            # A service that comes is no task yet, and Compose is at work on its project all the same.
            comes = (
                service and ENABLED in attributes and kind in ("create", "start") and not is_copy(attributes)
            )
            return Event(kind, id, service, foreign=True) if comes else None
        # Everything of a task goes to `originals`, the events that are no news for the reconciler, too.
        code = str(attributes.get("exitCode", ""))
        detail = code if kind == "die" else str(attributes.get("signal", ""))
        if "containerExitCode" in attributes and self._is_end_of_a_stop(id, kind, code):
            self.originals.event(id, "kill", task, attributes, STOP, time.monotonic(), mine=False)
        nonce = self.originals.lent(id)
        if not nonce and is_copy(attributes):
            nonce = self.nonces.of_event(kind, str(attributes.get("name", "")), id)
        mine = kind == "create" and bool(nonce)
        effect = self.originals.event(id, kind, task, attributes, detail, time.monotonic(), mine)
        if kind == "stop" and not effect.ends:
            return None  # its end is known
        exit_code = int(code) if code.isdecimal() and len(code) < 10 else None
        if kind in ("start", "die"):
            self.changed(project_of(attributes))
        kind = "die" if effect.ends else kind
        signal = signal_of(attributes)
        return Event(
            kind, id, task, nonce, exit_code, effect.foreign, effect.restarts, effect.returns, signal
        )

    def _is_end_of_a_stop(self, id: str, kind: str, code: str) -> bool:
        """True for the end of a container that Podman may have been asked to stop."""
        # Podman reports a signal only if it was asked for that one alone, as by `docker kill`.
        if kind == "kill":
            self._killed.add(id)
        elif kind == "die" and id not in self._killed:
            return code in ENDS_OF_A_STOP
        elif kind != "pause":
            self._killed.discard(id)
        return False

    def _task_of(self, labels: Any) -> str:
        name = self._service_of(labels)
        return name if name in self.tasks else ""

    def _service_of(self, labels: Any) -> str:
        return self.scope.task_of(labels) if self.scope is not None else ""

    def _listed(self, one: Mapping[str, Any], state: State) -> ListedContainer:
        names = one.get("Names") or [""]
        name = str(names[0]).removeprefix("/")
        nonce = self.originals.lent(one["Id"])
        if not nonce and is_copy(one["Labels"]):
            nonce = self.nonces.of_listed(name, one["Id"])
        return ListedContainer(
            id=one["Id"],
            task=self._task_of(one.get("Labels")),
            state=state,
            created=float(self.originals.rank(one["Id"]) or 0),
            nonce=nonce,
            number=number_of(one["Labels"]),
            exit_code=exit_code_of(str(one.get("Status"))),
            healthy=healthy_of(str(one.get("Status"))),
            address=address_in(one),
            paused=one.get("State") == "paused",
            restarting=one.get("State") == "restarting",
            name=name,
            removing=one.get("State") in REMOVING,
        )


def _state(one: Mapping[str, Any]) -> Seen:
    state = str(one.get("State"))
    if state in ("paused", "restarting"):
        return Seen(state)
    return Seen(STATES.get(state, State.RUNNING).value)
