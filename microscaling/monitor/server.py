"""The monitor that tells the server."""

from __future__ import annotations

import threading
import time

from microscaling.api.agent_report import HEADER, agent_detail
from microscaling.api.metrics import metrics_message, task_metrics
from microscaling.clients.websocket.connection import Connection
from microscaling.demand.tasks import Tasks
from microscaling.monitor.base import Monitor


class ServerMonitor(Monitor):
    """Sends how the tasks are, whenever there is a connection; who holds it says when there is none.

    `name`: of this agent, and `engine`: LOCAL or SERVER, for servers that want to know more.
    """

    def __init__(self, connection: Connection, user_id: str, name: str = "", engine: str = "") -> None:
        self.connection = connection
        self.user_id = user_id
        self.name = name
        self.engine = engine
        self._closed = False
        self._lock = threading.Lock()

    def send_metrics(self, tasks: Tasks) -> None:
        """Returns at once. What cannot be sent now is dropped: the next one is newer."""
        with self._lock:
            if self._closed:
                return
            self.connection.open(self)
        if self.connection.connected:
            more = bool(self.connection.said(HEADER))
            with tasks:
                told = [task_metrics(task) for task in tasks.tasks]
                detail = agent_detail(tasks, self.name, self.engine) if more else None
            self.connection.send(metrics_message(self.user_id, told, int(time.time()), detail))

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self.connection.close(self)
