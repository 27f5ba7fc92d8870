"""Reads the keys for containers that are frozen in place of being stopped."""

from __future__ import annotations

from microscaling.api.schema.key import Key
from microscaling.api.schema.section import Section
from microscaling.demand.frozen import YIELD_S, Yielding
from microscaling.demand.task import Task

MAX_S = 7 * 86400.0
MAX_PAUSED = 100_000
PAUSE, STOP = "pause", "stop"
YIELD = Key(
    "yield",
    "Gives way by",
    default=STOP,
    meaning="`pause`: its containers are frozen when it gives way, and go on when it gets its places back; "
    "docs/warm.md",
    shape={"enum": [STOP, PAUSE]},
)
PAUSED = Key(
    "yieldPaused",
    "Frozen, at most",
    kind="whole",
    least=1,
    most=MAX_PAUSED,
    default_in_words="`maxContainers`",
    meaning="with `yield: pause`: so many are frozen at the same time, the others are stopped",
)
SECONDS = Key(
    "yieldSeconds",
    "Frozen for",
    kind="number",
    default=YIELD_S,
    least=1,
    most=MAX_S,
    meaning="with `yield: pause`: what has been frozen for so long is ended",
)
LEASE = Key(
    "leaseSeconds",
    "Lease of a job",
    kind="number",
    least=1,
    most=MAX_S,
    default_in_words="none",
    meaning="with `yield: pause` and a queue: seconds after which the queue gives a job without a sign of "
    "life to another worker; `yieldSeconds` must be below it",
)
KEYS = (YIELD, PAUSED, SECONDS, LEASE)
"""Keys of `config` for the way in which a task gives way."""


def read_yielding(config: Section, task: Task) -> Yielding | None:
    """Reads these keys of a task, all others of which are read; None if its containers are stopped."""
    before = len(config.notes.problems)
    way = config.text(YIELD.key) or STOP
    paused = config.whole(PAUSED.key, least=1, most=MAX_PAUSED)
    seconds = config.number(SECONDS.key, YIELD_S, MAX_S, "a number of seconds", 1.0)
    lease_s = config.number(LEASE.key, 0.0, MAX_S, "a number of seconds", 1.0)
    if way not in (PAUSE, STOP):
        config.wrong(YIELD.key, f"{PAUSE} or {STOP}", way)
    if len(config.notes.problems) > before:
        return None  # a default in their place may cause another problem
    if way == STOP:
        for key in KEYS[1:]:
            if config.take(key.key) is not None:
                config.notes.problem(
                    config.at(key.key), f"means nothing without {YIELD.key}: {PAUSE}; leave it out"
                )
        return None
    lease = config.take(LEASE.key)
    leased = lease is not None
    if isinstance(lease, (int, float)) and seconds >= lease_s:
        config.notes.problem(
            config.at(SECONDS.key),
            f"is {seconds:g}, and {LEASE.key} is {lease_s:g}: a job that is frozen for longer than its lease "
            "is done twice; give a number below that",
        )
    # Any other number may be that of a queue.
    of_queue = task.target.measures and not task.metric.of_containers and task.web is None
    waits, drain = of_queue and not leased, task.drain
    if waits and not (task.busy and drain is not None and drain.has_quiet and drain.can_resume):
        config.notes.problem(
            config.at(YIELD.key),
            f"a frozen worker keeps its job, and gets the next one too: add drain with a signal or hook and "
            f"its resume, and a sign of a busy container such as busyFile; or {LEASE.key}, after which the "
            f"queue gives a job to another; docs/warm.md",
        )
    given = config.take(PAUSED.key) is not None
    return Yielding(paused if given else max(1, task.max_containers), seconds, leased, waits)
