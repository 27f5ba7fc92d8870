"""Several real Redis: a cluster of two, or a master with its replica and a Sentinel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.services.redis import OTHER, PASSWORD, QUOTED, RedisServer
from tests.services.service import Service, find, free_port, wait_for

NAME = "mymaster"


class Node(RedisServer):
    """With further options."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder)
        folder.mkdir()
        self.options = options

    def command(self) -> list[str]:
        return [*super().command(), "--masterauth", PASSWORD, *self.options]

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


class Sentinel(Service):
    listens = "Sentinel ID is"

    def __init__(self, folder: Path, master: Any) -> None:
        super().__init__(folder)
        folder.mkdir()
        self.master = master

    def command(self) -> list[str]:
        self.url = f"redis://127.0.0.1:{free_port()}"
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"dir {self.folder}",
            f"sentinel monitor {NAME} 127.0.0.1 {self.master.port} 1",
            f'sentinel auth-pass {NAME} "{PASSWORD}"',
            f"sentinel down-after-milliseconds {NAME} 3000",
        ]
        (config := self.folder / "sentinel.conf").write_text("\n".join(lines))
        return [OTHER or find("redis-server"), str(config), "--sentinel"]

    def client(self) -> Any:
        import redis

        return redis.Redis.from_url(self.url)


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[list[Node], str]]:
    """The nodes, each with half of the slots, and their URL."""
    with ExitStack() as stack:
        # Else a node's bus is 10,000 above its port, which any connection may have been given.
        buses = {"a": str(free_port()), "b": str(free_port())}
        options = ("--cluster-enabled", "yes", "--cluster-port")
        nodes = [stack.enter_context(Node(folder / name, *options, bus)) for name, bus in buses.items()]
        clients = [stack.enter_context(node.client()) for node in nodes]
        for client, first, last in zip(clients, (0, 8192), (8191, 16383), strict=True):
            client.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
        clients[0].execute_command("CLUSTER MEET", "127.0.0.1", nodes[1].port, buses["b"])
        for client in clients:
            wait_for(lambda client=client: client.cluster("INFO")["cluster_state"] == "ok")
        yield nodes, f"redis+cluster://:{QUOTED}@{nodes[0].host},{nodes[1].host}"


@contextmanager
def sentinel(folder: Path) -> Iterator[tuple[list[Node], Sentinel, str]]:
    """A master, its replica, the Sentinel that knows both, and their URL."""
    with ExitStack() as stack:
        master = stack.enter_context(Node(folder / "a"))
        replica = stack.enter_context(Node(folder / "b", "--replicaof", "127.0.0.1", str(master.port)))
        watch = stack.enter_context(Sentinel(folder / "s", master))
        with watch.client() as client:
            wait_for(lambda: [one["flags"] for one in client.sentinel_slaves(NAME)] == ["slave"])
            wait_for(lambda: client.sentinel_slaves(NAME)[0]["master-link-status"] == "ok")
        yield (
            [master, replica],
            watch,
            f"redis+sentinel://:{QUOTED}@127.0.0.1:1,127.0.0.1:{watch.port}/{NAME}",
        )
