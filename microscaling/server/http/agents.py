"""The websocket of agents: reports in, demand out."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque

from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from microscaling.server.domain.modes import Demand
from microscaling.server.domain.reports import HEADER, demand_message, read_report
from microscaling.server.domain.users import Agent, Users
from microscaling.server.http.auth import Guard
from microscaling.server.http.load import Load
from microscaling.server.http.protocol import protocol_of
from microscaling.server.limits import MAX_BYTES, SILENT_S, Bucket, Full, Refusals, Refused

RATE, BURST = 20.0, 60.0
"""Messages of one agent: a second in the long run, and at once. An agent sends two a second."""
# Faster ones are read later, so that only their sender has to wait.
SEND_S = 10.0
"""Time after which an agent that does not read its messages is disconnected."""
MAX_BAD = 50
"""Invalid messages in a row after which the connection is closed."""
ROOM_S, ROOM_LOOK_S = 3.0, 0.2
"""Longest wait of a newcomer for a place among the agents without a first report, and the time between two
tries."""
# Less than the 4 s after which our agents give up.
BROKEN = {
    1002: "breaks the websocket protocol",
    1007: "is not UTF-8",
    1009: f"is longer than {MAX_BYTES} bytes",
}
"""Reasons for which the library closes a connection, by code (RFC 6455, section 7.4)."""
TRY_LATER, BROKE_THE_RULES = 1013, 1008
SILENT, SLOW, NONSENSE = "silent for too long", "too slow", "invalid messages only"


class Agents:
    """Serves the websockets of all agents."""

    def __init__(self, users: Users, guard: Guard, refusals: Refusals, load: Load) -> None:
        self.users = users
        self.guard = guard
        self.refusals = refusals
        self.load = load

    async def serve(self, websocket: WebSocket) -> None:
        """Checks, accepts and serves the websocket of one agent until it is closed."""
        status = self.guard.refuses_agent(websocket)
        if status:
            await self._deny(websocket, status)
            return
        link = Link(websocket, self)
        try:
            await self._connect(link)
        except Refused as why:
            self.refusals.refuse(link.who, str(why))
            await self._deny(websocket, 503)
            return
        try:
            link.listen()
            await websocket.accept(headers=[(HEADER[0].encode(), HEADER[1].encode())])
            await link.until_closed()
        except (WebSocketDisconnect, ConnectionError):
            pass
        except asyncio.CancelledError:
            if not link.ended:  # cancelled by the server's end, and not by `Link._end`
                raise
        finally:
            self.users.disconnect(link.agent)
            await link.close()

    async def _connect(self, link: Link) -> None:
        """Waits for a place for the agent. Raises Refused if none becomes free within ROOM_S."""
        deadline = time.monotonic() + ROOM_S
        while True:
            try:
                link.agent = self.users.connect(link.offer, link)
                return
            except Full:
                if time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(ROOM_LOOK_S)

    async def _deny(self, websocket: WebSocket, status: int) -> None:
        self.load.closed(f"refused with {status}")
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await websocket.send_denial_response(PlainTextResponse("refused\n", status))


class Link:
    """One agent's connection: reads reports at the allowed rate, and sends the changes of the demand.

    To an agent that reads slowly it sends only the newest demand.
    """

    def __init__(self, websocket: WebSocket, agents: Agents) -> None:
        self.websocket = websocket
        self.agents = agents
        self.who = websocket.client.host if websocket.client else "unknown"
        self.agent: Agent
        self.ended = ""
        """The reason why the server has ended it; "" if it has not."""
        self._code = TRY_LATER
        self._protocol = protocol_of(websocket.scope)
        self._serving = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._since = time.monotonic()
        self._bucket = Bucket(RATE, BURST, self._since)
        self._bad = 0
        self._unread: deque[str | None] = deque()
        """Messages that were read together with others, and wait for their turn."""
        self._resting: asyncio.Handle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._wanted: Demand = {}
        self._sent: Demand = {}

    # Reading

    def listen(self) -> None:
        """Starts to take in messages."""
        self._protocol.take = self._take
        self._protocol.writable_again = self._send

    async def until_closed(self) -> None:
        """Waits until the other side has closed the connection, and its last messages have been taken in."""
        while (message := await self.websocket.receive())["type"] != "websocket.disconnect":
            pass
        if self._resting is not None:
            self._resting.cancel()
        while self._unread and not self.ended:  # no rate limit, as it cannot send more
            self._hear(self._unread.popleft(), time.monotonic())
            await asyncio.sleep(0)
        if why := BROKEN.get(message.get("code", 0)):
            self.agents.load.closed(why)
            self.agents.refusals.refuse(self.who, f"message of an agent: {why}")

    def _take(self, text: str | None) -> None:
        if self.ended:
            return
        if self._resting is not None:
            self._unread.append(text)
        elif self._protocol.together > 1:
            # The server is behind. One message of each agent in turn keeps the others, and newcomers, going.
            self._unread.append(text)
            self._rest(0.0)
        else:
            self._read(text)

    def _read(self, text: str | None) -> None:
        now = time.monotonic()
        self._hear(text, now)
        late = self._bucket.take(now)
        if late > 0 and not self.ended:
            self.agents.refusals.refuse(
                self.who,
                f"an agent sends more than {RATE:g} messages a second: slowed down",
            )
            self._rest(late)

    def _hear(self, text: str | None, now: float) -> None:
        try:
            if text is None:
                raise Refused("a message is not text")
            self.agents.users.hear(self.agent, read_report(text), now)
            self._bad = 0
        except Refused as why:
            self.agents.refusals.refuse(self.who, f"message of an agent: {why}")
            self._bad += 1
        if self._bad >= MAX_BAD:
            self._end(NONSENSE, BROKE_THE_RULES)

    def _rest(self, seconds: float) -> None:
        """Takes in no message of this agent for so long."""
        # A few messages may wait here; then the socket is not read any more, so the agent has to wait.
        if seconds or len(self._unread) > BURST:
            self._protocol.pause()
        rested = self._rested
        self._resting = self._loop.call_later(seconds, rested) if seconds else self._loop.call_soon(rested)

    def _rested(self) -> None:
        self._resting = None
        if self._unread and not self.ended:
            self._read(self._unread.popleft())
        if self._resting is not None:
            return
        if self._unread:
            self._rest(0.0)
        else:
            self._protocol.resume()

    # Sending

    def offer(self, demand: Demand) -> None:
        """Sends the changes of the demand, now or as soon as the agent reads; never blocks."""
        self._wanted = demand
        self._send()

    def _send(self) -> None:
        if not self._protocol.can_send:
            self._stuck = self._stuck or self._loop.call_later(SEND_S, self._end, SLOW)
            return
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
        if self._wanted == self._sent:  # the usual case, which must be fast
            return
        changes = {app: n for app, n in self._wanted.items() if self._sent.get(app) != n}
        if changes:
            self._sent.update(changes)
            self._protocol.send_text(demand_message(changes))

    def ask(self, text: str) -> None:
        """Sends a question, if the agent reads; never blocks."""
        if self._protocol.can_send:
            self._protocol.send_text(text)

    # The end

    def silent_s(self, now: float) -> float:
        """Returns the seconds since it connected; 0 if the server has not read all of its data yet."""
        age = now - self._since
        return 0.0 if age >= SILENT_S and self._protocol.has_unread() else age

    def evict(self) -> None:
        """Closes a silent connection, to make room for others."""
        self._end(SILENT)

    async def close(self) -> None:
        """Stops the timers, and sends the reason if the server has ended it; uvicorn closes the socket."""
        for timer in (self._resting, self._stuck):
            if timer is not None:
                timer.cancel()
        if self.ended:
            with contextlib.suppress(
                WebSocketDisconnect,
                RuntimeError,
                ConnectionError,
                asyncio.TimeoutError,
                asyncio.CancelledError,
            ):
                await asyncio.wait_for(self.websocket.close(self._code, self.ended), 0.5)

    def _end(self, why: str, code: int = TRY_LATER) -> None:
        if self.ended:
            return
        self.ended, self._code = why, code
        self.agents.load.closed(why)
        self.agents.refusals.refuse(self.who, f"an agent's connection is closed: {why}")
        if self._serving is not None:
            self._serving.cancel()
