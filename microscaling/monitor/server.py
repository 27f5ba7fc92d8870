"""The monitor that reports to the server."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from microscaling.api.agent_report import HEADER, MAX_MESSAGE, agent_detail
from microscaling.api.containers import read_question
from microscaling.api.metrics import metrics_message, task_metrics
from microscaling.api.orders import read_order
from microscaling.clients.server_address import gone
from microscaling.demand.tasks import Tasks
from microscaling.monitor.base import Monitor, MonitorPlugin
from microscaling.settings import Settings

if TYPE_CHECKING:  # the library for websockets is imported only if there is a server to connect to
    from microscaling.clients.websocket.connection import Connection

log = logging.getLogger("mssagent")

ANSWERS_S = 5.0
"""Seconds for which the containers of a task are in the reports after the server has asked for them."""
MAX_ASKED = 5
"""Tasks whose containers may be in one report."""


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
        self._carry_out: Callable[[str, Mapping[str, str]], object] | None = None
        self._questions: dict[str, float] = {}
        """Times of the server's questions for containers, by task."""
        self._lock = threading.Lock()

    def send_metrics(self, tasks: Tasks) -> None:
        """Returns at once. Without a connection the report is dropped, as the next one is newer anyway."""
        with self._lock:
            if self._closed:
                return
            self.connection.open(self, self.hear)
        if self.connection.connected:
            # Only a server that announces the header in its handshake understands details.
            more = bool(self.connection.said(HEADER))
            text = self._message(tasks, more)
            # The server would close the connection, and the agent could be neither seen nor led.
            if len(text) > MAX_MESSAGE and more:  # JSON in ASCII: a character is a byte
                text = self._message(tasks, more, brief=True)
            self.connection.send(text)

    def _message(self, tasks: Tasks, more: bool, brief: bool = False) -> str:
        with tasks:
            told = [task_metrics(task) for task in tasks.tasks]
            detail = self._detail(tasks, brief) if more else None
        return metrics_message(self.user_id, told, int(time.time()), detail)

    def _detail(self, tasks: Tasks, brief: bool) -> dict[str, Any]:
        orders = self._carry_out is not None
        return agent_detail(tasks, self.name, self.engine, self._asked(), brief, orders)

    def obey(self, carry_out: Callable[[str, Mapping[str, str]], object]) -> None:
        self._carry_out = carry_out

    def hear(self, message: bytes) -> None:
        """Takes a message of the server; called in the connection's thread."""
        if name := read_question(message):
            with self._lock:
                self._questions[name] = time.monotonic()
                while len(self._questions) > MAX_ASKED:
                    del self._questions[next(iter(self._questions))]
        if self._carry_out is not None and (order := read_order(message)):
            self._carry_out(*order)

    def _asked(self) -> set[str]:
        """Returns the tasks whose containers the server has asked for lately."""
        now = time.monotonic()
        with self._lock:
            return {name for name, asked in self._questions.items() if now - asked <= ANSWERS_S}

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
