"""One run from its seed to its figures."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos import report
from tests.chaos.history import History
from tests.chaos.invariants import Checker, Violation, check
from tests.chaos.kinds import DOCKER, Chaos
from tests.chaos.plan import make_plan
from tests.chaos.stage import FAKETIME

CHECK_EVERY_S = 30.0
HINDSIGHT_S = 15.0
"""What comes after a violation is told with it."""


@dataclass
class Outcome:
    """What came of a run; `folder` holds the history and the agent's logs."""

    violations: list[Violation]
    figures: dict[str, Any]
    folder: Path


def run(seed: int, minutes: float, folder: Path, chaos: Chaos = DOCKER) -> Outcome:
    """Raises Missing if there is no engine to be had, and whatever goes wrong with the run itself."""
    without = () if FAKETIME else ("clock",)
    if without:
        say("no libfaketime here (Debian: faketime), so the agent's clock is not moved")
    history = History(scene=chaos.scene)
    began = time.time()
    with chaos.stage(folder, history, seed) as stage:
        driver = chaos.driver(stage, make_plan(seed, minutes, without, chaos.deck), seed, say)
        watch = _Watch(history, began, chaos.checkers)
        watch.start()
        try:
            driver.run(minutes)
        finally:
            watch.stop()
        agent = stage.agent
        more = {"seed": seed, "minutes": minutes, "rounds": driver.rounds, "agents": agent.lives,
                "beats": agent.beats, "process start, slowest": round(agent.slowest_start, 2),
                "most that the agent used": agent.most,
                "engine dead-locks": stage.deadlocks,
                "engine mounts left": len(stage.watch.unmounted)}  # fmt: skip
        shutil.copy(stage.engine.folder / "log", folder / "engine.log")
    final = history.so_far()
    final.write(folder / "history.jsonl")
    violations = check(final, chaos.checkers)
    watch.tell(final, violations)
    figures = report.figures(final, violations, **more, **chaos.figures(final))
    return Outcome(violations, figures, folder)


class _Watch:
    """Looks now and then whether all invariants have held so far, and says so at once if not."""

    def __init__(self, history: History, began: float, checkers: tuple[Checker, ...]) -> None:
        self.history = history
        self.began = began
        self.checkers = checkers
        self.told: set[tuple[str, float]] = set()
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.stopped.set()
        self.thread.join()

    def tell(self, history: History, violations: list[Violation]) -> None:
        for violation in violations:
            key = (violation.invariant, round(violation.t, 3))
            if key not in self.told:
                self.told.add(key)
                say(report.told_of(history, violation, self.began))

    def _run(self) -> None:
        while not self.stopped.wait(CHECK_EVERY_S):
            now = self.history.so_far()
            self.tell(now, [v for v in check(now, self.checkers) if v.t < time.time() - HINDSIGHT_S])


def say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)
