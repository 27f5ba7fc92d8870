"""A real Swarm with an agent, and queues that say how many containers it wants."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.errors import APIError, NotFound
from requests.exceptions import RequestException

from tests.contract.swarm import create_service, running_in
from tests.integration.agents import AgentProcess, wait_for
from tests.integration.engines import Missing, connect
from tests.services.numbers import Numbers


class World:
    """One swarm of these engines, with services that are gone after the test, and queues of theirs."""

    def __init__(self, hosts: list[str], folder: Path, numbers: Numbers) -> None:
        self.hosts, self.folder, self.numbers = hosts, folder, numbers
        self.host = hosts[0]
        self.primary = 0
        """The engine that is asked about services."""
        self.clients: list[APIClient] = []
        self.connect()

    def connect(self) -> None:
        """Connects to all engines, anew after one has been started again."""
        for client in self.clients:
            client.close()
        self.clients = [connect(host) for host in self.hosts]

    @property
    def client(self) -> APIClient:
        return self.clients[self.primary]

    def labels(self, queue: str, **more: str) -> dict[str, str]:
        self.numbers.counts.setdefault(queue, 0)
        own = {
            "enable": "true", "priority": "1", "min": "0", "max": "10", "rule": "PerContainer", "target": "1",
            "metric": "HTTP", "metric.url": self.numbers.url(queue), "idle-seconds": "0.5", **more,
        }  # fmt: skip
        return {f"microscaling.{key.replace('_', '-')}": text for key, text in own.items()}

    def serve(self, name: str, replicas: int = 0, labels: dict[str, str] | None = None, **spec: Any) -> str:
        return create_service(self.client, name, replicas, **{"Labels": labels or self.labels(name), **spec})

    def agent(self, cap: int = 10, **environ: str) -> AgentProcess:
        of = {
            "DOCKER_HOST": self.host, "MSS_SCHEDULER": "SWARM", "MSS_MAX_CONTAINERS": str(cap),
            "MSS_CONFIG": "", "MSS_CONFIG_FILE": "", "MSS_PULL_IMAGES": "", "MSS_PASS_ENV": "", **environ,
        }  # fmt: skip
        return AgentProcess(self.folder, [], **of)

    def replicas(self, id: str) -> int:
        """The number that is asked for; -1 while the manager does not answer."""
        try:
            return self.replicas_in(self.client.inspect_service(id))
        except NotFound:
            raise
        except (APIError, RequestException):
            return -1

    def replicas_in(self, found: Mapping[str, Any]) -> int:
        return int(found["Spec"]["Mode"]["Replicated"]["Replicas"])

    def running(self, id: str) -> int:
        """How many containers run, on all engines that answer."""
        count = 0
        for client in self.clients:
            with contextlib.suppress(APIError, RequestException, Missing):
                count += len(running_in(client, id))
        return count

    def has(self, id: str, count: int, why: str = "") -> None:
        """Waits until so many are asked for, and run."""
        wait_for(
            lambda: self.replicas(id) == count == self.running(id),
            f"for {count}, not {self.replicas(id)}: {why}",
        )

    def close(self) -> None:
        for config in self.client.configs():
            self.client.remove_config(config["ID"])
        for service in self.client.services():
            self.client.remove_service(service["ID"])
        wait_for(lambda: not any(client.containers() for client in self.clients), "for the containers to go")
        for client in self.clients:
            client.close()
