"""The process: `python -m microscaling server`."""

from __future__ import annotations

import errno
import gc
import logging
import os
import re
import resource
import socket
import sqlite3
from collections.abc import Mapping

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from microscaling import __version__
from microscaling.errors import ConfigError
from microscaling.server.app import make_app
from microscaling.server.domain.users import Users
from microscaling.server.http.agents import Agents
from microscaling.server.http.api import Api
from microscaling.server.http.auth import SHORT_TOKEN, Guard
from microscaling.server.http.events import EventHub
from microscaling.server.http.load import Load
from microscaling.server.http.pages import Pages
from microscaling.server.http.protocol import AgentProtocol
from microscaling.server.jobs import Jobs
from microscaling.server.limits import (
    MAX_AGENTS,
    MAX_BYTES,
    MAX_HEADER_BYTES,
    MAX_WATCHERS,
    Refusals,
    ToldOnce,
)
from microscaling.server.storage.persistence import Persistence
from microscaling.server.storage.store import StoreError, default_path, open_store
from microscaling.settings import Settings
from microscaling.supervision.signals import caught, report_unheeded
from microscaling.utils.flag import Flag
from microscaling.utils.text import quoted

log = logging.getLogger("mssserver")

FAILED = 1
GRACE_S = 3
POLL_INTERVAL_S = 5.0
MAX_WAITING = 1000
"""Connections without a request yet."""
COLLECT_AFTER = 20_000
"""New objects between two runs of the garbage collector (Python: 700)."""
# The objects of a report are freed without it, so runs after every few reports would find nothing.
KEEPALIVE = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3),
             (socket.TCP_USER_TIMEOUT, 30_000))  # fmt: skip
"""Options by which the kernel finds out that the other side has gone; seconds, the last in ms."""
# In place of websocket pings, because the Go agent answers them only at times when it reads.


def run(settings: Settings, environ: Mapping[str, str] = os.environ) -> int:
    """Serves until a signal ends it. Returns the exit code. Raises ConfigError before it begins."""
    listener = listen(settings)
    try:
        server = make_server(settings, environ)
        _spare_the_collector()
        with caught(server.stopping):
            server.run(sockets=[listener])
    finally:
        listener.close()
    log.info("stopped")
    return FAILED if server.jobs.failed else 0


def listen(settings: Settings) -> socket.socket:
    """Opens the socket at MSS_SERVER_ADDRESS. Raises ConfigError."""
    host, port = _address(settings.server_address)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError(f"MSS_SERVER_ADDRESS: {host} is not found: {error.strerror}") from None
    family, kind, proto, _, address = found[0]
    if not (settings.server_token or settings.server_open or _is_loopback(str(address[0]))):
        raise ConfigError(
            f"MSS_SERVER_ADDRESS: {host} can be reached by others, and there is no token: set "
            "MSS_SERVER_TOKEN, or MSS_SERVER_OPEN=true to allow everything to all that can reach it",
        )
    sock = socket.socket(family, kind, proto)
    try:
        # So that a restart need not wait until the old connections have timed out.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise ConfigError(
            f"MSS_SERVER_ADDRESS: cannot listen at {quoted(settings.server_address)}: {_why(error)}",
        ) from None
    return sock


def make_server(settings: Settings, environ: Mapping[str, str]) -> Server:
    """Builds the server from its parts. Raises ConfigError."""
    store = open_store(settings.server_store or default_path(environ))
    if settings.server_token and len(settings.server_token) < SHORT_TOKEN:
        log.warning("MSS_SERVER_TOKEN: is shorter than %d characters, which can be guessed", SHORT_TOKEN)
    users, refusals = Users(), Refusals()
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).filters[:] = [ToldOnce(refusals)]
    jobs = Jobs()
    keeper = Persistence(store, users, settings, jobs)
    try:
        guard = Guard(settings.server_token, store.secret(), refusals)
        keeper.load()
    except (StoreError, sqlite3.Error) as error:
        raise ConfigError(f"MSS_SERVER_STORE: {store.path} cannot be used: {error}") from None
    load = Load()
    live = EventHub(users, bool(settings.server_token), jobs, load)
    api, pages = Api(users, keeper, live, load), Pages(guard, keeper)
    app = make_app(guard, Agents(users, guard, refusals, load), api, pages, keeper, live)
    _many_files()
    config = uvicorn.Config(
        app,
        loop="asyncio",  # with uvloop a handshake takes twice as long while the server is behind
        http="h11",
        ws=AgentProtocol,
        ws_max_size=MAX_BYTES,
        ws_ping_interval=None,  # see KEEPALIVE
        ws_per_message_deflate=False,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        limit_concurrency=MAX_AGENTS + MAX_WATCHERS + MAX_WAITING,
        timeout_graceful_shutdown=GRACE_S,
        proxy_headers=False,
        server_header=False,
        log_config=None,
        access_log=False,
        lifespan="on",
    )
    return Server(config, live, jobs)


class Server(uvicorn.Server):
    """uvicorn's server, which also closes pages at its end, and connections without requests."""

    def __init__(self, config: uvicorn.Config, live: EventHub, jobs: Jobs) -> None:
        super().__init__(config)
        self.live = live
        self.jobs = jobs
        self.stopping = Flag()
        """Set by the signals that uvicorn does not handle: SIGQUIT, and SIGHUP at a terminal."""
        self._idle: dict[H11Protocol, object] = {}

    def handle_exit(self, sig: int, frame: object) -> None:
        """Begins the end at the first signal, and ends the process at once at the second."""
        # In place of uvicorn's own handler, which would raise the signal again at the end.
        if self.should_exit:
            os._exit(1)
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to serve, and logs the address."""
        await super().startup(sockets)
        for sock in sockets or ():
            host, port = sock.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            log.info("microscaling %s: the server is at http://%s:%d/", __version__, shown, port)

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second. Returns whether to end."""
        if counter % int(POLL_INTERVAL_S * 10) == 0:
            self._drop_idle()
        report_unheeded()
        return self.jobs.failed or self.stopping.is_set() or await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Closes the pages, then the rest."""
        log.info("stopping")
        self.live.close()
        await super().shutdown(sockets)

    def _drop_idle(self) -> None:
        """Cuts off the connections that have sent no complete request since the last call."""
        idle: dict[H11Protocol, object] = {}
        for connection in list(self.server_state.connections):
            if isinstance(connection, H11Protocol):
                cycle: RequestResponseCycle | None = connection.cycle
                if cycle is None or cycle.response_complete:
                    idle[connection] = cycle
        for connection, asked in idle.items():
            if connection in self._idle and self._idle[connection] is asked:
                connection.transport.abort()
        self._idle = idle


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another process listens there (a second server?): end it, or choose another port"
    if error.errno == errno.EACCES:
        return "permission denied: ports below 1024 are for root, choose a higher one"
    return error.strerror or str(error)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and re.fullmatch("[0-9]{1,5}", port) and int(port) < 65536):
        raise ConfigError(f"MSS_SERVER_ADDRESS: expected host:port, got {quoted(text)}")
    return host, int(port)


def _is_loopback(address: str) -> bool:
    return address == "::1" or address.startswith("127.")


def _many_files() -> None:
    """Raises the limit of open files, as a thousand agents need more than the usual 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_AGENTS + MAX_WATCHERS + 2 * MAX_WAITING
    wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _spare_the_collector() -> None:
    """Makes the garbage collector run less often, and over fewer objects."""
    gc.collect()
    # The present objects are modules and code, which live until the end.
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
