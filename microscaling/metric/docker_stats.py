"""The statistics that a Docker engine has of the running containers of all tasks."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from microscaling.clients.docker.labels import LABEL
from microscaling.clients.docker.stat import memory_of, seconds_of
from microscaling.errors import UNEXPECTED, ConfigError, MetricError
from microscaling.metric.base import Source
from microscaling.settings import Settings
from microscaling.utils.text import cause_of

DEADLINE_S = 3.0
"""Docker 20.10 answers each question about a container only at its own next measurement, up to a second
later, however it is asked."""
LOOK_S = 1.0
"""Least time between the beginnings of two looks."""
MOST = 64
"""Containers that are asked for in one look, all at the same time; of more, those whose turn it is."""
PER_S = 50
"""Containers that are asked for in a second, at most: the engine reads some files of the kernel for each."""
FIRST_S = 0.5
"""Time between the first two looks, as the use of a processor is the difference of two."""
STARTING = "(health: starting)"
"""In the listing's text about a container whose health check has not passed yet."""
SCHEDULERS = ("DOCKER", "COMPOSE")


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of a container."""

    at: float
    """By the engine's clock (Unix seconds)."""
    processor_ns: int
    """Processor time since its start (nanoseconds)."""
    memory: int
    """Memory in use, without files that the kernel could drop (bytes)."""
    limit: int
    """Bytes that it may use; 0: it has no limit of its own."""


@dataclass(frozen=True, slots=True)
class Used:
    """A running container, and its samples, the oldest first."""

    age_s: float
    """Time since its start, at its last sample; -1: it is not healthy yet, or was not asked for."""
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """The containers of all tasks at one time (monotonic seconds)."""

    at: float
    by_task: Mapping[str, Sequence[Used]]


@dataclass(slots=True)
class _Known:
    """A container that was asked for before."""

    started: float
    limited: bool
    samples: deque[Sample] = field(default_factory=deque)


class DockerStats(Source):
    """The statistics of one engine. It is asked at most once a second, and less often for many containers; in
    between the answer is the last one."""

    def __init__(self, settings: Settings, average_s: float) -> None:
        self.key = ("docker", settings.docker_host, settings.scheduler.upper())
        self.name = f"Docker engine {settings.docker_host}"
        self.average_s = average_s
        """The longest time over which a task takes the average (seconds)."""
        self._settings = settings
        self._deadline_s = self.timeout_s = DEADLINE_S
        self._reader: Any = None
        self._scope: Any = None
        self._known: dict[str, _Known] = {}
        self._last: Look | None = None
        self._next = 0.0
        self._threads: list[threading.Thread] = []

    def check(self) -> None:
        if self._settings.scheduler.upper() not in SCHEDULERS:
            raise ConfigError(
                "metricType Docker measures containers of a Docker engine: it needs "
                f"MSS_SCHEDULER={' or '.join(SCHEDULERS)}, not {self._settings.scheduler}"
            )

    def also(self, other: Source) -> None:
        if isinstance(other, DockerStats):
            self.average_s = max(self.average_s, other.average_s)

    def fetch(self) -> Look:
        begun = time.monotonic()
        if self._last is not None and begun < self._next:
            return self._last
        until = begun + self._deadline_s
        try:
            look = self._look(until)
            took = time.monotonic() - begun
            pause_s = max(0.0, FIRST_S - took)
            if self._last is None and look.by_task and 2 * took + pause_s < self._deadline_s:
                time.sleep(pause_s)
                look = self._look(until)
        except MetricError:
            self.close()
            raise
        self._next = begun + max(LOOK_S, min(MOST, len(self._known)) / PER_S)
        self._last = look
        return look

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._deadline_s = seconds

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()

    def _look(self, until: float) -> Look:
        try:
            return self._looked(until)
        except MetricError:
            raise
        except TimeoutError:
            raise MetricError(f"{self.name}: no complete answer within {self._deadline_s:g} s") from None
        except Exception as error:
            raise MetricError(f"{self.name}: {self._reason(error)}") from None

    def _reason(self, error: Exception) -> str:
        from docker.errors import APIError, DockerException
        from requests import RequestException

        from microscaling.clients.docker.errors import said
        from microscaling.clients.docker.unreachable import explained

        if isinstance(error, (APIError, DockerException)):
            return said(error)
        if isinstance(error, (RequestException, OSError)):
            return said(explained(error, self._settings.docker_host, self._settings.docker_chosen))
        if isinstance(error, UNEXPECTED):
            return f"this is not an answer of a Docker engine ({type(error).__name__})"
        return cause_of(error)

    def _looked(self, until: float) -> Look:
        at = time.monotonic()
        tasks, starting = self._listed(until)
        # One that has ended, or was frozen, begins anew when it is back.
        self._known = {id: known for id, known in self._known.items() if id in tasks}
        for id, sample in self._samples(self._turn(tasks), until).items():
            self._keep(self._known[id], sample)
        by_task: dict[str, list[Used]] = {}
        for id, task in tasks.items():
            known = self._known.get(id)
            samples = tuple(known.samples) if known is not None else ()
            age_s = (
                samples[-1].at - known.started
                if known is not None and samples and id not in starting
                else -1.0
            )
            by_task.setdefault(task, []).append(Used(age_s, samples))
        return Look(at, by_task)

    def _turn(self, ids: Collection[str]) -> list[str]:
        """Returns the containers to ask for: those whose last sample is the oldest, and new ones."""
        if len(ids) <= MOST:
            return [*ids]
        last = {id: self._known[id].samples[-1].at if id in self._known else 0.0 for id in ids}
        return sorted(ids, key=lambda id: last[id])[:MOST]

    def _keep(self, known: _Known, sample: Sample) -> None:
        samples = known.samples
        if samples and sample.at <= samples[-1].at:  # the engine's last measurement once more
            return
        samples.append(sample)
        # One more than the average needs, from which its first interval begins.
        while len(samples) > 2 and samples[1].at <= sample.at - self.average_s:
            samples.popleft()

    def _listed(self, until: float) -> tuple[dict[str, str], set[str]]:
        """Returns the task of each running container, by id, and those whose health check has not passed."""
        reader = self._reader_now()
        of_compose = self._settings.scheduler.upper() == "COMPOSE"
        label = LABEL
        if of_compose:
            from microscaling.clients.docker.compose import ENABLED, scope_of

            label = ENABLED
            if self._scope is None:
                self._scope = scope_of(reader.client(until), os.environ.get("MSS_COMPOSE_PROJECT", ""))
        listed = reader.json("/containers/json", until, filters=json.dumps({"label": [label]}))
        tasks, starting = {}, set()
        for one in listed:
            labels = one.get("Labels") or {}
            task = self._scope.task_of(labels) if of_compose else labels.get(LABEL)
            # Frozen ones are listed, too.
            if task and one["State"] == "running":
                tasks[str(one["Id"])] = str(task)
                if STARTING in str(one.get("Status")):
                    starting.add(str(one["Id"]))
        return tasks, starting

    def _reader_now(self) -> Any:
        if self._reader is None:
            from microscaling.clients.docker.reader import EngineReader

            s = self._settings
            self._reader = EngineReader(
                s.docker_host, s.docker_tls_verify, s.docker_cert_path, s.docker_chosen
            )
        return self._reader

    def _samples(self, ids: Collection[str], until: float) -> dict[str, Sample]:
        """Asks for containers side by side. Those that have ended meanwhile are left out. Raises the first
        error."""
        if any(thread.is_alive() for thread in self._threads):
            raise TimeoutError
        found: dict[str, Sample] = {}
        failed: list[Exception] = []

        def ask(id: str) -> None:
            try:
                if (sample := self._sample(id, until)) is not None:
                    found[id] = sample
            except Exception as error:
                failed.append(error)

        # One after the other each would wait for the engine's own next measurement.
        self._threads = [threading.Thread(target=ask, args=(id,), name=self.name, daemon=True) for id in ids]
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        if failed:
            raise failed[0]
        if any(thread.is_alive() for thread in self._threads):
            raise TimeoutError
        return {id: found[id] for id in ids if id in found}

    def _sample(self, id: str, until: float) -> Sample | None:
        """Returns a new sample of a container; None if it does not run any more."""
        # Without `one-shot` the engine would wait a second or two for another measurement of its own.
        stats = self._reader.json(f"/containers/{id}/stats", until, **{"stream": "false", "one-shot": "true"})
        at = None if stats is None else seconds_of(stats["read"])
        if at is None or at <= 0:  # the year 1, of a container that has ended
            return None
        used = int(stats["cpu_stats"]["cpu_usage"]["total_usage"])
        known = self._known.get(id)
        if known is None or (known.samples and used < known.samples[-1].processor_ns):  # started again
            known = self._inspected(id, until)
            if known is None:
                return None
            self._known[id] = known
        memory = memory_of(stats)
        if memory is None:
            return None
        limit = int(stats["memory_stats"].get("limit") or 0) if known.limited else 0
        return Sample(at, used, memory, limit)

    def _inspected(self, id: str, until: float) -> _Known | None:
        found = self._reader.json(f"/containers/{id}/json", until)
        started = None if found is None else seconds_of(found["State"]["StartedAt"])
        if found is None or started is None:
            return None
        # Without one the engine gives the memory of the whole machine.
        return _Known(started, bool(found["HostConfig"].get("Memory")))
