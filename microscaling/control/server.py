"""The control socket: JSON over HTTP, on a Unix socket that only the agent's user can open."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from microscaling.utils.listener import Listener, Reply, Request
from microscaling.utils.text import short

log = logging.getLogger("mssagent")

BACKLOG = 16
ROOT = 0
PEER = struct.Struct("3i")
"""pid, uid and gid: see SO_PEERCRED in socket(7)."""

Answer = tuple[int, Any]
"""The status of HTTP, and the body for JSON."""
Handler = Callable[[Mapping[str, str]], Answer]
"""Answers a request by the parameters of its query."""


class ControlServer(Listener):
    """Answers one request at a time. `handlers`: method and path, such as "GET /status", to the function for
    them; `every`: called about once a second. A socket that cannot be made is logged, and the agent goes on
    without it. One whose file disappears is made anew, at the path that `elsewhere` gives."""

    def __init__(
        self,
        path: str,
        handlers: Mapping[str, Handler],
        every: Callable[[], object] = lambda: None,
        elsewhere: Callable[[], str] | None = None,
    ) -> None:
        super().__init__("mss-control")
        self.path = path
        self.handlers = handlers
        self._every = every
        self._elsewhere = elsewhere or (lambda: path)

    def every(self) -> None:
        self._every()
        # As with the health file: logind removes the folders of a user who has logged out.
        if self._listening is not None and not os.path.exists(self.path):
            self._listening.close()
            self._listening, self.path = None, self._elsewhere()
            log.info("the control socket was removed: there is another one")

    def on_exit(self) -> None:
        made = self._listening is not None
        super().on_exit()
        if made:
            with contextlib.suppress(OSError):
                os.unlink(self.path)

    def listen(self) -> socket.socket | None:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if not self.path:
                raise OSError("there is no folder for it, or its path is too long")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)  # of an earlier process with this pid
            # In a folder that only this user can enter, so the moment before the next line does no harm.
            listening.bind(self.path)
            os.chmod(self.path, 0o600)
            listening.listen(BACKLOG)
        except OSError as error:
            listening.close()
            log.info("no control socket (%s): `microscaling status` will not see this agent", error)
            return None
        return listening

    def reply(self, connection: socket.socket, request: Request) -> Reply:
        # The rights of file and folder keep others out; this holds even if these have been changed.
        _, uid, _ = PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size))
        if uid in (ROOT, os.geteuid()):
            status, body = self._answer(request)
        else:
            status, body = 403, {"error": "only for the user of the agent"}
        return Reply(status, json.dumps(body).encode(), "application/json")

    def _answer(self, request: Request) -> Answer:
        try:
            target = urlsplit(request.target)
            query = dict(parse_qsl(target.query, keep_blank_values=True))
        except ValueError as error:
            return 400, {"error": f"not a request: {error}"}
        try:
            handler = self.handlers.get(f"{request.method} {target.path}")
            if handler is None:
                return 404, {"error": f"there are {', '.join(self.handlers)}"}
            return handler(query)
        except Exception as error:  # a question of a person must not end the agent
            line = f"{request.method} {request.target}"
            log.warning("control socket: %s cannot be answered", short(line), exc_info=True)
            return 500, {"error": f"{type(error).__name__}: {error}"}
