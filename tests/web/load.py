"""A steady load of requests, each on a new connection, and what became of them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

PATIENCE_S = 30.0
LATE_S = 0.5
"""What an answer may take longer than its work before it counts as late."""
TURN = ["GET /fast"] * 6 + ["GET /slow", "POST /work"]
"""The kinds of requests, in turn."""
WORK_S = {"GET /fast": 0.0, "GET /slow": 2.0, "POST /work": 2.0}
BODY = b"x" * 2000


@dataclass
class Outcome:
    """What became of the requests."""

    sent: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    why: Counter[str] = field(default_factory=Counter)
    by: Counter[str] = field(default_factory=Counter)
    """By host name of the container, its answers."""
    late: int = 0
    slowest_s: float = 0.0
    """The longest time beyond the work itself."""

    @property
    def total(self) -> int:
        return sum(self.sent.values())

    @property
    def failures(self) -> int:
        return sum(self.failed.values())

    def words(self) -> str:
        kinds = "/".join(str(self.failed[kind]) for kind in WORK_S)
        why = "; ".join(f"{count} {what}" for what, count in self.why.most_common(3))
        late = f"{self.late} late, slowest +{self.slowest_s:.1f} s"
        return f"{self.failures} of {self.total} failed ({kinds}), {late}" + (f" ({why})" if why else "")


class Load:
    """With its block, it sends `rate` requests a second to an address, from a thread of its own; at its end
    it waits for the last answers."""

    def __init__(self, address: str, port: int, rate: float) -> None:
        self.address, self.port, self.rate = address, port, rate
        self.outcome = Outcome()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._send()), name="load")

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    async def _send(self) -> None:
        under_way: set[asyncio.Task[None]] = set()
        number, due = 0, time.monotonic()
        while not self._ended.is_set():
            task = asyncio.create_task(self._one(TURN[number % len(TURN)]))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            number, due = number + 1, max(due + 1.0 / self.rate, time.monotonic() - 1.0)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.gather(*under_way)

    async def _one(self, kind: str) -> None:
        began, of = time.monotonic(), self.outcome
        of.sent[kind] += 1
        try:
            answer = await asyncio.wait_for(self._ask(kind), PATIENCE_S)
            status = answer.split(b" ", 2)[1].decode()
            if status != "200" or f"{kind} by ".encode() not in answer:
                raise OSError(f"status {status}")
            of.by[answer.rsplit(b" ", 1)[1].decode().strip()] += 1
        except (OSError, asyncio.TimeoutError, IndexError) as error:
            of.failed[kind] += 1
            of.why[f"{kind}: {error or type(error).__name__}"] += 1
            return
        beyond = time.monotonic() - began - WORK_S[kind]
        of.late += beyond > LATE_S
        of.slowest_s = max(of.slowest_s, beyond)

    async def _ask(self, kind: str) -> bytes:
        reader, writer = await asyncio.open_connection(self.address, self.port)
        try:
            method, path = kind.split()
            body = BODY if method == "POST" else b""
            writer.write(
                b"%s %s HTTP/1.1\r\nHost: web\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
                % (method.encode(), path.encode(), len(body))
                + body
            )
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()
