"""Redis with Sentinel, and Redis Cluster, as one connection each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from microscaling.errors import ConfigError
from microscaling.utils.urls import cut

Command = tuple[Any, ...]
Connect = Callable[[str], Any]
"""Makes a connection of a plain URL."""

SENTINEL, CLUSTER = "+sentinel", "+cluster"
FORMS = (
    "redis+sentinel://sentinel-1:26379,sentinel-2:26379/NAME/0, or redis+cluster://redis-1:6379,redis-2:6379"
)
KEY_AT = {"XINFO": 2, "OBJECT": 2, "MEMORY": 2}
"""Where a command has its key, if it is not its first argument."""


def kind_of(url: str) -> str:
    """Returns SENTINEL or CLUSTER; empty for a URL of one server."""
    scheme = url.partition("://")[0].lower()
    return next((kind for kind in (SENTINEL, CLUSTER) if scheme.endswith(kind)), "")


class Place:
    """The parts of a URL of several servers. Raises ConfigError."""

    def __init__(self, url: str) -> None:
        scheme, authority, rest = cut(url)
        self.kind = kind_of(url)
        self.scheme = scheme.lower().replace(self.kind, "")
        user, at, hosts = authority.rpartition("@")
        self._user = user + at
        path, mark, query = rest.partition("?")
        self._query = mark + query
        self.name, _, self.database = path.strip("/").partition("/")
        if self.kind == CLUSTER:
            self.name, self.database = "", self.name
        # The port is that of Sentinel, or of Redis, if there is none.
        default = ":26379" if self.kind == SENTINEL else ":6379"
        self.hosts = [host if ":" in host else host + default for host in hosts.split(",")]
        bad_database = self.kind == CLUSTER and self.database not in ("", "0")
        if bad_database or (self.kind == SENTINEL and not self.name):
            raise ConfigError(f"expected {FORMS}")

    def url_of(self, host: str, of_sentinel: bool = False) -> str:
        """Returns the URL of one of the servers. A Sentinel gets no password: it has one of its own."""
        if of_sentinel:
            return f"{self.scheme}{host}"
        return f"{self.scheme}{self._user}{host}/{self.database}{self._query}"


class SentinelConnection:
    """A connection to the master that any of the Sentinels names. It is looked for anew after every error:
    after a failover the old master ends its connections."""

    def __init__(self, place: Place, connect: Connect) -> None:
        self._place = place
        self._connect = connect
        self._used: Any = None

    def ask(self, command: Command, deadline_s: float) -> Any:
        """As `ask` of a connection to one server."""
        return _one(self.ask_all([command], deadline_s))

    def ask_all(self, commands: Sequence[Command], deadline_s: float, *most_bytes: int) -> list[Any]:
        """As `ask_all` of a connection to one server."""
        until = time.monotonic() + deadline_s
        if self._used is None:
            self._used = self._connect(self._place.url_of(self._master(until)))
        answers: list[Any] = self._used.ask_all(commands, until - time.monotonic(), *most_bytes)
        return answers

    def disconnect(self) -> None:
        """Closes the connection."""
        if self._used is not None:
            self._used.disconnect()
            self._used = None

    def _master(self, until: float) -> str:
        """Returns host and port of the master. Raises OSError."""
        asked = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._place.name)
        why = ""
        for host, share_s in _shares(self._place.hosts, until):
            sentinel = self._connect(self._place.url_of(host, of_sentinel=True))
            try:
                if found := sentinel.ask(asked, share_s):
                    return f"{_host(found[0].decode())}:{int(found[1])}"
                why = why or "it knows no master of that name"
            except Exception as error:  # the next one may answer
                why = why or str(error) or type(error).__name__
            finally:
                sentinel.disconnect()
        raise OSError(f"no Sentinel names the master {self._place.name}: {why}")


class ClusterConnection:
    """Connections to the masters of a cluster. Each command goes to the one that has its key, so those of a
    transaction are answered one by one."""

    def __init__(self, place: Place, connect: Connect) -> None:
        self._place = place
        self._connect = connect
        self._nodes: dict[str, Any] = {}
        self._slots: list[tuple[int, int, str]] = []

    def ask(self, command: Command, deadline_s: float) -> Any:
        """As `ask` of a connection to one server."""
        return _one(self.ask_all([command], deadline_s))

    def ask_all(self, commands: Sequence[Command], deadline_s: float, *most_bytes: int) -> list[Any]:
        """As `ask_all` of a connection to one server; an answer in a transaction stands in that to EXEC."""
        until = time.monotonic() + deadline_s
        plain = [command for command in commands if command[0] not in ("MULTI", "EXEC")]
        answers = self._answers(plain, until, most_bytes)
        if any(_moved(answer) for answer in answers):
            self._slots = []  # a slot has got another master
            answers = self._answers(plain, until, most_bytes)
        return list(_as_transactions(commands, iter(answers)))

    def disconnect(self) -> None:
        """Closes all connections."""
        for node in self._nodes.values():
            node.disconnect()
        self._nodes, self._slots = {}, []

    def _answers(self, commands: Sequence[Command], until: float, most_bytes: tuple[int, ...]) -> list[Any]:
        self._slots = self._slots or self._look(until)
        by_node: dict[str, list[int]] = {}
        for number, command in enumerate(commands):
            by_node.setdefault(self._node_of(command), []).append(number)
        answers: list[Any] = [None] * len(commands)
        for host, numbers in by_node.items():
            asked = [commands[number] for number in numbers]
            found = self._node(host).ask_all(asked, until - time.monotonic(), *most_bytes)
            for number, answer in zip(numbers, found, strict=True):
                answers[number] = answer
        return answers

    def _node(self, host: str) -> Any:
        if host not in self._nodes:
            self._nodes[host] = self._connect(self._place.url_of(host))
        return self._nodes[host]

    def _node_of(self, command: Command) -> str:
        """Returns the node that has the key of a command. Raises OSError."""
        from redis.crc import key_slot

        key = command[KEY_AT.get(command[0], 1)] if len(command) > 1 else b""
        slot = key_slot(key if isinstance(key, bytes) else str(key).encode())
        for first, last, host in self._slots:
            if first <= slot <= last:
                return host
        raise OSError(f"the cluster has no node for the slot {slot}")

    def _look(self, until: float) -> list[tuple[int, int, str]]:
        """Returns the masters of all slots, as one of the nodes knows them. Raises OSError."""
        why = ""
        for host, share_s in _shares(self._place.hosts, until):
            try:
                answer = self._node(host).ask(("CLUSTER", "SLOTS"), share_s)
                own = host.rpartition(":")[0]
                return [
                    (first, last, f"{_host(master[0].decode() or own)}:{master[1]}")
                    for first, last, master, *_ in answer
                ]
            except Exception as error:  # the next one may answer
                self._nodes.pop(host).disconnect()
                why = why or str(error) or type(error).__name__
        raise OSError(f"no node of the cluster answers: {why}")


def _shares(hosts: Sequence[str], until: float) -> Iterator[tuple[str, float]]:
    """Yields each host with the seconds that it may take: one that hangs leaves time for the others."""
    for number, host in enumerate(hosts):
        yield host, (until - time.monotonic()) / (len(hosts) - number + 1)


def _as_transactions(commands: Sequence[Command], answers: Iterator[Any]) -> Iterator[Any]:
    """Yields the answers as to commands with transactions among them."""
    inside: list[Any] | None = None
    for command in commands:
        if command[0] == "MULTI":
            inside = []
            yield b"OK"
        elif command[0] == "EXEC":
            yield inside
            inside = None
        elif inside is None:
            yield next(answers)
        else:
            inside.append(next(answers))
            yield b"QUEUED"


def _moved(answer: Any) -> bool:
    from redis.exceptions import AskError  # of which that for a slot that has moved is one

    return isinstance(answer, AskError)


def _one(answers: list[Any]) -> Any:
    import redis

    if isinstance(answers[0], redis.ResponseError):
        raise answers[0]
    return answers[0]


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
