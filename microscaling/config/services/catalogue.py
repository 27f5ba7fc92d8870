"""The services as they were found last, and their tasks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from microscaling.config.services.summary import summary_of
from microscaling.demand.change import Change
from microscaling.demand.task import Task
from microscaling.errors import ConfigError
from microscaling.log import keep_secret
from microscaling.settings import Settings
from microscaling.utils.text import few, one_line

if TYPE_CHECKING:
    from microscaling.config.services.discovery import Service

log = logging.getLogger("mssconfig")


@dataclass(frozen=True)
class Entry:
    """One service."""

    service: Service
    task: Task | None = None
    """None: it is switched off, or its labels have mistakes."""
    mistake: str = ""
    """What is wrong with its labels; empty: nothing."""

    def says_the_same(self, service: Service) -> bool:
        """True if the labels of the service, and the number of its containers that can run, are the same."""
        mine = self.service
        return (
            mine.labels, mine.most, mine.reasons, mine.refusal, mine.in_memory, mine.nameless, mine.networks,
        ) == (
            service.labels, service.most, service.reasons, service.refusal, service.in_memory,
            service.nameless, service.networks,
        )  # fmt: skip


class Catalogue:
    """Compares the services with those that the agent has, and logs what there is to know of each.

    `cap`: the number of containers that they share; `variables`: patterns of the agent's variables that
    labels may use; `problems`: yields what in a task and its labels cannot be done here.
    """

    def __init__(
        self,
        cap: int,
        settings: Settings,
        variables: tuple[str, ...] = (),
        problems: Callable[[Task, Mapping[str, str]], Iterable[str]] = lambda task, labels: (),
    ) -> None:
        self.problems = problems
        self.cap = cap
        self.settings = settings
        self.variables = variables
        self._entries: dict[str, Entry] = {}
        self._taken: dict[str, Task] = {}
        """The tasks that the agent has."""

    def read(self, services: Iterable[Service]) -> Change:
        """Returns the difference between these services and those that the agent has."""
        known, self._entries = self._entries, {}
        for service in services:
            entry = known.get(service.name)
            if entry is None or entry.service != service:
                entry = self._entry(service, entry)
            self._entries[service.name] = entry
        for name in sorted(known.keys() - self._entries.keys()):
            log.info("service %s has gone", one_line(name))
        tasks = self._tasks()
        ended = self._taken.keys() - tasks.keys()
        left = {name for name in ended if name in self._entries and self._entries[name].mistake}
        changed = [task for name, task in tasks.items() if self._taken.get(name) is not task]
        return Change(tuple(changed), frozenset(ended - left), frozenset(left))

    def take(self) -> list[Task]:
        """Notes that the agent has what was read last; returns its tasks."""
        self._taken = self._tasks()
        return list(self._taken.values())

    def left_alone(self) -> dict[str, str]:
        """Returns the mistakes in the labels of those that cannot be tasks, by the names of the services."""
        found = sorted(self._entries.items())
        return {name: entry.mistake for name, entry in found if entry.mistake}

    def _tasks(self) -> dict[str, Task]:
        return {name: entry.task for name, entry in self._entries.items() if entry.task is not None}

    def _entry(self, service: Service, old: Entry | None) -> Entry:
        shown = one_line(service.name)
        if old is not None and old.says_the_same(service):
            if service.notes != old.service.notes:
                _note(service)
            # The same metric and rule: what was measured with these counts on.
            return replace(old, service=service, task=old.task and _with_container(old.task, service))
        try:
            task = self._task_of(service)
        except ConfigError as error:
            # Not raised: those who write other services should not have to wait for this one.
            for problem in error.problems:
                log.error("service %s: %s", shown, problem)
            log.error("service %s is left alone until its labels are right", shown)
            return Entry(service, mistake=one_line("; ".join(error.problems)))
        if task is None:
            if old is not None and old.task is not None:
                log.info("service %s is switched off: it is not scaled any more", shown)
            return Entry(service)
        _note(service)
        again = "" if old is None or old.task is None else "has other labels now: "
        log.info("service %s: %s%s", shown, again, summary_of(task, service.running))
        return Entry(service, task)

    def _task_of(self, service: Service) -> Task | None:
        """Returns the task of a service; None if it is switched off. Raises ConfigError for mistakes."""
        from microscaling.config.services.labels import is_enabled
        from microscaling.config.services.task import task_of

        shown = one_line(service.name)
        if not is_enabled(service.labels):
            return None
        if service.refusal:
            raise ConfigError(service.refusal)
        warnings: list[str] = []
        task = task_of(
            service.name, service.labels, self.cap, self.settings, warnings.append, self.variables
        )  # fmt: skip
        # Before any message about the task, so that the log masks them.
        keep_secret(secret for source in task.metric.sources for secret in source.secrets)
        for warning in warnings:
            log.warning("service %s: %s", shown, warning)
        for source in task.metric.sources:
            source.check()
        problems = list(self.problems(task, service.labels))
        if problems:
            raise ConfigError(*problems)
        _check_files(task, service)
        _check_web(task, service)
        task = _with_container(task, service)
        _limit(task, service)
        return task


def _note(service: Service) -> None:
    for note in service.notes:
        log.warning("service %s: %s", one_line(service.name), note)


def _check_files(task: Task, service: Service) -> None:
    """Raises ConfigError if an engine would not see the busy file of a service, or those of its handshake."""
    # Imported only here, like the readers of labels: an agent without services has no use for it.
    from microscaling.api.schema.busy import FILE, UNSEEN, below
    from microscaling.api.schema.warming import UNSEEN as NOT_SHOWN
    from microscaling.config.services.names import PREFIX, kebab

    warm, busy = task.warm, task.busy
    found = [(kebab(FILE.key), busy.path if busy is not None else "", UNSEEN)]
    if warm is not None:
        found += [("warm-after.file", warm.after, NOT_SHOWN), ("go.file", warm.file, NOT_SHOWN)]
    for label, path, why in found:
        hidden = below(path, service.in_memory) if path else ""
        if hidden:
            raise ConfigError(f"{PREFIX}{label}: {why.format(hidden)}")


def _check_web(task: Task, service: Service) -> None:
    """Raises ConfigError if the containers of a web task have no names to take away and give."""
    from microscaling.api.schema.web import NETWORKS, WEB
    from microscaling.clients.docker.nameless import is_named
    from microscaling.config.services.names import PREFIX, kebab

    if task.web is None:
        return
    if service.nameless:
        raise ConfigError(f"{PREFIX}{WEB.key}: {service.nameless}")
    for name in task.web.networks:
        if not any(is_named(network, name, service.project) for network in service.networks):
            there = few(list(service.networks))
            raise ConfigError(f"{PREFIX}{kebab(NETWORKS.key)}: {name} is not among its networks: {there}")


def _with_container(task: Task, service: Service) -> Task:
    container = replace(task.container, stop_grace_s=service.stop_grace_s)
    return replace(task, image=service.image, container=container)


def _limit(task: Task, service: Service) -> None:
    """Lowers the maximum to the number of containers that can run."""
    # A maximum that cannot be reached would keep its share of the cap from the others.
    if service.most is None:
        return
    if task.schedule is not None:
        task.schedule = task.schedule.within(service.most)
    if task.max_containers <= service.most:
        return
    for reason in service.reasons:
        log.warning("service %s cannot have %d containers, but %d: %s",
                    one_line(service.name), task.max_containers, service.most, reason)  # fmt: skip
    task.max_containers = service.most
    task.min_containers = min(task.min_containers, service.most)
    task.max_delta = task.max_containers - task.min_containers
