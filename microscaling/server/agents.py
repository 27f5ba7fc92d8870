"""The websocket that agents speak over: reports in, demand out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from starlette.websockets import WebSocket, WebSocketDisconnect

from microscaling.server.auth import Guard
from microscaling.server.limits import MOST_BYTES, Bucket, Refusals, Refused
from microscaling.server.modes import Demand
from microscaling.server.users import Agent, Users
from microscaling.server.wire import HEADER, demand_message, read_report

log = logging.getLogger("mssserver")

RATE, BURST = 20.0, 60.0
"""Messages of one agent: a second in the long run, and at once. An agent sends two a second; what
comes faster is read later, so the sender has to wait, and nobody else does."""
SEND_S = 10.0
"""How long an agent may take to accept what is sent to it."""
MOST_BAD = 50
"""Messages in a row that make no sense, before the connection is closed."""
BROKEN = {
    1002: "breaks the websocket protocol",
    1007: "is not UTF-8",
    1009: f"is longer than {MOST_BYTES} bytes",
}
"""What the library closes a connection for, by its code (RFC 6455, section 7.4)."""
TRY_LATER, BROKE_THE_RULES = 1013, 1008


class Agents:
    """Serves every agent's websocket."""

    def __init__(self, users: Users, guard: Guard, refusals: Refusals) -> None:
        self.users = users
        self.guard = guard
        self.refusals = refusals

    async def serve(self, websocket: WebSocket) -> None:
        who = websocket.client.host if websocket.client else "unknown"
        status = self.guard.refuses_agent(websocket)
        if status:
            await _deny(websocket, status)
            return
        link = Link(websocket, who)
        try:
            link.agent = self.users.connect(link.offer, link.evict)
        except Refused as why:
            self.refusals.refuse(who, str(why))
            await _deny(websocket, 503)
            return
        try:
            await websocket.accept(headers=[(HEADER[0].encode(), HEADER[1].encode())])
            await self._listen(link)
        except (WebSocketDisconnect, ConnectionError):
            pass
        except asyncio.CancelledError:
            if not link.ended:
                raise
        finally:
            self.users.disconnect(link.agent)
            await link.close()

    async def _listen(self, link: Link) -> None:
        bucket = Bucket(RATE, BURST, time.monotonic())
        bad = 0
        while True:
            message = await link.websocket.receive()
            if message["type"] != "websocket.receive":
                if why := BROKEN.get(message.get("code", 0)):
                    self.refusals.refuse(link.who, f"message of an agent: {why}")
                return
            text = message.get("text")
            try:
                if text is None:
                    raise Refused("a message is not text")
                self.users.hear(link.agent, read_report(text), time.monotonic())
                bad = 0
            except Refused as why:
                self.refusals.refuse(link.who, f"message of an agent: {why}")
                bad += 1
            if bad >= MOST_BAD:
                await link.websocket.close(BROKE_THE_RULES, "nothing that makes sense")
                return
            late = bucket.take(time.monotonic())
            if late > 0:
                self.refusals.refuse(
                    link.who,
                    f"an agent sends more than {RATE:g} messages a second: slowed down",
                )
                await asyncio.sleep(late)


class Link:
    """Sends one agent what has changed, the newest only, however slowly it takes it."""

    def __init__(self, websocket: WebSocket, who: str) -> None:
        self.websocket = websocket
        self.who = who
        self.agent: Agent
        self.ended = ""
        """Why it was ended from here; empty: it was not."""
        self._serving = asyncio.current_task()
        self._wanted: Demand = {}
        self._sent: Demand = {}
        self._sender: asyncio.Task[None] | None = None

    def offer(self, demand: Demand) -> None:
        """Never waits."""
        self._wanted = demand
        if self._sender is None and any(self._sent.get(app) != n for app, n in demand.items()):
            self._sender = asyncio.get_running_loop().create_task(self._send())

    def evict(self) -> None:
        """Makes room for others."""
        self._end("silent for too long")

    async def close(self) -> None:
        """Says why, if the other side listens; the connection itself is uvicorn's to close."""
        if self._sender is not None:
            self._sender.cancel()
        if self.ended:
            with contextlib.suppress(
                WebSocketDisconnect,
                RuntimeError,
                ConnectionError,
                asyncio.TimeoutError,
                asyncio.CancelledError,
            ):
                await asyncio.wait_for(self.websocket.close(TRY_LATER, self.ended), 0.5)

    def _end(self, why: str) -> None:
        self.ended = why
        if self._serving is not None:
            self._serving.cancel()

    async def _send(self) -> None:
        try:
            while changes := {app: n for app, n in self._wanted.items() if self._sent.get(app) != n}:
                self._sent.update(changes)
                await asyncio.wait_for(self.websocket.send_text(demand_message(changes)), SEND_S)
        except (asyncio.TimeoutError, WebSocketDisconnect, RuntimeError, ConnectionError):
            self._end("too slow")
        finally:
            self._sender = None


async def _deny(websocket: WebSocket, status: int) -> None:
    from starlette.responses import PlainTextResponse

    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await websocket.send_denial_response(PlainTextResponse("refused\n", status))
