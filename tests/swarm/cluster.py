"""A Swarm of three engines, each in a network namespace of its own, and all on one bridge in a fourth."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from typing import Any

from docker import APIClient
from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

from tests.integration.agents import wait_for
from tests.integration.engines import Missing, OwnEngine, connect, make_images

NODES = 3
SUBNET = "10.199.77"


class Node(OwnEngine):
    """An engine in the namespace of that name."""

    def __init__(self, namespace: str, address: str) -> None:
        super().__init__()
        self.address = address
        # Not `ip netns exec`, which hides the cgroups.
        self.network = ("nsenter", f"--net=/run/netns/{namespace}", "setpriv", "--pdeathsig", "TERM")

    def crash(self) -> None:
        """As a machine that loses its power: the engine, its helpers and its containers are gone at once."""
        containers = self.helpers()
        self.kill()
        for pid in [*_descendants(containers), *containers]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)


class Cluster:
    """Three managers. In a `with` block; nothing is left of it afterwards. Raises Missing."""

    def __init__(self) -> None:
        self.mark = f"mss{os.getpid() % 10000}"
        self.nodes: list[Node] = []
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Cluster:
        try:
            self._begin()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def hosts(self) -> list[str]:
        return [node.host for node in self.nodes]

    def client(self, node: int = 0) -> APIClient:
        return connect(self.nodes[node].host)

    def states(self, node: int = 0) -> dict[str, str]:
        """By address, the state of each node as this manager sees it; none while it does not know."""
        try:
            with contextlib.closing(self.client(node)) as client:
                return {one["Status"]["Addr"]: one["Status"]["State"] for one in client.nodes()}
        except (APIError, DockerException, RequestException, Missing):
            return {}

    def set_availability(self, node: int, to: str, by: int = 0) -> None:
        """Drains a node, or takes it back ("active")."""
        with contextlib.closing(self.client(by)) as client:
            for one in client.nodes():
                if one["Status"]["Addr"] == self.nodes[node].address:
                    spec = {**one["Spec"], "Availability": to}
                    client.update_node(one["ID"], one["Version"]["Index"], spec)

    def all_ready(self, by: int = 0) -> bool:
        return list(self.states(by).values()) == NODES * ["ready"]

    def _begin(self) -> None:
        hub = f"{self.mark}-hub"
        self._namespace(hub)
        _ip("-n", hub, "link", "add", "br0", "type", "bridge")
        _ip("-n", hub, "link", "set", "br0", "up")
        for number in range(1, NODES + 1):
            name, address = f"{self.mark}-{number}", f"{SUBNET}.{number}"
            self._namespace(name)
            _ip("-n", hub, "link", "add", f"v{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("-n", hub, "link", "set", f"v{number}", "master", "br0", "up")
            _ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
            node = Node(name, address)
            self._stack.callback(node.remove)
            node.start()
            with contextlib.closing(connect(node.host)) as client:
                make_images(client)
                self._join(client, node)
            self.nodes.append(node)
        wait_for(self.all_ready, "for the nodes")

    def _join(self, client: APIClient, node: Node) -> None:
        here: dict[str, Any] = {"listen_addr": f"{node.address}:2377", "advertise_addr": node.address}
        if not self.nodes:
            client.init_swarm(**here)
            return
        with contextlib.closing(self.client()) as first:
            token = first.inspect_swarm()["JoinTokens"]["Manager"]
        client.join_swarm([f"{self.nodes[0].address}:2377"], token, **here)

    def _namespace(self, name: str) -> None:
        _ip("netns", "add", name)
        self._stack.callback(subprocess.run, ["ip", "netns", "del", name], check=False)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"ip {' '.join(words)}: {done.stderr.strip()}")


def _descendants(pids: list[int]) -> Iterator[int]:
    for pid in pids:
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/task/{pid}/children") as children:
                mine = [int(word) for word in children.read().split()]
            yield from mine
            yield from _descendants(mine)
