"""A project of Compose with a proxy and a web service, its agent, and the number that it scales by."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import itertools
import json
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import docker

from microscaling.clients.docker.compose import COPY_OF, SERVICE
from tests.integration.agents import ROOT, AgentProcess
from tests.integration.composes import Project
from tests.integration.engines import give_up

EXAMPLES = ROOT / "examples" / "web"
PROXIES = {
    "nginx": ("nginx.conf", "/etc/nginx/nginx.conf"),
    "haproxy": ("haproxy.cfg", "/usr/local/etc/haproxy/haproxy.cfg"),
    "caddy": ("Caddyfile", "/etc/caddy/Caddyfile"),
}
"""By proxy, its example, and where its image has it."""
PYTHON = "microscaling-base/python"
_subnets = itertools.count(int(time.time() * 10) % 200)


def subnet() -> str:
    """A range that no network of this run has."""
    return f"10.{77 + os.getpid() % 100}.{next(_subnets) % 256}.0/24"


def need_images(engine: docker.APIClient, *proxies: str) -> None:
    """Skips the test, or fails it where the engine is required, without the images of scripts/base-images."""
    for image in (PYTHON, *(f"microscaling-base/{proxy}" for proxy in proxies)):
        if not engine.images(name=image, quiet=True):
            give_up(f"{image} is missing: run scripts/base-images")


class Wish:
    """The number of containers, which the agent reads by its metric HTTP."""

    def __init__(self, count: int) -> None:
        self.count = count
        wish = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps({"count": wish.count}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="wish")

    def __enter__(self) -> Wish:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"


class Stage:
    """One web service behind one proxy."""

    def __init__(self, project: Project, proxy: str, mode: str, web: bool, wish: Wish, most: int = 8) -> None:
        self.project, self.proxy, self.wish = project, proxy, wish
        labels = {
            "microscaling.min": "1", "microscaling.max": str(most), "microscaling.rule": "PerContainer",
            "microscaling.target": "1", "microscaling.metric": "HTTP", "microscaling.metric.url": wish.url,
            "microscaling.metric.path": "count", "microscaling.scale-down-window": "0",
        }  # fmt: skip
        if web:
            labels |= {"microscaling.web": "true", "microscaling.web-networks": "front"}
        project.networks = {"front": {"ipam": {"config": [{"subnet": subnet()}]}}, "back": {}}
        project.web(
            image=PYTHON, labels=labels, networks=["front", "back"], expose=["80"],
            command=["python3", "/server.py", mode],
            volumes=[f"{ROOT / 'tests' / 'web' / 'server.py'}:/server.py:ro"],
        )  # fmt: skip
        if proxy:
            file, place = PROXIES[proxy]
            project.services["proxy"] = {
                "image": f"microscaling-base/{proxy}", "networks": ["front"],
                "volumes": [f"{EXAMPLES / file}:{place}:ro"],
            }  # fmt: skip

    @contextlib.contextmanager
    def running(self, **environ: str) -> Iterator[AgentProcess]:
        self.project.run("up", "-d")
        with self.project.agent(cap=20, **environ) as agent:
            agent.says("service web:")
            yield agent

    @property
    def address(self) -> str:
        """That of the proxy, which the machine of the engine can reach."""
        return self.address_of(self.project.inspected("proxy_1"))

    def address_of(self, inspected: dict[str, Any], network: str = "front") -> str:
        return str(inspected["NetworkSettings"]["Networks"][f"{self.project.name}_{network}"]["IPAddress"])

    def answers(self) -> bool:
        """Whether a request gets through to a server: the proxy may listen before the first one does."""
        connection = http.client.HTTPConnection(self.address, 80, timeout=30)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/fast")
            return connection.getresponse().status == http.HTTPStatus.OK
        return False

    def webs(self) -> list[dict[str, Any]]:
        """The containers of the service that run."""
        return [one for one in self.project.containers(running=True).values()
                if one["Labels"][SERVICE] == "web"]  # fmt: skip

    def copies(self) -> list[dict[str, Any]]:
        return [one for one in self.webs() if COPY_OF in one["Labels"]]

    def listed(self) -> int:
        """How many containers have the name of the service."""
        found = 0
        for one in self.webs():
            with contextlib.suppress(docker.errors.NotFound, KeyError):
                inspected = self.project.engine.inspect_container(one["Id"])
                endpoint = inspected["NetworkSettings"]["Networks"][f"{self.project.name}_front"]
                found += "web" in (endpoint["Aliases"] or ())
        return found

    def reaches(self, count: int, within_s: float = 120.0) -> None:
        """Waits until so many containers run and are listed."""
        deadline = time.monotonic() + within_s
        while (there := (len(self.webs()), self.listed())) != (count, count):
            assert time.monotonic() < deadline, f"{there} of {count} containers run, and are listed"
            time.sleep(0.3)
