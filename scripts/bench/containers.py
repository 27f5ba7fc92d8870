"""Containers that change hands, come and go: us, Compose, Swarm, and the engine alone."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.bench.engine import IMAGE, LABEL, MINE, Floor, Witness, now
from scripts.bench.ours import ROOT, Jumps, OurAgent, Queue, queue_app, rest_app

MANY = 33
CAP = 10
QUIET_S = 1.5
"""Between two measurements, so that removals of the last one are over."""

BARE_SCRIPT = f"""
import docker
from concurrent.futures import ThreadPoolExecutor
client = docker.from_env(version="auto")
def one(_):
    client.containers.run("{IMAGE}", detach=True, network_mode="host", labels={{"{LABEL}": "{MINE}-script"}})
with ThreadPoolExecutor(8) as pool:
    list(pool.map(one, range({CAP})))
"""


@dataclass(frozen=True)
class Build:
    """An agent to measure: its sources, and what else its tasks have in their `config`."""

    tree: Path = ROOT
    config: Mapping[str, Any] = field(default_factory=dict)
    quiet_s: float = QUIET_S
    """Seconds between a change and the next."""


OURS = Build()


class HandOver:
    """8 containers change hands from low to high priority after the queue has jumped."""

    def __init__(self, build: Build = OURS) -> None:
        self.build = build

    def floor(self, floor: Floor, witness: Witness) -> float:
        """8 stopped, 8 started, each in parallel, stops first."""
        low, high = floor.start("low", CAP - 1), floor.start("high", 1)
        witness.wait(**{f"{MINE}-low": CAP - 1, f"{MINE}-high": 1})
        time.sleep(QUIET_S)
        began = now()
        floor.stop(low[1:])
        high += floor.start("high", CAP - 2)
        took = witness.wait(**{f"{MINE}-low": 1, f"{MINE}-high": CAP - 1}) - began
        floor.remove(low + high)
        return took

    def ours(self, witness: Witness, share: float) -> float:
        """The queue jumps when `share` of a beat has gone by."""
        with tempfile.TemporaryDirectory() as folder:
            queue = Queue(Path(folder))
            more = self.build.config
            apps = [queue_app("high", queue, CAP - 1, **more), rest_app("low", CAP, **more)]
            with OurAgent(apps, CAP, self.build.tree) as agent:
                took = self.measured(agent, queue, witness, share)
            witness.wait(**{f"{MINE}-low": 0, f"{MINE}-high": 0})
            return took

    def measured(self, agent: OurAgent, queue: Jumps, witness: Witness, share: float) -> float:
        witness.wait(**{f"{MINE}-low": CAP - 1, f"{MINE}-high": 1})
        time.sleep(self.build.quiet_s)
        agent.wait_for_beat(share)
        witness.fresh()
        began = now()
        queue.put(1000)
        took = witness.wait(**{f"{MINE}-low": 1, f"{MINE}-high": CAP - 1}) - began
        if witness.most > CAP:
            raise AssertionError(f"the cap of {CAP} was broken: {witness.most} ran")
        return took


class Frozen(HandOver):
    """The same with containers that are frozen and go on: they have changed hands once before."""

    def ours(self, witness: Witness, share: float) -> float:
        with tempfile.TemporaryDirectory() as folder:
            queue = Queue(Path(folder))
            frozen = {"yield": "pause", **self.build.config}
            high = queue_app("high", queue, CAP - 1, leaseSeconds=600, **frozen)
            with OurAgent([high, rest_app("low", CAP, **frozen)], CAP, self.build.tree) as agent:
                witness.wait(**{f"{MINE}-low": CAP - 1, f"{MINE}-high": 1})
                queue.put(1000)
                witness.wait(**{f"{MINE}-low": 1, f"{MINE}-high": CAP - 1})
                queue.put(0)
                took = self.measured(agent, queue, witness, share)
            witness.wait(**{f"{MINE}-low": 0, f"{MINE}-high": 0})
            return took


class UpAndDown:
    """1 to 33 containers, and back to 1."""

    def __init__(self, build: Build = OURS) -> None:
        self.build = build

    def floor(self, floor: Floor, witness: Witness) -> tuple[float, float]:
        ids = floor.start("many", 1)
        witness.wait(**{f"{MINE}-many": 1})
        began = now()
        ids += floor.start("many", MANY - 1)
        up = witness.wait(**{f"{MINE}-many": MANY}) - began
        time.sleep(QUIET_S)
        began = now()
        floor.stop(ids[1:])
        down = witness.wait(**{f"{MINE}-many": 1}) - began
        floor.remove(ids)
        return up, down

    def ours(self, witness: Witness, share: float) -> tuple[float, float]:
        """The queue jumps, and empties, when `share` of a beat has gone by."""
        with tempfile.TemporaryDirectory() as folder:
            queue = Queue(Path(folder))
            app = queue_app("many", queue, MANY, **self.build.config)
            with OurAgent([app], MANY, self.build.tree) as agent:
                took = self.measured(agent, queue, witness, share)
            witness.wait(**{f"{MINE}-many": 0})
            return took

    def measured(self, agent: OurAgent, queue: Jumps, witness: Witness, share: float) -> tuple[float, float]:
        witness.wait(**{f"{MINE}-many": 1})
        up = self._until(agent, queue, 100_000, witness, MANY, share)
        return up, self._until(agent, queue, 0, witness, 1, share)

    def _until(
        self, agent: OurAgent, queue: Jumps, items: int, witness: Witness, count: int, share: float
    ) -> float:
        time.sleep(self.build.quiet_s)
        agent.wait_for_beat(share)
        began = now()
        queue.put(items)
        return witness.wait(**{f"{MINE}-many": count}) - began

    def others(self, scale: Callable[[int], None], name: str, witness: Witness) -> tuple[float, float]:
        scale(1)
        witness.wait(**{name: 1})
        time.sleep(QUIET_S)
        began = now()
        scale(MANY)
        up = witness.wait(**{name: MANY}) - began
        time.sleep(QUIET_S)
        began = now()
        scale(1)
        down = witness.wait(**{name: 1}) - began
        return up, down


@contextmanager
def compose() -> Iterator[Callable[[int], None]]:
    """`docker-compose up --scale`, with the same image, network and grace."""
    with tempfile.TemporaryDirectory(prefix="mss-compose-") as folder:
        file = Path(folder, "docker-compose.yml")
        file.write_text(
            'version: "3.7"\nservices:\n'
            f"  many: {{image: {IMAGE}, network_mode: host, stop_grace_period: 1s}}\n"
        )
        base = ["docker-compose", "-f", str(file), "-p", "mssbench"]
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "COMPOSE_PARALLEL_LIMIT": "64"}
        yield lambda count: run([*base, "up", "-d", "--scale", f"many={count}"], env)
        run([*base, "down", "-t", "1"], env)


@contextmanager
def swarm() -> Iterator[Callable[[int], None]]:
    """`docker service scale` on a swarm of this one machine."""
    run(["docker", "swarm", "init", "--advertise-addr", "127.0.0.1"])
    try:
        run([
            "docker", "service", "create", "--detach", "--name", "mssmany", "--network", "host",
            "--no-resolve-image", "--replicas", "0", "--stop-grace-period", "1s", IMAGE,
        ])  # fmt: skip
        yield lambda count: run(["docker", "service", "scale", "--detach", f"mssmany={count}"])
        run(["docker", "service", "rm", "mssmany"])
    finally:
        run(["docker", "swarm", "leave", "--force"])


def start_script(witness: Witness) -> float:
    """From the start of a bare script on the docker library to 10 containers that run."""
    began = now()
    subprocess.run([sys.executable, "-c", BARE_SCRIPT], check=True)
    return witness.wait(**{f"{MINE}-script": CAP}) - began


def start_ours(witness: Witness) -> float:
    """From the start of our process to 10 containers that run, no pulling."""
    with tempfile.TemporaryDirectory() as folder:
        queue = Queue(Path(folder))
        began = now()
        with OurAgent([queue_app("high", queue, CAP), rest_app("low", CAP)], CAP):
            took = witness.wait(**{f"{MINE}-high": 1, f"{MINE}-low": CAP - 1}) - began
        witness.wait(**{f"{MINE}-high": 0, f"{MINE}-low": 0})
        return took


def run(command: list[str], env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
