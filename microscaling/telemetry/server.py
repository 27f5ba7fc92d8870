"""The thread that answers the scrapes of Prometheus."""

from __future__ import annotations

import logging
import platform
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from microscaling import __version__
from microscaling.demand.tally import Tally
from microscaling.demand.tasks import Tasks
from microscaling.engine.base import Engine
from microscaling.errors import ConfigError
from microscaling.settings import Settings
from microscaling.telemetry.address import VARIABLE, PortTaken, check_free, is_loopback, listen, shown
from microscaling.utils.failure_log import FailureLog
from microscaling.utils.finding import Finding, ok, warning
from microscaling.utils.listener import Listener, Reply, Request

if TYPE_CHECKING:  # the library is imported only if the metrics are on
    from microscaling.telemetry.families import AgentCollector

log = logging.getLogger("mssagent")

NEEDS_LIBRARY = f"{VARIABLE} needs prometheus-client: pip install '.[metrics]' in the clone"
PATH = "/metrics"
INDEX = Reply(200, b"The metrics of this agent are at /metrics\n")


class MetricsServer(Listener):
    """Answers at a socket that listens already, and closes it at the end."""

    def __init__(self, listening: socket.socket, collector: AgentCollector) -> None:
        super().__init__("mss-metrics")
        self._socket = listening
        self.collector = collector
        self.failure_log = FailureLog()

    def listen(self) -> socket.socket:
        return self._socket

    def close(self) -> None:
        """Closes the socket of a thread that was never started."""
        self._socket.close()

    def reply(self, connection: socket.socket, request: Request) -> Reply:
        if request.method not in ("GET", "HEAD"):
            return Reply(405, b"only GET\n")
        path = urlsplit(request.target).path if request.target.startswith("/") else ""
        if path != PATH:
            return INDEX if path == "/" else Reply(404, b"there is only /metrics\n")
        try:
            body, kind = self._written(request.headers.get("accept", ""))
        except Exception as error:  # to be seen by nobody is no reason to end the agent
            if self.failure_log.failed(time.monotonic(), repr(error)):
                log.warning("the metrics cannot be written", exc_info=True)
            return Reply(500, b"the metrics cannot be written: see the log of the agent\n")
        self.failure_log.recovered()
        return Reply(200, body, kind)

    def _written(self, accept: str) -> tuple[bytes, str]:
        from prometheus_client.exposition import generate_latest
        from prometheus_client.openmetrics import exposition as openmetrics
        from prometheus_client.openmetrics.exposition import ALLOWUTF8

        # All names are plain ASCII, so the escaping that others ask for changes nothing, and costs half of
        # the time.
        if "application/openmetrics-text" in accept:
            kind = "application/openmetrics-text; version=1.0.0; charset=utf-8"
            body: bytes = openmetrics.generate_latest(self.collector, escaping=ALLOWUTF8)  # type: ignore[no-untyped-call]
            return body, kind
        kind = "text/plain; version=0.0.4; charset=utf-8"
        return generate_latest(self.collector, escaping=ALLOWUTF8), kind


def examine(settings: Settings) -> Finding:
    """Returns the finding about the address of the metrics. Raises ConfigError if no agent can have it."""
    _collector()
    try:
        check_free(settings.metrics_address)
    except PortTaken as taken:
        # An agent may run beside the check.
        return warning(f"{taken.problems[0]}, unless it is this agent that runs already")
    return ok(f"{VARIABLE}: {settings.metrics_address} is free")


def _collector() -> type[AgentCollector]:
    try:
        from microscaling.telemetry.families import AgentCollector
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("microscaling"):
            raise
        raise ConfigError(NEEDS_LIBRARY) from None
    return AgentCollector


def metrics_server(settings: Settings, tasks: Tasks, engine: Engine) -> MetricsServer:
    """Returns the thread. Its port is taken now, so that the start fails if another program has it. Raises
    ConfigError."""
    collector = _collector()
    listening = listen(settings.metrics_address)
    about = {
        "version": __version__,
        "python": platform.python_version(),
        "scheduler": settings.scheduler,
        "config": settings.config,
        "engine": settings.demand_engine,
    }
    # From now on, so that the counters begin with the agent.
    tasks.tally = Tally()
    log.info("metrics at http://%s%s", shown(listening), PATH)
    if not is_loopback(listening):
        log.warning(
            "%s: others than this machine can read the metrics, names of tasks and sources included", VARIABLE
        )
    return MetricsServer(listening, collector(tasks, engine, about))
