"""A web service of a project on a real engine, a gate in front of that, and an independent witness."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.errors import APIError
from requests.exceptions import RequestException

from microscaling.demand.task import Task
from microscaling.demand.web import Web
from microscaling.scheduler.compose.backend import ComposeBackend
from microscaling.scheduler.compose.own_stops import OwnStops
from tests.integration.composes import Project
from tests.integration.engine_gate import EngineGate
from tests.integration.engines import output_of
from tests.web.stage import PYTHON, subnet

WEB = Task("web", max_containers=8, web=Web())
FRONT = Task("web", max_containers=8, web=Web(networks=("front",)))
FOREVER = float("inf")
OFF_S = 1.0
"""Longest time that a container may be off a network."""
BUSY = 2.0
"""Load per processor above which everything takes longer in proportion."""
CALLS = 4
"""Where the engine is slow for a moment, an exchange takes no longer than so many looks of the witness."""


class Witness:
    """Asks the engine itself, all the time, which containers of a service are on which networks of their
    project. While the engine is away nobody can put anything back; nor while there is no network."""

    def __init__(self, project: Project, service: str = "web") -> None:
        self.project, self.service = project, service
        self.longest: dict[str, float] = {}
        """By container, the longest time that it ran off one of its networks, seconds."""
        self.looks = 0
        self.slowest_s = 0.0
        """The longest time that the engine took to answer it."""
        self._off: dict[str, float] = {}
        self._excused = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="witness")
        self._thread.start()

    @contextlib.contextmanager
    def excused(self) -> Iterator[None]:
        """For the time of the block nobody can put anything back: there is no agent, or no way to the
        engine."""
        self._excused.set()
        try:
            yield
        finally:
            self._excused.clear()

    def close(self) -> None:
        """Raises AssertionError if a container was off a network for too long."""
        self._ended.set()
        self._thread.join()
        assert self.looks, "it has seen nothing"
        allowed = OFF_S * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1) / BUSY)
        allowed += CALLS * self.slowest_s
        assert max(self.longest.values(), default=0.0) < allowed, (self.longest, self.slowest_s)

    def _watch(self) -> None:
        client = APIClient(self.project.host, version="1.41")
        while not self._ended.wait(0.02):
            try:
                self._look(client)
            except (APIError, RequestException, OSError):
                self._off.clear()
        client.close()

    def _look(self, client: APIClient) -> None:
        began = time.monotonic()
        label = {"label": f"com.docker.compose.project={self.project.name}"}
        wanted = {one["Name"] for one in client.networks(filters=label)}
        found = client.containers(filters=label)
        now = time.monotonic()
        self.looks += 1
        self.slowest_s = max(self.slowest_s, now - began)
        for one in found:
            if one["Labels"].get("com.docker.compose.service") != self.service:
                continue
            if self._excused.is_set() or wanted <= one["NetworkSettings"]["Networks"].keys():
                self._off.pop(one["Id"], None)
                continue
            since = self._off.setdefault(one["Id"], now)
            self.longest[one["Id"]] = max(self.longest.get(one["Id"], 0.0), now - since)


class Stage:
    """A project with a service on a network of its own, and a backend that asks by way of a gate."""

    def __init__(
        self,
        project: Project,
        tmp_path: Path,
        networks: dict[str, Any] | None = None,
        asks: bool = False,
        restart: str = "no",
    ) -> None:
        self.project = project
        self.folder = tmp_path / "state"
        own = {"front": {"ipam": {"config": [{"subnet": subnet()}]}}, "back": {}}
        project.networks = own if networks is None else networks
        project.web(networks=list(project.networks), restart=restart)
        if asks:
            project.services["asker"] = {"image": PYTHON, "networks": ["front"], "command": "sleep 600"}
        project.run("up", "-d")
        self.gate = EngineGate(tmp_path / "gate.sock", project.host.removeprefix("unix://"))
        self.backend = self.new_backend()
        self.original = project.inspected("web_1")["Id"]
        self.witness = Witness(project)

    def new_backend(self) -> ComposeBackend:
        """As of the next agent."""
        made = ComposeBackend(self.gate.host, projects=self.project.name,
                              own_stops=OwnStops(str(self.folder), "engine"))  # fmt: skip
        made.begin(["web"])
        made.prepare(WEB)
        made.list()
        return made

    def copy(self, listed: bool = True) -> str:
        id = self.backend.create(WEB, f"n{time.monotonic_ns()}")
        self.backend.start(id)
        if listed:
            self.backend.give_name(WEB, id, FOREVER, False)
        return id

    def endpoints(self, id: str) -> dict[str, Any]:
        """By network of the file."""
        found = self.project.engine.inspect_container(id)["NetworkSettings"]["Networks"]
        return {name.removeprefix(f"{self.project.name}_"): one for name, one in found.items()}

    def is_listed(self, id: str, network: str = "front") -> bool:
        return "web" in (self.endpoints(id)[network]["Aliases"] or ())

    def address(self, id: str) -> str:
        return str(self.endpoints(id)["front"]["IPAddress"])

    def answers(self, name: str = "web") -> set[str]:
        """The addresses that Docker's DNS gives a container of the network."""
        ask = f"import socket; print(*socket.gethostbyname_ex({name!r})[2])"
        asker = self.project.inspected("asker_1")["Id"]
        return set(output_of(self.project.engine, asker, "python3", "-c", ask).split())

    def close(self) -> None:
        """Raises AssertionError if a container was off a network for too long."""
        self.backend.close()
        self.gate.close()
        self.witness.close()
