"""A thousand agents and twenty pages on one server: is anything lost, how late are pages, does memory grow?

    python scripts/bench_server.py [--seconds 600] [--agents 1000] [--pages 20] [--users 20] [--late 0.25]
    python scripts/bench_server.py --against CHECKOUT --seconds 20    # the cost per report of two builds

The server is a process of its own, agents and pages are this one, all on this machine. Every agent
sends a report every 500 ms, with details, in the mode `queue`; every page is a plain client of /live.
How late a page is: from handing a report to the kernel to the first state that counts it, for every
report of every agent of the user that the page shows. A connection that the server closes or refuses is
counted, and opened anew. Ends with 1 if something is not as it must be.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import re
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

ROOT = Path(__file__).parents[1]
EVERY_S = 0.5
AGAIN_S = 1.0
"""After a connection was refused or closed."""
PATIENCE_S = 120.0
"""For a server that is behind to close connections, and to count what it has read."""
CLOSE = 0x8
"""The kind of a frame (RFC 6455, section 5.2)."""
MAX_RATIO = 0.6
MAX_GROWTH = 0.05
"""Of the memory, from a fifth of the time to the end."""
APPS = {
    "maxContainers": 20,
    "apps": [
        {
            "name": f"app-{i}",
            "priority": i,
            "minContainers": 1,
            "maxContainers": 10,
            "ruleType": "Queue" if i < 4 else "Remainder",
            "metricType": "NSQ",
            "config": {"targetQueueLength": 50, "topicName": "t", "channelName": "c"},
        }
        for i in range(1, 5)
    ],
}


def frame(text: str) -> bytes:
    """A text frame of a client, masked with zeros, which costs nothing (RFC 6455, section 5)."""
    data = text.encode()
    if len(data) < 126:
        head = struct.pack("!BB", 0x81, 0x80 | len(data))
    else:
        head = struct.pack("!BBH", 0x81, 0x80 | 126, len(data))
    return head + bytes(4) + data


class Closed(Exception):
    """The server has refused or closed a connection; the text says how."""


@dataclass
class Agent:
    """One agent that reports, does what it is told, and remembers when it sent each report. It comes back
    when it is refused or its connection is closed, as real ones do."""

    name: str
    user: str
    sent: list[float] = field(default_factory=list)
    """Over this connection."""
    total: int = 0
    """Over all connections."""
    closes: Counter[str] = field(default_factory=Counter)
    demand: dict[str, int] = field(default_factory=lambda: {f"app-{i}": 1 for i in range(1, 5)})
    heard: int = 0

    async def run(self, port: int, delay: float, end: float) -> None:
        await asyncio.sleep(delay)
        while time.monotonic() < end:
            try:
                await self._talk(port, end)
            except (Closed, OSError, asyncio.IncompleteReadError) as why:
                self.closes[str(why) if isinstance(why, Closed) else type(why).__name__] += 1
                await asyncio.sleep(AGAIN_S)

    async def _talk(self, port: int, end: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        listening = None
        try:
            await self._shake_hands(reader, writer, port)
            self.sent = []
            listening = asyncio.create_task(self._listen(reader))
            due = time.monotonic()
            while time.monotonic() < end and not listening.done():
                writer.write(frame(self._report()))
                self.sent.append(time.monotonic())
                self.total += 1
                await writer.drain()
                due += EVERY_S
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not listening.done():  # let pages see the last
                await asyncio.wait([listening], timeout=max(0.0, end + 3 - time.monotonic()))
            if listening.done():
                listening.result()
            await self._close(writer, listening)
        finally:
            if listening is not None:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
            writer.close()

    async def _close(self, writer: asyncio.StreamWriter, listening: asyncio.Task[None]) -> None:
        """In good order: of a connection that is dropped while demand is unread, which resets it, the server
        does not get what it has not read yet."""
        writer.write(bytes([0x80 | CLOSE, 0x80, 0, 0, 0, 0]))
        await asyncio.wait([listening], timeout=PATIENCE_S)
        if not listening.done():
            raise Closed("not closed in time by the server")

    async def _shake_hands(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int
    ) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        head = (
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Origin: http://localhost/\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n"
        )
        writer.write(head.encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        if b" 101 " not in answer:
            raise Closed(f"refused with {answer.split()[1].decode()}")

    def _report(self) -> str:
        n = self.total
        tasks = [
            {"app": app, "runningCount": count, "pendingCount": count, "metric": (n * 7 + i) % 120}
            for i, (app, count) in enumerate(self.demand.items())
        ]
        details = [
            {"app": app, "demand": count, "priority": i, "min": 1, "max": 10, "target": 50, "held": "",
             "backingOff": False, "reason": "queue 120 of target 50: wants 7 more, 2 free, takes 2"}
            for i, (app, count) in enumerate(self.demand.items(), 1)
        ]  # fmt: skip
        detail = {
            "name": self.name,
            "version": "1",
            "engine": "SERVER",
            "cap": 20,
            "hold": "",
            "tasks": details,
        }
        metrics = {"tasks": tasks, "createdAt": int(time.time())}
        return json.dumps({"user": self.user, "metrics": metrics, "detail": detail})

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Raises Closed when the server closes the connection."""
        while True:
            first, length = await reader.readexactly(2)
            if length == 126:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
            data = await reader.readexactly(length)
            if first & 0x0F == CLOSE:
                code = int.from_bytes(data[:2], "big")
                raise Closed(f"closed with {code} {data[2:].decode(errors='replace')}")
            for task in json.loads(data)["demand"]["tasks"]:
                self.demand[task["app"]] = task["demandCount"]
            self.heard += 1


@dataclass
class Page:
    """One page, and how late it saw each report."""

    user: str
    states: int = 0
    late: list[float] = field(default_factory=list)
    seen: dict[tuple[str, int], int] = field(default_factory=dict)
    """How many reports of each connection."""

    async def run(self, port: int, agents: dict[str, Agent]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
        writer.write(f"GET /live?user={self.user} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        name = b""
        try:
            while line := await reader.readline():
                if line.startswith(b"event: "):
                    name = line[7:].strip()
                elif line.startswith(b"data: ") and name == b"state":
                    self._take(json.loads(line[6:]), agents, time.monotonic())
        finally:
            writer.close()

    def _take(self, state: Any, agents: dict[str, Agent], now: float) -> None:
        self.states += 1
        for shown in state["agents"]["shown"]:
            agent = agents.get(shown["name"])
            if agent is None:
                continue
            key = (agent.name, shown["id"])
            before = self.seen.get(key, 0)
            self.late += [now - agent.sent[n] for n in range(before, min(shown["received"], len(agent.sent)))]
            self.seen[key] = shown["received"]


def ask(port: int, path: str, method: str = "GET", body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = Request(
        f"http://127.0.0.1:{port}{path}",
        data,
        {"Content-Type": "application/json"},
        method=method,
    )
    with urlopen(request, timeout=PATIENCE_S) as answer:
        return json.load(answer)


def counted(port: int) -> Any:
    """The server's counts, once it has read all that agents sent: until then it has not let go of them."""
    deadline = time.monotonic() + PATIENCE_S
    while (status := ask(port, "/api/status"))["agents"] and time.monotonic() < deadline:
        time.sleep(0.1)
    return status


def memory_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine_s() -> float:
    """What all processes together have used of all cores."""
    user, nice, system, _, _, irq, softirq = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def start_server(folder: str, root: Path) -> tuple[subprocess.Popen[str], int]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MSS_")}
    environ |= {"MSS_SERVER_ADDRESS": "127.0.0.1:0", "MSS_SERVER_STORE": f"{folder}/server.db"}
    own = root / ".venv/bin/python"
    server = subprocess.Popen(
        [str(own) if own.exists() and root != ROOT else sys.executable, "-m", "microscaling", "server"],
        cwd=root,
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr is not None
    line = server.stderr.readline()
    found = re.search(r":(\d+)/$", line.strip())
    if not found:
        raise SystemExit(f"the server does not start: {line}{server.stderr.read()}")
    return server, int(found[1])


Loaded = tuple[list[Agent], list[Page], list[float], tuple[float, int]]
"""Agents, pages, memory (MB), and of the moment when all should be connected: processor time, reports."""


async def load(
    options: argparse.Namespace,
    port: int,
    pid: int,
) -> Loaded:
    agents = [Agent(f"agent-{i}", f"user-{i % options.users}") for i in range(options.agents)]
    pages = [Page(f"user-{i % options.users}") for i in range(options.pages)]
    by_name = {agent.name: agent for agent in agents}
    spread = max(2.0, options.agents / 200)
    end = time.monotonic() + spread + options.seconds
    watching = [asyncio.create_task(page.run(port, by_name)) for page in pages]
    working = [
        asyncio.create_task(agent.run(port, spread * i / len(agents), end)) for i, agent in enumerate(agents)
    ]
    await asyncio.sleep(spread)
    connected = cpu_s(pid), sum(agent.total for agent in agents)
    memory = []
    while time.monotonic() < end:
        memory.append(memory_mb(pid))
        await asyncio.sleep(max(0.5, options.seconds / 60))
    await asyncio.gather(*working)
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    return agents, pages, memory, connected


@dataclass
class Run:
    """One run of one build."""

    agents: list[Agent]
    pages: list[Page]
    memory: list[float]
    status: dict[str, Any]
    """The server's own counts."""
    used: float
    """Processor time of the server from when all should be connected, seconds."""
    reports: int
    """In that time."""
    seconds: float
    others: float
    """Cores that neither server nor load used, but something else."""
    log: str

    @property
    def cost(self) -> float:
        """Processor time of the server per report, seconds."""
        return self.used / max(1, self.reports)

    @property
    def sent(self) -> int:
        return sum(agent.total for agent in self.agents)


def run(options: argparse.Namespace, *roots: Path) -> list[Run]:
    """Starts the servers of these checkouts, and puts the load on all of them at once."""
    with contextlib.ExitStack() as stack:
        servers: list[tuple[subprocess.Popen[str], int]] = []
        for root in roots:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            server, port = start_server(folder, root)
            stack.callback(server.terminate)
            servers.append((server, port))
            for i in range(options.users):
                ask(port, f"/api/users/user-{i}/config", "PUT", {"version": 0, "config": APPS})
                ask(port, f"/api/users/user-{i}/mode", "PUT", {"mode": "queue"})
        pids = [server.pid for server, _ in servers]
        before, own = [cpu_s(pid) for pid in pids], cpu_s(os.getpid())
        everybody, began = machine_s(), time.monotonic()
        loaded = asyncio.run(load_all(options, servers))
        seconds = time.monotonic() - began
        used = sum(map(cpu_s, pids)) - sum(before)
        others = (machine_s() - everybody - cpu_s(os.getpid()) + own - used) / seconds
        done = []
        for (server, port), (agents, pages, memory, connected) in zip(servers, loaded, strict=True):
            status = counted(port)
            steady = cpu_s(server.pid) - connected[0], status["reports"] - connected[1]
            server.terminate()
            _, errors = server.communicate(timeout=60)
            done.append(Run(agents, pages, memory, status, *steady, seconds, others, errors))
    return done


async def load_all(
    options: argparse.Namespace, servers: list[tuple[subprocess.Popen[str], int]]
) -> list[Loaded]:
    return await asyncio.gather(*(load(options, port, server.pid) for server, port in servers))


def compare(options: argparse.Namespace) -> int:
    """The processor time per report of this build and of another, side by side, so that whatever else the
    machine does slows both."""
    ours, theirs = run(options, ROOT, options.against)
    for root, done in ((ROOT, ours), (options.against, theirs)):
        lost = done.sent - done.status["reports"]
        closes = sum((agent.closes for agent in done.agents), Counter[str]())
        print(
            f"{root}: {done.cost * 1e6:.0f} us per report, {lost} of {done.sent} lost, closes {dict(closes)}"
        )
    ratio = ours.cost / theirs.cost
    print(f"ratio {ratio:.2f}; others than servers and load: {ours.others:.0%} of a core")
    return int(ratio > MAX_RATIO)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--pages", type=int, default=20)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--late", type=float, default=0.25, help="seconds: the most that the p99 may be")
    parser.add_argument("--against", type=Path, help="a checkout of another build, to compare costs with")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a connection of each agent
    return compare(options) if options.against else report(run(options, ROOT)[0], options.late)


def report(done: Run, most_p99: float) -> int:
    agents, pages, memory = done.agents, done.pages, done.memory
    sent, got = done.sent, done.status["reports"]
    late = sorted(late for page in pages for late in page.late)
    p50, p99 = late[len(late) // 2], late[int(len(late) * 0.99)]
    early = memory[len(memory) // 5 :][:5]
    last = memory[-5:]
    growth = sum(last) / len(last) / (sum(early) / len(early)) - 1
    unseen = sum(a.total - page_saw(p, a) for p in pages for a in agents if a.user == p.user)
    heard, drawn = sum(agent.heard for agent in agents), sum(page.states for page in pages)
    closes = sum((agent.closes for agent in agents), Counter[str]())
    print(
        f"server: {done.used / done.seconds:.0%} of a core, {done.cost * 1e6:.0f} us per report; "
        f"others than server and load: {done.others:.0%} of one"
    )
    print(f"{len(agents)} agents, {len(pages)} pages")
    print(f"reports sent {sent}, counted by the server {got}, not seen by their pages {unseen}")
    print(f"connections closed or refused {sum(closes.values())}: {dict(closes)}")
    print(f"demand messages to agents {heard}, states to pages {drawn}")
    print(
        f"from report to page: p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms, most {late[-1] * 1e3:.0f} ms"
    )
    print(f"memory: {memory[0]:.0f} MB at first, {early[0]:.0f} early, {memory[-1]:.0f} at last")
    bad = []
    if got != sent:
        bad.append(f"{sent - got} reports are lost")
    if closes:
        bad.append("connections were closed or refused")
    if p99 > most_p99:
        bad.append("pages are late")
    if growth > MAX_GROWTH:
        bad.append(f"memory has grown by {growth:.1%}")
    if extra := [line for line in done.log.splitlines() if not line.startswith("INFO")]:
        bad.append("the server has said: " + " | ".join(extra[:5]))
    for problem in bad:
        print(f"NOT AS IT MUST BE: {problem}")
    return 1 if bad else 0


def page_saw(page: Page, agent: Agent) -> int:
    """How many reports of the agent the page has seen, over all its connections."""
    return sum(count for (name, _), count in page.seen.items() if name == agent.name)


if __name__ == "__main__":
    sys.exit(main())
