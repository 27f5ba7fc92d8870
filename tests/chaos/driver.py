"""Carries out a plan on a stage."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.chaos.excuses import busy
from tests.chaos.faults import DOINGS, bring_about
from tests.chaos.history import Fault
from tests.chaos.load import Load
from tests.chaos.plan import Planned, Round
from tests.chaos.stage import Stage

LOOK_EVERY_S = 0.1
BEGINS_S = 6.0
VERIFY_AFTER_S = 3.5
SPARE_S = 0.5
LAST_S = 8.0
"""Time for the end of a run."""


class Driver:
    """One run. `say` is told, in a line each, what is done."""

    doings = DOINGS

    def __init__(self, stage: Stage, plan: list[Round], seed: int, say: Callable[[str], None]) -> None:
        self.stage = stage
        self.history = stage.history
        self.scene = stage.history.scene
        self.plan = plan
        self.say = say
        self.rng = random.Random(f"{seed}, by hand")
        self.stopped = threading.Event()
        self.load = Load()
        self.rounds = 0

    def run(self, minutes: float) -> None:
        """For so long, and the time that the end takes."""
        until = time.monotonic() + minutes * 60
        with self.load:
            self._begin()
            for round in self.plan:
                if self.stopped.is_set() or time.monotonic() > until - LAST_S:
                    break
                self._round(round)
            self._end()

    def _begin(self) -> None:
        self._weigh()
        self.stage.agent.start()
        self.stage.agent.wait_for_a_beat()
        self._until(self._well, BEGINS_S)

    def _round(self, round: Round) -> None:
        self.rounds += 1
        self.say(f"{self.rounds}: " + "; ".join(map(str, round.faults)))
        self._weigh()
        self.history.add("disturbed")
        with ThreadPoolExecutor(len(round.faults)) as pool:
            faults = list(pool.map(self._fault, round.faults))
        self._recover(max(fault.over(time.time()) for fault in faults))
        if round.steady is not None:
            self._settle(round.steady)
        self.stopped.wait(round.gap_s)

    def _fault(self, planned: Planned) -> Fault:
        self.stopped.wait(planned.at)
        return bring_about(self.stage, planned, self.stopped, self.rng, self.doings)

    def _recover(self, calm: float) -> None:
        """Queues stay as they are meanwhile, so that there is something to be arrived at."""
        self.stage.queues.hold()
        self.history.add("calm", t=calm)
        self._weigh(calm)
        self._until(self._well, self.scene.recovers_s * busy(self.history.so_far(), calm))
        self._weigh()  # others may have begun to work meanwhile
        self.stopped.wait(max(0.0, calm + self.scene.recovers_s + SPARE_S - time.time()))
        self.stage.queues.let_go()

    def _weigh(self, t: float | None = None) -> None:
        """Notes how busy the machine is, and what the agent uses."""
        self.history.add("load", detail=self.load.now(), t=t)
        self.stage.agent.weigh()

    def _well(self) -> bool:
        counts = self.stage.witness.counts()
        low = any(counts[part.name] < part.least for part in self.scene.parts)
        wanted = self.scene.cap - self.scene.spare
        return self.stage.witness.known and not low and wanted <= sum(counts.values()) <= self.scene.cap

    def _settle(self, waiting: dict[str, int]) -> None:
        wanted = self.scene.share(waiting)
        self.stage.queues.hold(waiting)
        self.history.add("steady", detail=wanted)
        self._until(lambda: self.stage.witness.counts() == wanted, self.scene.settles_s + SPARE_S)
        self.history.add("moving")
        self.stage.queues.let_go()

    def _until(self, what: Callable[[], bool], within_s: float) -> None:
        began, verified = time.monotonic(), False
        while not what() and (waited := time.monotonic() - began) < within_s:
            if waited >= VERIFY_AFTER_S and not verified:
                self.stage.witness.verify()
                verified = True
            elif self.stopped.wait(LOOK_EVERY_S):
                break

    def _end(self) -> None:
        """The last agent is one that leaves nothing behind."""
        stage = self.stage
        stage.queues.hold()
        if stage.agent.is_there:
            stage.agent.end("leave")
        stage.agent.start(on_exit="stop")
        stage.agent.wait_for_a_beat()
        self._until(self._well, BEGINS_S)
        code = stage.agent.end("end")
        self.history.add("end", detail={"code": code, "left": stage.left()})
