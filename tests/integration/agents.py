"""The agent as users run it: a process of its own, told by its environment, read by its log."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from docker import APIClient

from tests.integration import engines

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120.0
"""Long enough for a busy machine: only a test that fails waits for all of it."""


def wait_for(what: Callable[[], Any], why: str = "", within_s: float = PATIENCE_S) -> Any:
    deadline = time.monotonic() + within_s
    while not (answer := what()):
        assert time.monotonic() < deadline, f"waited in vain: {why}"
        time.sleep(0.05)
    return answer


class Queues:
    """Real queues: rows of a table, counted by the SQL metric."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "queues.db"
        self._execute("create table jobs (queue text primary key, waiting integer)")

    def put(self, queue: str, waiting: int) -> None:
        self._execute("insert or replace into jobs values (?, ?)", queue, waiting)

    def metric(self, queue: str) -> dict[str, str]:
        self.put(queue, 0)
        return {
            "databaseURL": f"sqlite:///{self.path}",
            "query": f"select waiting from jobs where queue = '{queue}'",
        }

    def _execute(self, statement: str, *values: object) -> None:
        connection = sqlite3.connect(self.path)
        with connection:
            connection.execute(statement, values)
        connection.close()


def app(name: str, priority: int, image: str = "mss-test/sleeper", **more: Any) -> dict[str, Any]:
    """One app that takes what the others leave; `config` goes into its config."""
    config = {"image": image, **more.pop("config", {})}
    return {
        "name": name,
        "priority": priority,
        "minContainers": 1,
        "maxContainers": 10,
        **more,
        "config": config,
    }


def queue_app(name: str, priority: int, queues: Queues, target: int = 50, **more: Any) -> dict[str, Any]:
    """One app that looks after a queue of its own name."""
    config = {"targetQueueLength": target, **queues.metric(name), **more.pop("config", {})}
    return app(name, priority, ruleType="Queue", metricType="SQL", config=config, **more)


class AgentProcess:
    """One run of `python -m microscaling`. Leaving the `with` block kills it."""

    def __init__(self, folder: Path, apps: list[dict[str, Any]], cap: int = 10, **environ: str) -> None:
        self.config = folder / "apps.json"
        self.config.write_text(json.dumps({"maxContainers": cap, "apps": apps}))
        self.log_path = folder / f"agent-{time.monotonic_ns()}.log"
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith("MSS_")},
            "MSS_CONFIG": "FILE",
            "MSS_CONFIG_FILE": str(self.config),
            "MSS_PULL_IMAGES": "false",
            "MSS_MONITOR": "none",
            "MSS_PASS_ENV": "none",
            **environ,
        }

    def __enter__(self) -> AgentProcess:
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "microscaling"], cwd=ROOT, env=self.environ, stderr=log, stdout=log
            )
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        print(self.log())  # shown if the test fails

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")  # the last sign may be there in part

    def says(self, text: str, times: int = 1) -> None:
        wait_for(lambda: self.log().count(text) >= times, f"for {text!r} in the log:\n{self.log()}")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Witness:
    """What the engine itself says, independent of the agent.

    In a `with` block it follows the engine's events from its beginning on: an engine keeps only the last 256
    for those who ask later.
    """

    def __init__(self, client: APIClient, prefix: str, label: str = engines.LABEL) -> None:
        self.client = client
        self.label = label
        self.prefix = prefix
        self._thread: threading.Thread | None = None
        self._before: set[str] = set()
        """What ran when the stream was open."""
        self._seen: list[tuple[str, str]] = []
        self._all: list[tuple[str, str]] = []
        """The same with pauses, their ends, and SIGKILLs."""

    def __enter__(self) -> Witness:
        # Not by label or kind: Podman before version 5 knows other words, and is silent then.
        self._stream = self.client.events(filters={"type": "container"}, decode=True)
        self._before = self._listed()
        self._thread = threading.Thread(target=self._follow, name="witness")
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        assert self._thread is not None
        self._stream.close()
        self._thread.join()

    def running(self, task: str = "") -> list[str]:
        """The ids of what runs, of one task or of all of this run."""
        return [
            c["Id"]
            for c in engines.ours(self.client, self.prefix)
            if c["State"] == "running" and task in ("", c["Labels"][engines.LABEL])
        ]

    def left(self) -> list[str]:
        """What is there in any state."""
        return [c["Id"] for c in engines.ours(self.client, self.prefix)]

    def wait(self, **counts: int) -> None:
        """Until exactly so many of each task run; `a=3` stands for the task PREFIXa."""
        wanted = {self.prefix + name: count for name, count in counts.items()}
        wait_for(lambda: {n: len(self.running(n)) for n in wanted} == wanted, f"for {wanted} to run")

    def most_at_once(self) -> int:
        """The most containers of this run that ran at the same time, by the engine's events."""
        self.events()
        return max(len(running) for running in self._states())

    def most_awake(self) -> int:
        """The same, without those that were paused meanwhile. One that is killed while it is paused is let go
        on only to end, so that counts for nothing."""
        self.events()
        awake, killed, most = set(self._before), set[str](), len(self._before)
        for kind, id in list(self._all):
            if kind == "kill":
                killed.add(id)
            elif kind == "start" or (kind == "unpause" and id not in killed):
                awake.add(id)
            elif kind in ("die", "pause"):
                awake.discard(id)
            most = max(most, len(awake))
        return most

    def events(self) -> list[tuple[str, str]]:
        """Starts and deaths of containers of this run, in order, since the block began."""
        assert self._thread is not None, "it does not follow the events"
        wait_for(lambda: [*self._states()][-1] == self._listed(), "for the events to be as the listing is")
        return list(self._seen)

    def _states(self) -> Iterator[set[str]]:
        """What ran, at first and after each event. A start may be in the first listing, too."""
        running = set(self._before)
        yield running
        for kind, id in list(self._seen):
            running = running | {id} if kind == "start" else running - {id}
            yield running

    def _listed(self) -> set[str]:
        # Without `all`, Podman leaves out what is paused.
        found = self.client.containers(all=True, filters={"label": self.label})
        up = [c for c in found if c["State"] in ("running", "paused")]
        return {c["Id"] for c in up if c["Labels"][self.label].startswith(self.prefix)}

    def _follow(self) -> None:
        for event in self._stream:
            kind, id = event["Action"], event["Actor"]["ID"]
            label = event["Actor"]["Attributes"].get(self.label, "")
            if not label.startswith(self.prefix):
                continue
            kills = kind == "kill" and event["Actor"]["Attributes"].get("signal") in ("9", "SIGKILL")
            if kind in ("start", "die", "pause", "unpause") or kills:
                self._all.append((kind, id))
            if kind in ("start", "die"):
                self._seen.append((kind, id))
