"""MSS_CONFIG=SERVICES."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from microscaling.config.base import Config, ConfigPlugin
from microscaling.config.services.catalogue import Catalogue
from microscaling.config.services.follower import Follower
from microscaling.demand.change import Change
from microscaling.demand.hints import hints
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import UNEXPECTED, ConfigError, MicroscalingError, PermanentError, TemporaryError
from microscaling.plugins import Variable
from microscaling.settings import Settings
from microscaling.utils.patience import Patience
from microscaling.utils.text import quoted
from microscaling.utils.threads import StoppableThread

if TYPE_CHECKING:
    import docker

    from microscaling.config.services.discovery import Discovery, Service
    from microscaling.config.services.swarm import SwarmDiscovery

log = logging.getLogger("mssconfig")

TIMEOUT_S = 10
MAX_RETRY_S = 5.0
CAP = "MSS_MAX_CONTAINERS"
SWARM = "SWARM"
AUTO = "auto"
MOST = 100_000
PROJECTS = Variable(
    "MSS_COMPOSE_PROJECT",
    "with `SERVICES`: Compose projects with commas between. Empty: the agent's own, or all if it is in none",
)
VARIABLES = Variable(
    "MSS_LABEL_VARIABLES",
    "with `SERVICES`: variables of the agent that labels may refer to as `${NAME}`: names and patterns with "
    "commas between. Empty: none",
)


@runtime_checkable
class Sized(Protocol):
    """Services on nodes of known size."""

    def cap(self) -> int:
        """Returns how many containers of the services have room."""


class ServicesConfig(Config):
    """The labels of the Compose services on an engine.

    Waits for the engine without a limit at the start. A service with a mistake in its labels is logged and
    left alone.
    """

    follows = True

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self.settings = settings
        self.by_nodes = environ.get(CAP, "").strip().lower() == AUTO
        """The cap follows the nodes of a swarm."""
        self.cap = 0 if self.by_nodes else _cap(environ.get(CAP, ""))
        self.projects = PROJECTS.read(environ)
        variables = tuple(filter(None, re.split(r"[\s,]+", VARIABLES.read(environ))))
        # A service without a maximum of its own may have any number, as the cap is another one tomorrow.
        self.catalogue = Catalogue(MOST if self.by_nodes else self.cap, settings, variables, self._problems)
        self._patience = Patience(log, MAX_RETRY_S)
        self._discovery: Discovery | SwarmDiscovery | None = None
        self._advice: frozenset[str] = frozenset()
        self._tasks: Tasks | None = None

    def get_apps(self, user_id: str) -> tuple[list[Task], int]:
        self.catalogue.read(self._patience.run(self._discovered))
        self.close()  # it is some time to the next look, or there is none
        tasks = self.catalogue.take()
        if not tasks:
            log.warning(
                "no service has the label microscaling.enable=true: nothing is scaled until one has it"
            )
        self._advice = frozenset(hints(tasks, self.cap))  # these are logged for every configuration
        self._advise(tasks)
        # Copies, as the tasks of the agent do not stay as they are.
        return [replace(task) for task in tasks], self.cap

    def follow(self, tasks: Tasks, take: Callable[[Change], None]) -> StoppableThread:
        self._tasks = tasks
        self._tell()
        return Follower(self, tasks.stale, take)

    def look(self, take: Callable[[Change], None]) -> None:
        """Reads the services again, and passes on what has changed. Raises TemporaryError and PermanentError,
        those of `take`, too; then nothing counts as passed on."""
        # Before the look, as this sets the cap along with the services.
        before = self.cap
        change = self.catalogue.read(self._discovered())
        self._tell()
        if self.cap != before:
            change = replace(change, cap=self.cap)
        if change:
            try:
                take(change)
            except MicroscalingError:
                self.cap = before  # to be passed on again
                raise
            if self.cap != before:
                log.info("the nodes have room for %d containers now, up to now it was %d", self.cap, before)
            self._advise(self.catalogue.take())

    @property
    def in_swarm(self) -> bool:
        """True if the services are those of a Swarm, and not of Compose."""
        return self.settings.scheduler == SWARM

    def _problems(self, task: Task, labels: Mapping[str, str]) -> Iterable[str]:
        # Imported only here, like the library of the engine.
        from microscaling.config.services.swarm import problems_in_swarm, problems_outside_swarms

        return problems_in_swarm(task, labels) if self.in_swarm else problems_outside_swarms(task, labels)

    def close(self) -> None:
        """Closes the connection to the engine."""
        if self._discovery is not None:
            self._discovery.close()

    def _tell(self) -> None:
        """Notes those that are left alone for people who ask for them."""
        if self._tasks is not None:
            left_alone = self.catalogue.left_alone()
            with self._tasks as tasks:
                tasks.left_alone = left_alone

    def _advise(self, tasks: list[Task]) -> None:
        """Logs what may not be meant so, each sentence once as long as it holds."""
        # The parser of tasks has seen them one by one.
        least = sum(task.min_containers for task in tasks)
        advice = set(hints(tasks, self.cap))
        if least > self.cap:
            advice.add(
                f"{CAP}: is {self.cap}, but the minimums of the services add up to {least}: those of "
                "the lowest priority will have fewer than theirs"
            )
        for line in sorted(advice - self._advice):
            log.warning("%s", line)
        self._advice = frozenset(advice)

    def _discovered(self) -> list[Service]:
        import requests
        from docker.errors import APIError, DockerException

        from microscaling.clients.docker.errors import AWAY, said
        from microscaling.clients.docker.unreachable import is_hopeless

        if self._discovery is None:
            self._discovery = self._make_discovery()
        try:
            services = self._discovery.services()
            if self.by_nodes and isinstance(self._discovery, Sized):
                self.cap = self._discovery.cap()
            return services
        except APIError as error:
            # 404: the containers have changed faster than they could be read.
            if error.status_code in (*AWAY, 404):
                raise TemporaryError(said(error)) from error
            raise PermanentError(said(error)) from error
        except (requests.exceptions.RequestException, DockerException, OSError) as error:
            self._discovery.close()
            raise TemporaryError(said(error), hopeless=is_hopeless(error)) from error
        except UNEXPECTED as error:
            why = f"the answer is not one of a Docker engine ({type(error).__name__})"
            raise TemporaryError(why) from error

    def _make_discovery(self) -> Discovery | SwarmDiscovery:
        if self.in_swarm:
            from microscaling.clients.docker.reader import EngineReader
            from microscaling.config.services.swarm import SwarmDiscovery

            s = self.settings
            return SwarmDiscovery(
                lambda: EngineReader(s.docker_host, s.docker_tls_verify, s.docker_cert_path, s.docker_chosen),
                self.by_nodes,
            )
        from microscaling.config.services.discovery import Discovery

        return Discovery(self._connect, self.projects)

    def _connect(self) -> docker.APIClient:
        from microscaling.clients.docker.client import connect

        s = self.settings
        return connect(s.docker_host, s.docker_tls_verify, s.docker_cert_path, TIMEOUT_S, "", s.docker_chosen)


def _cap(text: str) -> int:
    """Returns the number of containers in MSS_MAX_CONTAINERS. Raises ConfigError."""
    if not text:
        raise ConfigError(
            f"{CAP}: is not set: with MSS_CONFIG=SERVICES it is the number of containers that all "
            "services share"
        )
    if not re.fullmatch(r"[0-9]{1,6}", text.strip()):
        raise ConfigError(f"{CAP}: expected a whole number of containers, got {quoted(text)}")
    return int(text)


def make(settings: Settings) -> ServicesConfig:
    """Returns the services of the engine. Raises ConfigError."""
    return ServicesConfig(settings, os.environ)


TYPE = ConfigPlugin(
    "SERVICES", "the labels of your Compose or Swarm services", make, variables=(PROJECTS, VARIABLES)
)
