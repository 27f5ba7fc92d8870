"""The way from an agent to its engine, with an eye on what the agent sends: new numbers, and its lease."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

from tests.chaos.link import Link
from tests.chaos.link import Pipe as Plain
from tests.swarm.chaos.history import History

UPDATE = re.compile(rb"POST /v[0-9.]+/(?P<kind>services|configs)/(?P<id>[0-9a-z]+/update|create)\S* HTTP")
LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
HOLDER = "com.microscaling.lease.holder"


class Spy(Link):
    """A link that writes into the history what comes by, of services whose names begin with `prefix`."""

    def __init__(self, path: Path, upstream: Path, agent: str, history: History, prefix: str) -> None:
        self.agent, self.history, self.prefix = agent, history, prefix
        super().__init__(path, upstream)

    def pipe(self, client: socket.socket) -> Plain:
        return _Pipe(self, client, self.mode)

    def saw(self, body: dict[str, Any], kind: bytes) -> str:
        """Takes a request; returns the kind of happening that a good answer to it is, if it is one."""
        name = str(body.get("Name"))
        if kind == b"configs":
            holder = (body.get("Labels") or {}).get(HOLDER)
            return "" if holder is None else ("taken" if holder else "given back")
        if name.startswith(self.prefix):
            number = int(body["Mode"]["Replicated"]["Replicas"])
            self.history.add("sent", self.agent, name.removeprefix(self.prefix), number)
        return ""


class _Pipe(Plain):
    """One connection; requests come one after the other on it."""

    link: Spy

    def __init__(self, link: Spy, client: socket.socket, mode: str) -> None:
        super().__init__(link, client, mode)
        self._begun = b""
        self._wanted = ""
        """What the answer to the last request is waited for."""

    def on_request(self, data: bytes) -> None:
        self._begun += data
        while self._begun:
            head, there, rest = self._begun.partition(b"\r\n\r\n")
            if not there:
                return
            found = LENGTH.search(head)
            length = int(found[1]) if found else 0
            if len(rest) < length:
                return
            body, self._begun = rest[:length], rest[length:]
            update = UPDATE.match(head)
            self._wanted = self.link.saw(json.loads(body), update["kind"]) if update else ""

    def on_answer(self, data: bytes) -> None:
        if self._wanted and data[9:12] in (b"200", b"201"):
            self.link.history.add(self._wanted, self.link.agent)
        self._wanted = ""
