"""The metric of a queue of Dramatiq, with Redis as its broker."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from typing import Any

from microscaling.metric.base import Measurement
from microscaling.metric.redis_jobs import LOOK_AT, LOOK_AT_ETA, URL, Answers, Command, JobsMetric, count
from microscaling.plugins import Field
from microscaling.settings import Settings

NAMESPACE = "dramatiq"
HEARTBEAT_S = 60.0
"""Dramatiq's default of heartbeat_timeout."""
MOST_GONE = 100
"""Processes without a heartbeat that are asked about, the latest first; those that have only sent messages
are among them, too."""


class DramatiqMetric(JobsMetric):
    """The messages of a queue of Dramatiq (items).

    A worker takes two messages for each of its threads, and all that are for later. Those of a process whose
    heartbeat is late are stuck.
    """

    type_name, summary = "Dramatiq", "the messages of a queue of Dramatiq, with Redis as its broker (Python)"
    fields = (
        URL,
        Field("queueName", "Queue", default="default"),
        Field("namespace", "Namespace", default=NAMESPACE, hint="of the broker"),
        LOOK_AT_ETA,
        Field(
            "heartbeatTimeoutSeconds",
            "Heartbeat time-out",
            kind="number",
            default=HEARTBEAT_S,
            hint="heartbeat_timeout of the broker: a process that is silent for longer is gone",
        ),
    )
    may_be_missing = False

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> DramatiqMetric:
        return cls(
            values["url"],
            values["queueName"],
            values["namespace"],
            values["lookAtEta"],
            values["heartbeatTimeoutSeconds"],
        )

    def __init__(
        self,
        url: str,
        queue: str = "default",
        namespace: str = NAMESPACE,
        look_at: int = LOOK_AT,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self.namespace = namespace
        self.look_at = look_at
        self.heartbeat_s = heartbeat_s
        super().__init__(url, queue, namespace, look_at, heartbeat_s)

    def commands(self, now: float) -> list[Command]:
        ready = f"{self.namespace}:{self.queue}"
        # The list loses what a worker takes; the messages themselves stay in the hash until they are done.
        gone = int((now - self.heartbeat_s) * 1000)
        return [
            ("LLEN", ready),
            ("HLEN", f"{ready}.msgs"),
            ("HLEN", f"{ready}.DQ.msgs"),
            # Those for later that no worker has taken, in the order in which they were sent.
            ("LRANGE", f"{ready}.DQ", "0", self.look_at - 1) if self.look_at else ("LRANGE", ready, "1", "0"),
            ("ZREVRANGEBYSCORE", f"{self.namespace}:__heartbeats__", gone, "-inf", "LIMIT", "0", MOST_GONE),
        ]

    def further(self, first: list[Any]) -> list[Command]:
        later, gone = first[3:]
        # A worker that lives has such sets, too, and they are not looked at: only the dead have to be found.
        acks = f"{self.namespace}:__acks__.".encode()
        asked: list[Command] = [
            ("SCARD", acks + process + f".{self.queue}{suffix}".encode())
            for suffix in ("", ".DQ")
            for process in gone
        ]
        return [*asked, ("HMGET", f"{self.namespace}:{self.queue}.DQ.msgs", *later)] if later else asked

    def measurement(self, answers: Answers) -> Measurement:
        ready, known, later = map(count, answers.first[:3])
        looked_at, gone = answers.first[3:]
        *stuck, messages = answers.further if looked_at else [*answers.further, []]
        of_ready, of_later = sum(map(count, stuck[: len(gone)])), sum(map(count, stuck[len(gone) :]))
        # A worker that has taken a message for later moves it itself once it is due.
        due = sum(_eta_ms(message) <= answers.now * 1000 for message in messages)
        taken = max(0, known - ready)  # the acknowledged ones of a queue that was flushed
        return Measurement(
            ready + due, max(0, taken - of_ready), of_ready + of_later, max(0, later - due - of_later)
        )

    def exists(self, first: list[Any]) -> bool:
        return any(first[:3])

    def known_in(self) -> str:
        return f"{self.namespace}:*.msgs"

    def name_in(self, entry: str) -> str:
        name = entry.removeprefix(f"{self.namespace}:").removesuffix(".msgs")
        return name.removesuffix(".DQ").removesuffix(".XQ")


@functools.lru_cache(8192)
def _eta_ms(message: bytes | None) -> float:
    """Returns the time at which a message for later is due (Unix milliseconds); infinity if that cannot be
    read. The same ones are looked at in each beat."""
    try:
        return float(json.loads(message or b"")["options"]["eta"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return math.inf  # taken since, or not in JSON


TYPE = DramatiqMetric
