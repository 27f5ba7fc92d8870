"""A real Swarm of one node, for the suite over all schedulers."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from requests import HTTPError

from microscaling.demand.task import Task
from microscaling.scheduler.base import SCHEDULERS, Scheduler
from microscaling.settings import Settings
from tests.contract.proxy import Proxy
from tests.contract.schedulers import Case
from tests.integration.engines import OwnEngine, connect, make_images

if TYPE_CHECKING:
    import pytest
    from docker import APIClient

SECONDS_NS = 10**9


@contextlib.contextmanager
def swarm_of_one() -> Iterator[OwnEngine]:
    """An engine of the test's own, which is a swarm. Raises Missing."""
    own = OwnEngine()
    try:
        own.start()
        with contextlib.closing(connect(own.host)) as client:
            make_images(client)
            client.init_swarm(advertise_addr="127.0.0.1", listen_addr="127.0.0.1:2377")
        yield own
    finally:
        own.remove()


def restarted(image: str) -> dict[str, Any]:
    """What the tasks of a service are made from, if they are restarted at once."""
    return {
        "ContainerSpec": {"Image": image, "StopGracePeriod": 10 * SECONDS_NS},
        "RestartPolicy": {"Condition": "any", "Delay": 0},
    }


def create_service(client: APIClient, name: str, replicas: int = 0, **spec: Any) -> str:
    """Creates a service of the sleeper, which is restarted at once; returns its id. `spec` goes on top."""
    body = {
        "Name": name,
        "Labels": {},
        "TaskTemplate": restarted("mss-test/sleeper"),
        "Mode": {"Replicated": {"Replicas": replicas}},
        **spec,
    }
    answer = client.post(client._url("/services/create"), json=body)
    answer.raise_for_status()
    return str(answer.json()["ID"])


def scale_service(client: APIClient, id: str, replicas: int) -> None:
    """Sets the number as `docker service scale` does."""
    change_service(client, id, lambda spec: spec["Mode"]["Replicated"].update(Replicas=replicas))


def change_service(client: APIClient, id: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the spec of a service, which an agent may change at the same time: then again."""
    for _ in range(20):
        found = client.inspect_service(id)
        change(found["Spec"])
        try:
            update_service(client, id, found["Spec"], found["Version"]["Index"])
            return
        except HTTPError as error:
            if error.response is None or "out of sequence" not in error.response.text:
                raise
    raise AssertionError(f"service {id} is changed all the time")


def update_service(client: APIClient, id: str, spec: dict[str, Any], version: int) -> None:
    """Sends a whole spec."""
    url = client._url("/services/{0}/update", id)
    client.post(url, json=spec, params={"version": version}).raise_for_status()


def running_in(client: APIClient, id: str) -> list[str]:
    """The ids of the containers of a service that run on this engine."""
    label = f"com.docker.swarm.service.id={id}"
    return [one["Id"] for one in client.containers(filters={"label": label})]


class Swarm(Case):
    """Two services of a swarm that tests share."""

    faults = ("hangs", "loses replies", "answers 500")

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        own: OwnEngine = request.getfixturevalue("swarm_engine")
        if own.process is None or own.process.poll() is not None:  # it has crashed under an earlier test
            own.process = None
            own.start()
        host = own.host
        self.engine = self.stack.enter_context(contextlib.closing(connect(host)))
        self.proxy = self.stack.enter_context(Proxy(host.removeprefix("unix://")))
        mark = time.monotonic_ns() % 10**9
        self.names = {name: f"{name}-{mark}" for name in ("a", "b")}
        self.since = int(time.time())
        self.ids = {name: create_service(self.engine, full) for name, full in self.names.items()}
        for id in self.ids.values():
            self.stack.callback(self.engine.remove_service, id)

    def task(self, name: str) -> Task:
        return Task(self.names[name], priority="ab".index(name))

    def scheduler(self) -> Scheduler:
        assert self.proxy is not None
        settings = Settings(docker_host=f"tcp://127.0.0.1:{self.proxy.port}")
        return SCHEDULERS.chosen("MSS_SCHEDULER", "SWARM").make(settings, os.environ)

    def there(self, name: str, count: int) -> None:
        scale_service(self.engine, self.ids[name], count)

    def running(self, name: str) -> int:
        return len(running_in(self.engine, self.ids[name]))

    def lose(self, name: str) -> None:
        self.engine.kill(running_in(self.engine, self.ids[name])[0])

    def touched(self) -> list[object]:
        return [self.engine.inspect_service(id)["Version"] for id in self.ids.values()]

    def most(self) -> int:
        asked, most = dict.fromkeys(self.names.values(), 0), 0
        filters = {"type": "service", "service": list(self.ids.values())}
        until = int(time.time()) + 1
        for event in self.engine.events(self.since, until, filters, decode=True):
            of = event["Actor"]["Attributes"]
            if "replicas.new" in of:
                asked[of["name"]] = int(of["replicas.new"])
                most = max(most, sum(asked.values()))
        return most
