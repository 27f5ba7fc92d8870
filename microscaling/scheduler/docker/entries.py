"""Single containers in a Docker engine's listings and events.

An invalid entry is logged once and skipped: it may belong to a container with our label from somewhere else,
and the others still count.
"""

from __future__ import annotations

import logging
import math
import re
from signal import Signals
from typing import Any

from microscaling.scheduler.containers.backend import Event, ListedContainer, State
from microscaling.scheduler.docker.body import AGENT_LABEL, LABEL, NONCE_LABEL, NUMBER_LABEL, VERSION_LABEL
from microscaling.utils.address import number_of
from microscaling.utils.text import quoted

log = logging.getLogger("mssscheduler")

# Podman before version 5 filters events by its own words only.
STATES = {"created": State.CREATED, "exited": State.EXITED, "dead": State.EXITED, "removing": State.EXITED}
"""All other states count as running: running, paused, restarting."""
REMOVING = ("dead", "removing")
"""A container is in one of these for as long as its removal fails; the engine refuses to start it then."""
PODMAN_KINDS = {"died": "die", "remove": "destroy"}
"""Podman's words for kinds of events."""
EXITED = re.compile(r"Exited \((\d{1,9})\)")
HEALTH = re.compile(r"\((healthy|unhealthy|health: starting)\)$")
NUMBER = re.compile(r"[0-9]{1,9}")
MAX_NAMED = 1000


class Entries:
    """Parses the entries of one engine. Only the listing thread calls `listed`, only the stream's thread
    `event`."""

    def __init__(self) -> None:
        self._named: set[str] = set()

    def listed(self, answer: Any) -> list[ListedContainer]:
        """Returns the containers of GET /containers/json (newest first), oldest first. Raises TypeError for
        an answer of another form."""
        if not isinstance(answer, list):
            raise TypeError(f"expected a list, got a {type(answer).__name__}")
        # The time of creation is in whole seconds, so the order in the listing decides between equal ones.
        found = [self._seen(entry, place) for place, entry in enumerate(reversed(answer))]
        if found and not any(seen.id for seen in found):
            raise TypeError("no entry has an id")
        return found

    def event(self, event: Any) -> Event | None:
        """Parses a message of GET /events; returns None for an invalid one, or another label."""
        try:
            attributes = event["Actor"]["Attributes"]
            kind, id = text_of(event["Action"]), text_of(event["Actor"]["ID"])
            if LABEL not in attributes:
                return None
            code = attributes.get("exitCode")
            return Event(
                kind=PODMAN_KINDS.get(kind, kind),
                id=id,
                task=_text_or_none(attributes.get(LABEL)),
                nonce=_text_or_none(attributes.get(NONCE_LABEL)),
                exit_code=int(code)
                if isinstance(code, str) and code.isdecimal() and len(code) < 10
                else None,
                signal=signal_of(attributes),
            )
        except (LookupError, TypeError, AttributeError) as error:
            self._name("event", f"an event of the engine cannot be read ({_of(error)}): it is skipped")
            return None

    def _seen(self, entry: Any, place: int) -> ListedContainer:
        id = _text_or_none(entry.get("Id")) if isinstance(entry, dict) else ""
        if not id:
            self._name("", "an entry of the engine's listing has no id: it is skipped")
            return ListedContainer("", "", State.UNREAD, 0.0)
        labels = entry.get("Labels")
        if not isinstance(labels, dict):
            self._name(id, f"container {id[:12]} cannot be read in the engine's listing: it is skipped")
            return ListedContainer(id, "", State.UNREAD, 0.0)
        task = labels.get(LABEL)
        if not isinstance(task, str) or not task.strip():
            value = quoted(task) if isinstance(task, str) else f"{task!r:.40}"
            self._name(
                id,
                f"container {id[:12]} has our label {LABEL}, but its value {value} names no task: it is left "
                f"alone, and does not count; `docker rm -f {id[:12]}` would end it",
            )
            return ListedContainer(id, "", State.UNREAD, 0.0)
        state = entry.get("State")
        if not isinstance(state, str):
            self._name(id, f"container {id[:12]}: the listing of the engine does not have its state")
        created = entry.get("Created")
        good = isinstance(created, (int, float)) and math.isfinite(created)
        return ListedContainer(
            id=id,
            task=task,
            state=STATES.get(state, State.RUNNING) if isinstance(state, str) else State.UNREAD,
            created=(float(created) if good else 0.0) + place * 1e-6,
            nonce=_text_or_none(labels.get(NONCE_LABEL)),
            agent=_text_or_none(labels.get(AGENT_LABEL)),
            number=_number(_text_or_none(labels.get(NUMBER_LABEL))),
            exit_code=exit_code_of(_text_or_none(entry.get("Status"))),
            paused=state == "paused",
            restarting=state == "restarting",
            name=_first_name(entry.get("Names")),
            healthy=healthy_of(_text_or_none(entry.get("Status"))),
            address=address_in(entry),
            version=_text_or_none(labels.get(VERSION_LABEL)),
            removing=state in REMOVING,
        )

    def _name(self, key: str, what: str) -> None:
        if key not in self._named and len(self._named) < MAX_NAMED:
            self._named.add(key)
            log.warning("%s", what)


def _first_name(names: Any) -> str:
    """Returns the name of a container; an engine writes it with a slash before it."""
    return _text_or_none(names[0]).removeprefix("/") if isinstance(names, list) and names else ""


def exit_code_of(status: str) -> int | None:
    """Parses "Exited (137) 4 seconds ago", the only place of the exit code in a listing."""
    found = EXITED.match(status)
    return int(found[1]) if found else None


def signal_of(attributes: Any) -> str:
    """Returns the signal of a `kill`, without SIG; empty if there is none."""
    given = str(attributes.get("signal") or "").upper()
    if not NUMBER.fullmatch(given):
        return given.removeprefix("SIG")
    try:
        return Signals(int(given)).name.removeprefix("SIG")
    except ValueError:  # a real-time signal
        return given


def healthy_of(status: str) -> bool | None:
    """Parses "Up 4 seconds (health: starting)"; None without a health check."""
    found = HEALTH.search(status)
    return None if found is None else found[1] == "healthy"


def address_in(entry: Any) -> int:
    """Returns the first IPv4 address of a container as a number; 0 if it has none."""
    settings = entry.get("NetworkSettings")
    networks = settings.get("Networks") if isinstance(settings, dict) else None
    if not isinstance(networks, dict):
        return 0
    endpoints = (networks[name] for name in sorted(networks, key=str))
    found = (number_of(str(one.get("IPAddress"))) for one in endpoints if isinstance(one, dict))
    return next(filter(None, found), 0)


def _number(label: str) -> int:
    return int(label) if NUMBER.fullmatch(label) else 0


def text_of(value: Any) -> str:
    """Returns a value that must be a text, and not empty. Raises TypeError."""
    if isinstance(value, str) and value:
        return value
    raise TypeError(f"expected text, got a {type(value).__name__}")


def _text_or_none(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _of(error: Exception) -> str:
    return f"{type(error).__name__}: {error!s:.40}"
