"""MSS_CONFIG=SERVICES."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from microscaling.config.base import Config, ConfigPlugin
from microscaling.demand.task import Task
from microscaling.errors import UNEXPECTED, ConfigError, PermanentError, TemporaryError
from microscaling.plugins import Variable
from microscaling.settings import Settings
from microscaling.utils.patience import Patience
from microscaling.utils.text import one_line, quoted

if TYPE_CHECKING:
    from microscaling.config.services.discovery import Service

log = logging.getLogger("mssconfig")

TIMEOUT_S = 60
MAX_RETRY_S = 5.0
CAP = Variable("MSS_MAX_CONTAINERS", "with `SERVICES`: number of containers that all enabled services share")
PROJECTS = Variable(
    "MSS_COMPOSE_PROJECT",
    "with `SERVICES`: Compose projects with commas between. Empty: the agent's own, or all if it is in none",
)
VARIABLES = Variable(
    "MSS_LABEL_VARIABLES",
    "with `SERVICES`: variables of the agent that labels may refer to as `${NAME}`: names and patterns with "
    "commas between. Empty: none",
)


class ServicesConfig(Config):
    """The labels of the Compose services on an engine.

    Waits for the engine without a limit. A service with a mistake in its labels is logged and left alone.
    """

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self.settings = settings
        self.cap = _cap(CAP.read(environ))
        self.projects = PROJECTS.read(environ)
        self.variables = tuple(filter(None, re.split(r"[\s,]+", VARIABLES.read(environ))))
        self._patience = Patience(log, MAX_RETRY_S)

    def get_apps(self, user_id: str) -> tuple[list[Task], int]:
        services = self._patience.run(self._discovered)
        tasks = [task for service in services for task in self._task_of(service)]
        if not tasks:
            log.warning("no service has the label microscaling.enable=true: there is nothing to scale")
        # The parser of tasks has seen them one by one.
        least = sum(task.min_containers for task in tasks)
        if least > self.cap:
            log.warning(
                "%s: is %d, but the minimums of the services add up to %d: those of the lowest priority will "
                "have fewer than theirs", CAP.name, self.cap, least,
            )  # fmt: skip
        return tasks, self.cap

    def _discovered(self) -> list[Service]:
        import docker
        import requests
        from docker.errors import APIError, DockerException

        from microscaling.clients.docker.client import connect
        from microscaling.clients.docker.compose import scope_of
        from microscaling.clients.docker.errors import AWAY, said
        from microscaling.clients.docker.unreachable import is_hopeless
        from microscaling.config.services.discovery import services_of

        s = self.settings
        client: docker.APIClient | None = None
        try:
            client = connect(
                s.docker_host, s.docker_tls_verify, s.docker_cert_path, TIMEOUT_S, "", s.docker_chosen
            )
            return services_of(client, scope_of(client, self.projects))
        except APIError as error:
            if error.status_code in AWAY:
                raise TemporaryError(said(error)) from error
            raise PermanentError(said(error)) from error
        except (requests.exceptions.RequestException, DockerException, OSError) as error:
            raise TemporaryError(said(error), hopeless=is_hopeless(error)) from error
        except UNEXPECTED as error:
            why = f"the answer is not one of a Docker engine ({type(error).__name__})"
            raise TemporaryError(why) from error
        finally:
            if client is not None:
                client.close()

    def _task_of(self, service: Service) -> list[Task]:
        """Returns the task of a service; none if it is switched off, or its labels have mistakes."""
        from microscaling.config.services.labels import is_enabled
        from microscaling.config.services.task import task_of

        shown = one_line(service.name)
        try:
            if not is_enabled(service.labels):
                return []
            task = task_of(
                service.name,
                service.labels,
                self.cap,
                self.settings,
                lambda text: log.warning("service %s: %s", shown, text),
                self.variables,
            )
        except ConfigError as error:
            # Not raised: those who write other services should not have to wait for this one.
            for problem in error.problems:
                log.error("service %s: %s", shown, problem)
            log.error("service %s is left alone until its labels are right", shown)
            return []
        task.image = service.image
        task.container = replace(task.container, stop_grace_s=service.stop_grace_s)
        _limit(task, service)
        log.info(
            "service %s: priority %d, %d to %d containers, by %s", shown, task.priority,
            task.min_containers, task.max_containers, type(task.target).type_name,
        )  # fmt: skip
        return [task]


def _limit(task: Task, service: Service) -> None:
    """Lowers the maximum to the number of containers that can run."""
    # A maximum that cannot be reached would keep its share of the cap from the others.
    if service.most is None or task.max_containers <= service.most:
        return
    for reason in service.reasons:
        log.warning("service %s cannot have %d containers, but %d: %s",
                    one_line(service.name), task.max_containers, service.most, reason)  # fmt: skip
    task.max_containers = service.most
    task.min_containers = min(task.min_containers, service.most)
    task.max_delta = task.max_containers - task.min_containers


def _cap(text: str) -> int:
    """Returns the number of containers in MSS_MAX_CONTAINERS. Raises ConfigError."""
    if not text:
        raise ConfigError(
            f"{CAP.name}: is not set: with MSS_CONFIG=SERVICES it is the number of containers that all "
            "services share"
        )
    if not re.fullmatch(r"[0-9]{1,6}", text.strip()):
        raise ConfigError(f"{CAP.name}: expected a whole number of containers, got {quoted(text)}")
    return int(text)


def make(settings: Settings) -> ServicesConfig:
    """Returns the services of the engine. Raises ConfigError."""
    return ServicesConfig(settings, os.environ)


TYPE = ConfigPlugin(
    "SERVICES", "the labels of your Compose services", make, variables=(CAP, PROJECTS, VARIABLES)
)
