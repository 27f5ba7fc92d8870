"""The monitor that reports to the server."""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import TYPE_CHECKING

from microscaling.api.address import gone
from microscaling.api.agent_report import HEADER, agent_detail
from microscaling.api.metrics import metrics_message, task_metrics
from microscaling.demand.tasks import Tasks
from microscaling.monitor.base import Monitor, MonitorPlugin
from microscaling.settings import Settings

if TYPE_CHECKING:  # the library for websockets is imported only if there is a server to connect to
    from microscaling.clients.websocket.connection import Connection

log = logging.getLogger("mssagent")


class ServerMonitor(Monitor):
    """Sends the state of all tasks whenever there is a connection; the connection itself logs its outages.

    `name` is the name of this agent, `engine` is LOCAL or SERVER. Both go only to servers that ask for
    details.
    """

    def __init__(self, connection: Connection, user_id: str, name: str = "", engine: str = "") -> None:
        self.connection = connection
        self.user_id = user_id
        self.name = name
        self.engine = engine
        self._closed = False
        self._lock = threading.Lock()

    def send_metrics(self, tasks: Tasks) -> None:
        """Returns at once. Without a connection the report is dropped, as the next one is newer anyway."""
        with self._lock:
            if self._closed:
                return
            self.connection.open(self)
        if self.connection.connected:
            # Only a server that announces the header in its handshake understands details.
            more = bool(self.connection.said(HEADER))
            with tasks:
                told = [task_metrics(task) for task in tasks.tasks]
                detail = agent_detail(tasks, self.name, self.engine) if more else None
            self.connection.send(metrics_message(self.user_id, told, int(time.time()), detail))

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self.connection.close(self)


def make(settings: Settings, connection: Connection | None) -> Monitor | None:
    """Returns the monitor; None, with a message, if the server's address is that of the old public one."""
    if connection is None:
        log.info("%s", gone("no metrics are sent; set it to a server of your own, or MSS_MONITOR to none"))
        return None
    return ServerMonitor(connection, settings.user_id, socket.gethostname(), settings.demand_engine)


TYPE = MonitorPlugin("SERVER", "the server", make)
