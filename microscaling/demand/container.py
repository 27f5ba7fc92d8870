"""How a task's containers are set up, beyond image and command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Port:
    """A port of the container that is published on the host."""

    container: int
    protocol: str = "tcp"
    host_ip: str = ""
    """The address to listen on; empty: all of them."""
    host: str = ""
    """The host's port or a range of them, `8080` or `8000-8010`; empty: the engine chooses."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system that the container sees."""

    kind: str
    """`bind`, `volume` or `tmpfs`; `file`: a bind of a file that has to exist."""
    source: str
    """A path on the host, or a volume's name; empty for tmpfs."""
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ContainerOptions:
    """Options of a container beyond image and command; the Go agent has none of them, and the defaults add
    nothing."""

    networks: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    mounts: tuple[Mount, ...] = ()
    memory: int = 0
    """Bytes; 0: no limit."""
    cpus: float = 0.0
    """Processors; 0: no limit."""
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_grace_s: float = 1.0
    """Seconds between asking a container to stop and forcing it."""
    command: tuple[str, ...] = ()
    """The words of the command, if it was given as a list."""
    user: str = ""
    """User, or user:group; empty: the image's, or the agent's own."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the engine's request for a container, by place: `HostConfig.Init`, `Hostname`."""
    directory: str = ""
    """The folder in which a local process runs; empty: the agent's own."""
    output: str = ""
    """Of a local process: `inherit`, or the file for its output; empty: a file of bounded length, for the
    log."""
    words: tuple[str, ...] = ()
    """The keys of the configuration that not every scheduler can do, and that are given."""
    ignored: tuple[str, ...] = ()
    """Those of which a scheduler that cannot do them only warns."""

    @property
    def ports_for(self) -> int:
        """How many containers there are host ports for; 0: any number."""
        sizes = []
        for port in self.ports:
            first, _, last = port.host.partition("-")
            if first:
                sizes.append(int(last or first) - int(first) + 1)
        return min(sizes, default=0)
