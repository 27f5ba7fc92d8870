"""One container of a service, as listings and events have shown it, and the policies of its service."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from microscaling.clients.docker.compose import config_of, is_copy, number_of

KILL = "9"
GIVEN_BACK_S = 3.0
"""Longest time from the end of a container to the moment when it may be started again."""
COPIES = 1_000_000
"""Added to the number of a copy for its rank."""
SHOWN_S = 4.0
"""A listing may show a container as running for so long after the event of its end."""
BEGINS_S = 10.0
"""Longest time from the create of a container by Compose to its start, on a busy machine."""


class State(Enum):
    """The state of a container in a listing."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    EXITED = "exited"


STOPPED = (0, 137, 143, None)
"""Exit codes of a container that may have been stopped by a command, without an event of it."""
LIVES = (State.RUNNING, State.PAUSED, State.RESTARTING)


@dataclass(frozen=True, slots=True)
class Found:
    """A container in a listing."""

    task: str
    labels: Mapping[str, Any]
    state: State
    exit_code: int | None = None
    image: str = ""
    """The id of its image."""
    unready: bool = False
    """Its health check has not succeeded yet."""

    @property
    def lives(self) -> bool:
        """It runs, is paused, or is about to be started again by its engine."""
        return self.state in LIVES

    @property
    def may_be_stopped(self) -> bool:
        """It has ended as after a stop."""
        return self.exit_code in STOPPED


@dataclass(frozen=True, slots=True)
class Key:
    """The configuration that a container is made from, which only Compose can compare with its file."""

    config: str
    image: str
    """The id of its image; "" if it is not known."""

    def differs(self, other: Key) -> bool:
        """True if the two are known to differ."""
        return self.config != other.config or (bool(self.image and other.image) and self.image != other.image)


@dataclass(slots=True)
class Known:
    """One container."""

    task: str
    number: int
    copy: bool
    key: Key
    began: bool = False
    """It has been started."""
    running: bool = False
    shown: bool = False
    """A listing has shown its start, of which there was no event yet."""
    paused: bool = False
    restarting: bool = False
    """The engine itself is about to start it again."""
    unready: bool = False
    """Its health check has not succeeded yet, as far as is known."""
    condemned_until: float = 0.0
    """A command asked it to end: until then it is no model for a copy."""
    may_return: bool = False
    """It was asked by a stop signal, not killed: `restart` begins in that way, too."""
    ended_at: float = float("-inf")
    """Time of the event of its end, monotonic seconds."""
    stopped: bool = False
    """It is for Compose to start: Compose has stopped it, or is about to start it."""
    held: bool = False
    """The reconciler knows it: it cannot stand for a new one before it was given back."""
    lent: str = ""
    """The nonce of the create that it has answered: it is to be started again."""
    made_at: float = float("-inf")
    """Time of its create, or of the first listing that showed it created, monotonic seconds."""
    learned: bool = False
    """Its policies have been read."""
    touched: int = 0
    """Serial number of the last event or call, which an older listing does not show."""

    @classmethod
    def of(cls, task: str, labels: Mapping[str, Any]) -> Known:
        """Returns a new one, from its labels."""
        # Compose 1.29 has no label for the image: a listing shows it.
        return cls(task, number_of(labels), is_copy(labels), Key(*config_of(labels)))

    @property
    def project(self) -> str:
        """The project, where the names of tasks begin with it."""
        return self.task.rpartition("/")[0]

    @property
    def rank(self) -> int:
        """The place in the order of stops: copies go before Compose's own containers."""
        return self.number + COPIES * self.copy

    def begins(self, now: float) -> bool:
        """True if Compose has created it and is about to start it."""
        # Not for ever, as after `up --no-start` it stays as it is.
        return not (self.copy or self.began) and now - self.made_at < BEGINS_S

    def has_just_ended(self, now: float) -> bool:
        """True if a listing may still show it as running."""
        # An engine has an event of an end long before its listings show it, on a busy machine: without the
        # start event, a service that was stopped would come back to life.
        return now - self.ended_at < SHOWN_S


@dataclass(slots=True)
class Policy:
    """The part of a service that decides about the ends of its containers, and when they are ready."""

    stop_signals: frozenset[str] = frozenset({"15", KILL})
    grace_s: float = 10.0
    restart: str = "no"
    checked: bool = False
    """There is a health check."""

    @classmethod
    def of(cls, inspected: Mapping[str, Any]) -> Policy:
        """Returns that of an inspected container."""
        config = inspected["Config"]
        name = str(config.get("StopSignal") or "SIGTERM").upper()
        known = signal.Signals.__members__.get(name if name.startswith("SIG") else f"SIG{name}")
        timeout = config.get("StopTimeout")
        restart = (inspected["HostConfig"].get("RestartPolicy") or {}).get("Name") or "no"
        number = str(known.value) if known else name
        test = (config.get("Healthcheck") or {}).get("Test") or ["NONE"]
        return cls(
            frozenset({"15", KILL, number}),
            10.0 if timeout is None else float(timeout),
            str(restart),
            test[0] != "NONE",
        )

    def restarts(self, exit_code: str) -> bool:
        """True if the engine itself starts a container again after this end."""
        return self.restart in ("always", "unless-stopped") or (
            self.restart == "on-failure" and exit_code != "0"
        )


@dataclass(frozen=True, slots=True)
class Effect:
    """The meaning of an event."""

    foreign: bool = False
    """It was not caused by the agent, but for example by Compose."""
    returns: bool = False
    """The container has ended, and Compose may be about to start it again."""
    restarts: bool = False
    """The container has ended, and the engine itself starts it again."""
    ends: bool = False
    """The engine was to start it again, and does not any more."""
