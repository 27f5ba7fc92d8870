"""One run: the stage, the faults of the plan, and the figures in the end."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml
from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

from tests.integration.agents import wait_for
from tests.integration.engines import Missing
from tests.integration.swarms import World
from tests.services.numbers import Numbers
from tests.swarm.chaos.agents import Member
from tests.swarm.chaos.history import PARTS, History, Part, expected
from tests.swarm.chaos.invariants import Violation, asked, check, late, settlings
from tests.swarm.chaos.plan import AGENTS, Planned, Round, make_plan
from tests.swarm.chaos.witness import Witness, wait_until_known
from tests.swarm.cluster import Cluster

STACK = "chaos"
PREFIX = f"{STACK}_"
QUIET_S = 10.0
"""Seconds for which nothing may change once all runs."""
RUNS_S = 90.0
LONG_S = 180.0


@dataclass(frozen=True)
class Outcome:
    figures: dict[str, object]
    violations: list[Violation]


class Stage:
    """The stack with the three services, three agents, and what can happen to them."""

    def __init__(self, cluster: Cluster, world: World, history: History) -> None:
        self.cluster, self.world, self.history = cluster, world, history
        self.agents = [
            Member(f"agent {number + 1}", host, world, history, PREFIX)
            for number, host in enumerate(cluster.hosts)
        ]
        self.down: set[int] = set()
        """Nodes whose engine is dead."""
        self.file = world.folder / "stack.yml"
        self.file.write_text(yaml.safe_dump({"version": "3.8", "services": dict(map(self._service, PARTS))}))
        self.deploy()
        for agent in self.agents:
            agent.start()

    def deploy(self) -> None:
        """As a person does it, on a manager that is there; sets all numbers to 1."""
        host = self.cluster.hosts[self.alive()]
        command = ["docker", "-H", host, "stack", "deploy", "-c", str(self.file), STACK]
        self.history.add("by hand")
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        self.history.add("by hand", what=done.stderr.strip()[-200:])

    def alive(self) -> int:
        return next(n for n in range(AGENTS) if n not in self.down)

    def decider(self) -> int:
        """The number of the agent that had the lease last."""
        taken = [h.who for h in self.history.so_far().of("taken")]
        names = [agent.name for agent in self.agents]
        return names.index(taken[-1]) if taken else 0

    def begin(self, fault: Planned, where: int) -> None:
        agent = self.agents[where]
        if fault.kind == "agent killed":
            agent.kill()
        elif fault.kind == "agent frozen":
            agent.freeze()
        elif fault.kind == "agent told to end":
            agent.end()
        elif fault.kind.startswith("node killed"):
            if fault.kind.endswith("agent"):
                agent.kill()
            self.down.add(where)
            self.cluster.nodes[where].crash()
        elif fault.kind == "node drained":
            self._set(where, "drain")
        elif fault.kind == "stack deploy":
            self.deploy()
        else:
            agent.link.set(fault.kind.removeprefix("link: "))

    def over(self, fault: Planned, where: int) -> None:
        agent = self.agents[where]
        if fault.kind.startswith("node killed"):
            self.cluster.nodes[where].start()
            self.down.discard(where)
        if fault.kind == "node drained":
            self._set(where, "active")
        elif fault.kind == "agent frozen":
            agent.thaw()
        elif fault.kind.startswith("link"):
            agent.link.set("good")
        agent.start()

    def wait_ready(self) -> None:
        wait_for(lambda: self.cluster.all_ready(self.alive()), "for all nodes", LONG_S)
        self.world.connect()

    def _set(self, node: int, to: str) -> None:
        """As a person does it, who tries again while the managers elect a leader."""

        def done() -> bool:
            with contextlib.suppress(APIError, DockerException, RequestException, Missing):
                self.cluster.set_availability(node, to, by=self.alive())
                return True
            return False

        wait_for(done, f"for node {node} to be {to}", LONG_S)

    def running(self) -> dict[str, int]:
        ids = {one["Spec"]["Name"]: one["ID"] for one in self.world.client.services()}
        return {part.name: self.world.running(ids[PREFIX + part.name]) for part in PARTS}

    def close(self) -> None:
        for agent in self.agents:
            agent.close()

    def _service(self, part: Part) -> tuple[str, dict[str, object]]:
        labels = self.world.labels(
            part.name, priority=str(part.priority), min=str(part.least), max=str(part.most)
        )
        return part.name, {"image": "mss-test/sleeper", "deploy": {"labels": labels}}


def run(seed: int, minutes: float, folder: Path) -> Outcome:
    """Raises Missing if there can be no such swarm on this machine."""
    history = History()
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: history.write(folder / "history.jsonl"))
        cluster = stack.enter_context(Cluster())
        numbers = stack.enter_context(Numbers())
        world = stack.enter_context(contextlib.closing(World(cluster.hosts, folder, numbers)))
        numbers.counts.update({part.name: 0 for part in PARTS})
        stage = Stage(cluster, world, history)
        stack.callback(stage.close)
        witness = stack.enter_context(Witness(cluster.hosts, PREFIX, history))
        wait_until_known(witness)
        ends = time.monotonic() + minutes * 60
        for number, round in enumerate(make_plan(seed)):
            if time.monotonic() >= ends:
                break
            print(f"round {number + 1}: {', '.join(map(str, round.faults))}", flush=True)
            _play(stage, round)
    done = history.so_far()
    violations = check(done)
    return Outcome(_figures(seed, minutes, done, violations), violations)


def _play(stage: Stage, round: Round) -> None:
    history = stage.history
    history.add("disturbed")
    began = time.monotonic()
    # One after the other in this thread: an engine ends with the thread that has started it.
    for at, step in sorted(_steps(stage, round), key=lambda each: each[0]):
        time.sleep(max(0.0, began + at - time.monotonic()))
        step()
        _weigh(history)
    for agent in stage.agents:
        agent.look()
    stage.wait_ready()
    history.add("calm")
    stage.world.numbers.counts.update(round.steady)
    wanted = expected(round.steady)
    history.add("steady", numbers=wanted)
    _settle(stage, wanted)
    _weigh(history)
    history.add("moving")


def _steps(stage: Stage, round: Round) -> Iterator[tuple[float, Callable[[], object]]]:
    """Yields what happens in a round, each with the seconds after its begin."""
    for at, lengths in round.jumps:
        yield at, partial(stage.world.numbers.counts.update, lengths)
    for fault in round.faults:
        happening = _Happening(stage, fault)
        yield fault.at, happening.begin
        yield fault.at + fault.lasts, happening.end


class _Happening:
    """A fault, and the place that is only known when it begins."""

    def __init__(self, stage: Stage, fault: Planned) -> None:
        self.stage, self.fault = stage, fault
        self.where = fault.where

    def begin(self) -> None:
        if self.where < 0:
            self.where = self.stage.decider()
        self.stage.history.add("fault", self.fault.kind, str(self.where))
        self.stage.begin(self.fault, self.where)

    def end(self) -> None:
        self.stage.over(self.fault, self.where)
        self.stage.history.add("over", self.fault.kind, str(self.where))


def _weigh(history: History) -> None:
    history.add("load", number=int(100 * os.getloadavg()[0] / (os.cpu_count() or 1)))


def _settle(stage: Stage, wanted: dict[str, int]) -> None:
    """Waits until as much runs as is wanted, and then for a time in which nothing may change."""
    began = time.monotonic()
    while (took := time.monotonic() - began) < RUNS_S:
        with contextlib.suppress(APIError, DockerException, RequestException):
            if stage.running() == wanted:
                break
        time.sleep(0.3)
    stage.history.add("runs", number=int(took) if took < RUNS_S else -1)
    time.sleep(QUIET_S)


def _figures(seed: int, minutes: float, history: History, violations: list[Violation]) -> dict[str, object]:
    loads = sorted(h.number / 100 for h in history.of("load"))
    settled = sorted(settlings(history))
    runs = sorted(h.number for h in history.of("runs"))
    states = [*asked(history)]
    takers = [h.who for h in history.of("taken")]
    return {
        "seed": seed,
        "minutes": minutes,
        "load per processor, median and highest": f"{loads[len(loads) // 2]:.1f}, {loads[-1]:.1f}",
        "faults": sum(1 for _ in history.of("fault")),
        "rounds, with what is wanted in the end": len(settled),
        "updates sent by agents": sum(1 for _ in history.of("sent")),
        "changes seen by the witness": len(states),
        "the most asked for (the cap: 14)": max((state.total for state in states), default=0),
        "take-overs": sum(a != b for a, b in itertools.pairwise(takers)),
        "updates after another agent had taken over": len(late(history)),
        "asked for as wanted after calm, median and slowest (s)": _spread(settled),
        "all runs after calm, median and slowest (s)": _spread([run for run in runs if run >= 0]),
        "rounds in which not all ran within 90 s": sum(run < 0 for run in runs),
        "invariants broken": len(violations),
        "by kind": dict(sorted(Counter(h.who for h in history.of("fault")).items())),
    }


def _spread(values: list[float] | list[int]) -> str:
    return f"{values[len(values) // 2]:.1f}, {values[-1]:.1f}" if values else "none"
