"""`microscaling check` with services of Compose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import docker
from docker.errors import NotFound

from microscaling.clients.docker.compose import SERVICE, project_of, scope_of
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.compose.proxies import static_names
from microscaling.scheduler.docker.examine import count, on_engine
from microscaling.settings import Settings
from microscaling.utils.finding import Finding, error, warning


def examine(settings: Settings, environ: Mapping[str, str], tasks: Tasks) -> Iterator[Finding]:
    """Yields the findings about the engine, and counts the containers of the services."""

    def look(client: docker.APIClient) -> Iterator[Finding]:
        scope = scope_of(client, environ.get("MSS_COMPOSE_PROJECT", ""))
        listed = client.containers(all=True)
        count(tasks, listed, scope.task_of)
        mine = {task.name for task in tasks.tasks if task.max_containers > 1}
        found = {
            (project_of(one["Labels"]), str(one["Labels"].get(SERVICE)))
            for one in listed
            if scope.task_of(one.get("Labels")) in mine
        }
        for project in sorted({project for project, _ in found}):
            for what in static_names(client, project, [name for of, name in found if of == project]):
                yield warning(what)
        stops = {task.name for task in tasks.tasks if task.warm is not None and task.warm.stops}
        for one in listed:
            name = scope.task_of(one.get("Labels"))
            if name in stops and not _has_init(client, one["Id"]):
                stops.remove(name)
                yield error(f"{name}: warmAfter.signal: PID 1 of a container cannot stop itself: its service "
                            "needs init: true")  # fmt: skip

    return on_engine(settings, look)


def _has_init(client: docker.APIClient, id: str) -> bool:
    """True also for a container that has gone since the listing, as an agent may run beside the check."""
    try:
        return bool(client.inspect_container(id)["HostConfig"].get("Init"))
    except NotFound:
        return True
