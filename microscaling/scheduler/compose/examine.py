"""`microscaling check` with services of Compose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import docker

from microscaling.clients.docker.compose import scope_of
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.docker.examine import count, on_engine
from microscaling.settings import Settings
from microscaling.utils.finding import Finding


def examine(settings: Settings, environ: Mapping[str, str], tasks: Tasks) -> Iterator[Finding]:
    """Yields the findings about the engine, and counts the containers of the services."""

    def look(client: docker.APIClient) -> Iterator[Finding]:
        scope = scope_of(client, environ.get("MSS_COMPOSE_PROJECT", ""))
        count(tasks, client.containers(all=True), scope.task_of)
        return iter(())

    return on_engine(settings, look)
