"""The cap of local processes, by the events of the kernel: at every instant, not only at those looked at."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.control.client import AgentError, ask
from microscaling.control.place import found_sockets
from microscaling.scheduler.process.backend import ProcessBackend
from tests.integration.agents import AgentProcess, Queues
from tests.scheduler.kernel_trace import Families, KernelTrace, Moment, NoTrace

CAP = 4
ACTS = 100
MINE = f"cap-{os.getpid()}"
"""Orders of other tests reach every agent of this user that has a task of that name."""
PLAIN = 'trap "sleep 0.05; exit" TERM; while :; do sleep 0.02; done'
WORKER = """
# Three threads and a child; with an argument it stops itself once it is ready.
import os, signal, subprocess, sys, threading
end = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: end.set())
def work():
    while not end.wait(0.01):
        sum(range(20000))
for _ in range(2):
    threading.Thread(target=work).start()
child = subprocess.Popen(["sh", "-c", "while :; do sleep 0.02; done"])
if len(sys.argv) > 1:
    os.kill(os.getpid(), signal.SIGSTOP)
while not end.wait(0.1):
    pass
child.kill()
child.wait()
"""


class Storm:
    """Three tasks, of which two yield, and all that a person may change about them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng, self.folder, self.queues = random.Random(seed), folder, Queues(folder)
        (folder / "worker.py").write_text(WORKER)
        self.environ = {
            "MSS_SCHEDULER": "PROCESS",
            "MSS_STATE_DIR": str(folder / "state"),
            "XDG_RUNTIME_DIR": str(folder),
        }
        self.options: dict[str, Any] = {"version": 0, "warm": 2, "paused": 4, "places": [1, 2, 3]}
        self.metrics = {name: self.queues.metric(name) for name in "ab"}

    def apps(self) -> list[dict[str, Any]]:
        options, python = self.options, f"{sys.executable} {self.folder}/worker.py"
        by_queue = {"ruleType": "PerContainer", "metricType": "SQL"}
        yields = {"yield": "pause", "yieldPaused": options["paused"], "stopGraceSeconds": 5}
        leased = {"leaseSeconds": 600, "env": [f"VERSION={options['version']}"], **yields}
        stops = {"warm": options["warm"], "warmAfter": {"signal": "STOP"}, "go": {"signal": "CONT"}, **yields}
        of = {
            "a": (by_queue, {"command": f"sh -c '{PLAIN}'", "targetPerContainer": 10, **self.metrics["a"]}),
            "b": (by_queue, {"command": python, "targetPerContainer": 10, **leased, **self.metrics["b"]}),
            "c": ({}, {"command": f"{python} stops", **stops}),
        }
        return [
            {
                "name": f"{MINE}-{n}",
                "priority": place,
                "minContainers": 0,
                "maxContainers": CAP,
                **rule,
                "config": own,
            }
            for place, (n, (rule, own)) in zip(options["places"], of.items(), strict=True)
        ]

    def act(self, agent: AgentProcess) -> None:
        """Something changes."""
        rng, what = self.rng, self.rng.random()
        if what < 0.6:
            self.queues.put(rng.choice("ab"), rng.choice([0, 5, 15, 25, 35, 45]))
        elif what < 0.8:
            self._order(agent, f"{MINE}-{rng.choice('abc')}", rng.randint(-3, CAP))
        else:
            rng.shuffle(self.options["places"])
            self.options["version"] += rng.randint(0, 1)
            self.options |= {"warm": rng.randint(0, 3), "paused": rng.randint(1, 4)}
            agent.config.write_text(json.dumps({"maxContainers": CAP, "apps": self.apps()}))
            agent.process.send_signal(signal.SIGHUP)

    def _order(self, agent: AgentProcess, name: str, count: int) -> None:
        # To this agent alone: those of other tests would be asked for their tasks first, and may hang.
        mine = [path for path in found_sockets(self.environ) if path.endswith(f"-{agent.process.pid}.sock")]
        order, more = ("pin", {"containers": str(count)}) if count >= 0 else ("resume", {})
        for path in mine:
            # It is not pinned, or the agent has just begun.
            with contextlib.suppress(AgentError, ProcessLookupError):
                ask(path, f"POST /{order}", task=name, **more)


@pytest.fixture
def storm(tmp_path: Path) -> Iterator[Storm]:
    found = Storm(tmp_path, seed=1)
    yield found
    last = ProcessBackend(str(tmp_path / "state"))
    for seen in last.list():
        last.remove(seen.id)
    last.close()


def test_no_more_run_than_the_cap_at_any_instant(storm: Storm, tmp_path: Path) -> None:
    agents = []
    with contextlib.ExitStack() as stack:
        try:
            trace = stack.enter_context(KernelTrace(tmp_path))
        except NoTrace as reason:
            pytest.skip(str(reason))
        for killed in (True, False):
            with AgentProcess(tmp_path, storm.apps(), cap=CAP, **storm.environ) as agent:
                agents.append(agent.process.pid)
                agent.says("tasks share")
                for _ in range(ACTS // 2):
                    storm.act(agent)
                    time.sleep(storm.rng.choice([0.02, 0.05, 0.1, 0.2, 0.5]))
                agent.kill() if killed else agent.stop()
        moments = list(Families(agents).follow(trace.lines()))
    above = [moment for moment in moments if len(moment.awake) > CAP]
    assert not above
    assert max(len(moment.awake) for moment in moments) == CAP
    assert goes_on(moments), "nothing was frozen and thawed"


def goes_on(moments: list[Moment]) -> set[int]:
    """The families that were awake, were not, and were again."""
    ended: set[int] = set()
    again: set[int] = set()
    for before, after in itertools.pairwise(moments):
        ended |= before.awake - after.awake
        again |= ended & after.awake
    return again


def line(at: float, by: int, event: str) -> str:
    return f"            some one-{by}    [001] d..2.  {at:.6f}: {event}"


def fork(at: float, by: int, pid: int, flags: str = "4100") -> str:
    return line(at, by, f"task_newtask: pid={pid} comm=x clone_flags={flags} oom_score_adj=0")


def off(at: float, tid: int, state: str) -> str:
    before, after = f"prev_comm=x prev_pid={tid} prev_state={state}", "next_comm=y next_pid=9"
    return line(at, tid, f"sched_switch: {before} ==> {after}")


def sent(at: float, number: int, pid: int) -> str:
    return line(at, 1, f"signal_generate: sig={number} errno=0 code=0 comm=x pid={pid} grp=1 res=0")


def ended(at: float, tid: int) -> str:
    return line(at, tid, f"sched_process_exit: comm=x pid={tid} prio=120 group_dead=true")


STOP, CONT, KILL = signal.SIGSTOP.value, signal.SIGCONT.value, signal.SIGKILL.value
BEGIN = [fork(1, 1, 10), fork(2, 10, 11, "3d0f00"), fork(3, 10, 12)]
"""An agent starts a process, which has a second thread, and a child."""
STOPS = [sent(4, STOP, 10), sent(4, STOP, 12), off(5, 10, "T"), off(6, 11, "T"), off(7, 12, "T")]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (BEGIN, [(1, {10})]),
        ([*BEGIN, *STOPS], [(1, {10}), (7, set())]),
        ([*BEGIN, *STOPS, sent(8, CONT, 12)], [(1, {10}), (7, set()), (8, {10})]),
        ([*BEGIN, *STOPS, sent(8, KILL, 10), off(9, 10, "R+")], [(1, {10}), (7, set())]),
        ([*BEGIN, ended(4, 10), ended(5, 11), ended(6, 12)], [(1, {10}), (6, set())]),
        ([fork(1, 1, 10), off(2, 10, "D"), sent(3, STOP, 10)], [(1, {10}), (3, set())]),
        ([fork(1, 1, 10), sent(2, STOP, 10), off(3, 10, "R+"), off(4, 10, "S")], [(1, {10})]),
        ([fork(1, 7, 10)], []),
    ],
    ids=[
        "begin",
        "all stop",
        "a child goes on",
        "killed",
        "the last one ends",
        "in the kernel",
        "not yet",
        "others",
    ],
)
def test_who_is_awake(lines: list[str], expected: list[tuple[float, set[int]]]) -> None:
    assert [(moment.at, set(moment.awake)) for moment in Families([1]).follow(lines)] == expected
