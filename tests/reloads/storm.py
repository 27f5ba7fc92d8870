"""A storm of reloads: random changes and bad files, while queues rise and fall."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from microscaling.control.client import ask
from microscaling.control.place import found_sockets
from tests.integration.agents import AgentProcess, Queues, queue_app, wait_for
from tests.reloads.witness import Witness
from tests.reloads.world import Change, World

LOADS = ("load-a", "load-b")
LAST_S = 180.0
"""Longest wait for all to be as the last file says."""


class Load(threading.Thread):
    """Has the queues rise and fall."""

    def __init__(self, queues: Queues, dice: random.Random) -> None:
        super().__init__(name="load", daemon=True)
        self.queues, self.dice = queues, dice
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.stopped.wait(1.5):
            for name in LOADS:
                self.queues.put(name, self.dice.choice((0, 0, 40, 200, 1000)))


def storm(folder: Path, host: str, reloads: int, seconds: float, seed: int) -> dict[str, Any]:
    """Runs an agent through so many reloads, spread over the time. Returns the figures."""
    dice = random.Random(seed)
    queues = Queues(folder)
    loads = [
        queue_app(name, 8 + n, queues, minContainers=0, maxContainers=10) for n, name in enumerate(LOADS)
    ]
    world = World(dice, loads)
    environ = {"DOCKER_HOST": host, "MSS_ORPHANS": "stop", "MSS_STATE_DIR": str(folder / "state")}
    kinds: Counter[str] = Counter()
    refused = 0
    witness = Witness(host)
    load = Load(queues, random.Random(seed + 1))
    agent = AgentProcess(folder, [], **environ)
    try:
        _write(agent.config, json.dumps(world.data()))
        _expect(witness, world, Change("begin", {*world.parts}))
        with agent:
            wait_for(lambda: not witness.unsettled(), "for the first containers", LAST_S)
            load.start()
            for _ in range(reloads):
                began = time.monotonic()
                change = world.change()
                kinds[change.kind] += 1
                _write(agent.config, world.spoilt() if change.bad else json.dumps(world.data()))
                if not change.bad:
                    # Before the agent can know of it.
                    _expect(witness, world, change)
                refused += _reload(agent, change, dice.random() < 0.5)
                time.sleep(max(0.0, seconds / reloads - (time.monotonic() - began)))
            _write(agent.config, json.dumps(world.data()))
            wait_for(lambda: not witness.unsettled(), "for the containers of the last file", LAST_S)
            witness.close()  # at its end the agent stops all
            code = agent.stop()
            log = agent.log()
    finally:
        load.stopped.set()
        witness.close()
    violations = list(witness.violations)
    if code:
        violations.append(f"the agent has ended with code {code}")
    if refused != kinds["bad"]:
        violations.append(f"{kinds['bad']} bad files, and {refused} were refused")
    violations += [line for line in log.splitlines() if "Traceback" in line or " CRITICAL " in line]
    return {
        "seed": seed,
        "reloads": reloads,
        "seconds": seconds,
        "kinds": dict(kinds),
        "events": dict(witness.events),
        "most at once": witness.most,
        "violations": violations,
    }


def _expect(witness: Witness, world: World, change: Change) -> None:
    wanted = {name: (part.count, str(part.version)) for name, part in world.parts.items()}
    witness.expect(wanted, world.cap, change.containers)


def _write(path: Path, text: str) -> None:
    """Puts another file in its place, as an editor does."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


def _reload(agent: AgentProcess, change: Change, by_signal: bool) -> bool:
    """Asks for it, and waits until it is over. Returns True if it was refused."""
    log = agent.log()
    if by_signal:
        agent.process.send_signal(signal.SIGHUP)
    else:
        _ask(agent)
    known = log.count("reload: "), log.count("reload: refused")
    ends = ("reload: nothing", "reload: refused", "reload: new", "reload: changed", "reload: rolled",
            "reload: gone", "reload: maxContainers", "reload: the order")  # fmt: skip
    before = sum(log.count(end) for end in ends)
    wait_for(lambda: sum(agent.log().count(end) for end in ends) > before, f"for the reload: {change.kind}")
    return agent.log().count("reload: refused") > known[1]


def _ask(agent: AgentProcess) -> None:
    mark = f"-{agent.process.pid}.sock"
    path = wait_for(lambda: next((p for p in found_sockets(agent.environ) if p.endswith(mark)), ""))
    ask(path, "POST /reload", yes="0")
