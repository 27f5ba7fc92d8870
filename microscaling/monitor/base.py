"""The interface of a monitor, as the agent calls it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from microscaling.demand.tasks import Tasks
from microscaling.plugins import Group, Variable
from microscaling.settings import Settings

if TYPE_CHECKING:
    from microscaling.clients.websocket.connection import Connection


class Monitor(ABC):
    """Reports the state of the tasks to one destination, in a thread of its own: one that hangs delays no
    other."""

    @abstractmethod
    def send_metrics(self, tasks: Tasks) -> None:
        """Sends one report; called every 500 ms. Copies the data under the lock and sends it without the
        lock. May raise TemporaryError, which is logged once."""

    def obey(self, carry_out: Callable[[str, Mapping[str, str]], object]) -> None:
        """From now on, passes orders of people at the destination to `carry_out`: a command and its
        parameters, as the control socket takes them. A destination without people has none."""

    def close(self) -> None:
        """Aborts a `send_metrics` that waits, and releases all resources."""


@dataclass(frozen=True)
class MonitorPlugin:
    """A destination of reports that MSS_MONITOR can name; it is found as microscaling.plugins describes."""

    type_name: str
    summary: str
    """The destination in a few words: "the server"."""
    make: Callable[[Settings, Connection | None], Monitor | None]
    """Returns the monitor for these settings, and for the connection to the server, if there is one; None if
    it has nothing to do. Raises ConfigError."""
    variables: tuple[Variable, ...] = ()
    """The environment variables that it reads, apart from the settings."""


def _is_monitor(found: Any) -> bool:
    return isinstance(found, MonitorPlugin)


MONITORS: Group[MonitorPlugin] = Group("monitor", "microscaling.monitor", _is_monitor)
"""By MSS_MONITOR."""
