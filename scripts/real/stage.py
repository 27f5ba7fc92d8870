"""A real nsqd, a real agent, and real workers in containers of a real engine, for one run of one rule."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker

ROOT = Path(__file__).parents[2]
LABEL = "com.microscaling.microscaling-in-a-box"
CHANNEL = "workers"
SAMPLE_S = 0.5
PATIENCE_S = 60.0


@dataclass
class Happened:
    """One run. Times in seconds since its beginning."""

    jobs: list[tuple[float, float, float]] = field(default_factory=list)
    """When each was published, taken (infinity: never) and done."""
    waiting: list[tuple[float, int]] = field(default_factory=list)
    """The depth of the channel."""
    moves: list[tuple[float, int]] = field(default_factory=list)
    """A container that has started (1) or ended (-1)."""
    seconds: float = 0.0
    starts: list[float] = field(default_factory=list)
    """Seconds from the request for a container until it runs."""
    stops: list[float] = field(default_factory=list)
    """Seconds from SIGTERM to the end of a container; of one with a job, that of the job included."""

    def over(self, promise: float) -> float:
        """Returns the part of the time in which some job had waited longer than promised."""
        beats = [n * SAMPLE_S for n in range(round(self.seconds / SAMPLE_S))]
        late = [(came + promise, taken) for came, taken, _ in self.jobs if taken - came > promise]
        return sum(any(begin < at < end for begin, end in late) for at in beats) / len(beats)

    def running(self) -> tuple[list[float], list[int]]:
        """Returns times and numbers of containers."""
        times, counts = [0.0], [0]
        for at, change in sorted(self.moves):
            times.append(at)
            counts.append(counts[-1] + change)
        return [*times, self.seconds], [*counts, counts[-1]]

    def mean(self) -> float:
        """Returns the mean number of containers."""
        times, counts = self.running()
        spans = zip(times, times[1:], counts, strict=False)
        return sum((end - begin) * count for begin, end, count in spans) / self.seconds


class Stage:
    """Everything that a run needs; `image` has a Python of version 3."""

    def __init__(self, nsqd: str, image: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mss-real-"))
        self.image = image
        self.tcp, self.http = (_free_port() for _ in range(2))
        self.engine = docker.from_env(timeout=60)
        shutil.copy(Path(__file__).with_name("worker.py"), self.folder)
        self.nsqd = subprocess.Popen(
            [nsqd, f"-data-path={self.folder}", f"-tcp-address=127.0.0.1:{self.tcp}",
             f"-http-address=127.0.0.1:{self.http}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._until(lambda: self.ask("GET", "/ping") == b"OK", "nsqd answers")

    def close(self) -> None:
        self.nsqd.terminate()
        self.nsqd.wait()
        self.engine.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.http, timeout=10)) as one:
            one.request(method, path, body)
            return one.getresponse().read()

    def _until(self, done: Any, what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if done():
                    return
            time.sleep(0.1)
        raise SystemExit(f"waited in vain: {what}")

    def command(self, topic: str, seconds: float) -> list[str]:
        """Returns the command of a worker, in a container with `volumes`."""
        address = f"127.0.0.1:{self.tcp}"
        (self.folder / topic).mkdir(exist_ok=True)
        return ["python3", "/stage/worker.py", address, topic, CHANNEL, str(seconds), f"/stage/{topic}"]

    @property
    def volumes(self) -> list[str]:
        return [f"{self.folder}:/stage"]

    def start_s(self, tries: int = 3) -> float:
        """Returns the time from the request for a container until it takes its first job, the median."""
        took = []
        for n in range(tries):
            topic = f"first{n}"
            self._publish(topic, [0.0], time.time())
            began = time.time()
            one = self.engine.containers.run(
                self.image, self.command(topic, 0.01), volumes=self.volumes, network_mode="host", detach=True
            )
            self._until(lambda: self._jobs(topic), "the first job")  # noqa: B023  # called at once
            took.append(self._jobs(topic)[0][1] - began)
            one.remove(force=True)
        return sorted(took)[len(took) // 2]

    def run(self, name: str, rule: dict[str, Any], arrivals: Sequence[float], seconds: float, job_s: float,
            cap: int, start: Sequence[str] = (), warm: int = 0) -> Happened:  # fmt: skip
        """Has an agent with this rule (keys of an app, and of its `config`) scale the workers of a topic.
        `start`: how they start; `warm`: so many containers are frozen before the first job comes."""
        topic = f"real-{name.lower()}-{os.getpid()}"
        self.ask("POST", f"/topic/create?topic={topic}")
        self.ask("POST", f"/channel/create?topic={topic}&channel={CHANNEL}")
        happened = Happened(seconds=seconds)
        command = [*self.command(topic, job_s), *start]
        config = {"image": self.image, "command": command, "volumes": self.volumes,
                  "networkMode": "host", "init": True, "topicName": topic, "channelName": CHANNEL,
                  "stopGraceSeconds": 10, "nsqd": f"127.0.0.1:{self.http}", **rule["config"]}  # fmt: skip
        app = {"name": topic, "priority": 1, "maxContainers": cap, "metricType": "NSQ"}
        app |= {"ruleType": rule["ruleType"], "config": config}
        tasks = self.folder / f"{topic}.json"
        tasks.write_text(json.dumps({"maxContainers": cap, "apps": [app]}))
        with self._agent(tasks, name), self._events(topic, happened) as begun:
            self._until(lambda: self._frozen(topic) == warm, f"{warm} are frozen")
            begun.append(time.time())
            sampler = threading.Thread(target=self._sample, args=(topic, begun[0], happened))
            sampler.start()
            self._publish(topic, arrivals, begun[0])
            sampler.join()
        happened.jobs = self._of(topic, arrivals, begun[0], seconds)
        return happened

    def _frozen(self, topic: str) -> int:
        filters = {"label": f"{LABEL}={topic}", "status": "paused"}
        return len(self.engine.api.containers(filters=filters))

    def _publish(self, topic: str, arrivals: Sequence[float], begin: float) -> None:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.http, timeout=10)) as one:
            for at in arrivals:
                time.sleep(max(0.0, begin + at - time.time()))
                one.request("POST", f"/pub?topic={topic}", f"{time.time():.4f}")
                one.getresponse().read()

    def _sample(self, topic: str, begin: float, happened: Happened) -> None:
        for n in range(round(happened.seconds / SAMPLE_S)):
            time.sleep(max(0.0, begin + n * SAMPLE_S - time.time()))
            stats = json.loads(self.ask("GET", f"/stats?format=json&topic={topic}"))
            depth = sum(each["depth"] for found in stats["topics"] for each in found["channels"])
            happened.waiting.append((time.time() - begin, depth))

    @contextlib.contextmanager
    def _agent(self, tasks: Path, name: str) -> Iterator[None]:
        environ = {key: value for key, value in os.environ.items() if not key.startswith("MSS_")}
        environ |= {"MSS_SCHEDULER": "DOCKER", "MSS_MONITOR": "none"}
        environ["MSS_STATE_DIR"] = str(self.folder / f"state-{name}")
        with (self.folder / f"{name}.log").open("w") as log:
            command = [sys.executable, "-m", "microscaling", "-f", str(tasks)]
            agent = subprocess.Popen(command, cwd=ROOT, env=environ, stderr=log, stdout=log)
        try:
            said = self.folder / f"{name}.log"
            self._until(lambda: "queue 0" in said.read_text(), f"the agent measures:\n{said.read_text()}")
            yield
        finally:
            agent.send_signal(signal.SIGTERM)
            agent.wait(PATIENCE_S)

    @contextlib.contextmanager
    def _events(self, task: str, happened: Happened) -> Iterator[list[float]]:
        """Notes starts and ends of the containers of a task; yields a list for the time of the beginning."""
        begun: list[float] = []
        filters = {
            "label": f"{LABEL}={task}",
            "type": "container",
            "event": ["create", "start", "kill", "die", "pause", "unpause"],
        }
        stream = self.engine.events(decode=True, filters=filters)

        since: dict[str, float] = {}

        def follow() -> None:
            for event in stream:
                if not begun:  # what is made before the first job
                    continue
                at, one = event["timeNano"] / 1e9 - begun[0], event["Actor"]["ID"]
                if at > happened.seconds:
                    continue
                if event["Action"] in ("start", "die", "pause", "unpause"):
                    up = event["Action"] in ("start", "unpause")
                    happened.moves.append((at, 1 if up else -1))
                    if one in since:
                        (happened.starts if up else happened.stops).append(at - since.pop(one))
                else:
                    since.setdefault(one, at)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        yield begun
        stream.close()
        thread.join(5)

    def _jobs(self, topic: str) -> list[tuple[float, ...]]:
        lines = [line for file in (self.folder / topic).iterdir() for line in file.read_text().splitlines()]
        return sorted(tuple(map(float, line.split())) for line in lines)

    def _of(
        self, topic: str, arrivals: Sequence[float], begin: float, seconds: float
    ) -> list[tuple[float, float, float]]:
        """Returns the jobs, also those that were never taken."""
        done = [(came - begin, taken - begin, end - begin) for came, taken, end in self._jobs(topic)]
        known = len(done)
        # A job without a line is one of the last: its container was stopped, or it still waited.
        never = [(at, float("inf"), float("inf")) for at in sorted(arrivals)[known:]]
        return [job for job in [*done, *never] if job[0] < seconds]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
