"""Lives of an agent in virtual time, beat by beat: python -m tests.scheduler.beats --beats 1000000

A life is drawn from its seed alone: storms, fair weather, calms, and an end. One that breaks an
invariant is said with its seed, and `--replay SEED` lives it again, with what happened last.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from microscaling.scheduler.containers.backend import State
from microscaling.scheduler.containers.container import Phase
from tests.scheduler.invariants import RESTS_AT, Broken
from tests.scheduler.random_world import World
from tests.scheduler.storm import Storm

SETTLES_S = 200.0
"""A calm, with nothing wrong any more, is settled after at most this long: back-off alone takes up
to 60 s, and 30 s a container whose operations were never answered."""
BELOW_S = 5.0
"""In fair weather no task is below its minimum for longer."""
LIFE_BEATS = 1000


@dataclass
class Record:
    """What has been lived through, and the slowest of each kind, in virtual seconds."""

    beats: int = 0
    lives: int = 0
    calms: int = 0
    stuck: int = 0
    """Containers that could not be ended, and did not keep others from what they should have."""
    slowest_calm: tuple[float, int] = (0.0, 0)
    slowest_end: tuple[float, int] = (0.0, 0)
    figures: dict[str, int] = field(default_factory=dict)


class Life:
    """One world, from its beginning to its end."""

    def __init__(self, seed: int, record: Record) -> None:
        self.world = World(seed)
        self.seed, self.record = seed, record

    def live(self, beats: int) -> None:
        world, rng = self.world, self.world.rng
        while world.beats < beats:
            self.storm(rng.choice([20, 100, 300]))
            self.end_storm()
            if rng.random() < 0.6:
                self.fair_weather(rng.choice([20, 100, 200]))
            self.calm()
            if rng.random() < 0.4:
                self.stuck()
            if rng.random() < 0.5:
                self.restart()
        if rng.random() < 0.5:
            self.storm(50)
            self.end_storm()
        self.end(rng.choice(["drain", "leave"]))
        self.record.lives += 1
        self.record.beats += world.beats
        for name, figure in world.invariants.figures.items():
            self.record.figures[name] = self.record.figures.get(name, 0) + figure

    def storm(self, beats: int) -> None:
        storm = Storm(self.world)
        for _ in range(beats):
            storm.befall()
            self.world.beat()

    def end_storm(self) -> None:
        world = self.world
        world.invariants.note("the storm is over")
        world.all_is_well()
        if world.second is not None and world.second.alive:
            world.end_agent(world.second, world.rng.choice(["kill", "leave", "drain"]))

    def settle(self) -> None:
        """Lives on until all is as it should be, and stays so for 5 s and as long as a task may wait
        before it gives anything back."""
        world, began = self.world, self.world.now
        since = None
        while True:
            world.beat()
            world.clear_up()
            why = world.unsettled()
            if why:
                since = None
                if world.now - began > SETTLES_S:
                    raise Broken(f"convergence: after {SETTLES_S:g} s: {why}")
            elif since is None:
                since = world.now
            elif world.now - since >= 5.0 + max(plan.window_s for plan in world.plans):
                self.record.slowest_calm = max(self.record.slowest_calm, (since - began, self.seed))
                return

    def fair_weather(self, beats: int) -> None:
        """Queues move, and nothing goes wrong: minimums hold all the time."""
        world = self.world
        world.rest()
        self.settle()
        below: dict[str, float] = {}
        for _ in range(beats):
            if world.rng.random() < 0.3:
                world.something_else()
            world.beat()
            now = set(world.below_minimum())
            below = {name: below.get(name, world.now) for name in now}
            for name, since in below.items():
                if world.now - since > BELOW_S:
                    raise Broken(f"minimum: {name} has been below it for {world.now - since:g} s")
            if world.agent.tasks.hold:
                raise Broken("second agent: there is none")
            if any(t.backing_off for t in world.agent.tasks.tasks):
                raise Broken("back-off: nothing has failed")

    def calm(self) -> None:
        self.world.rest()
        self.world.invariants.note("calm")
        self.settle()
        self.record.calms += 1
        if self.world.rng.random() < 0.3:
            self._stays_as_it_is(20)
            return
        self._stays_as_it_is(60)
        self.world.invariants.check_memory(self.world.agent, RESTS_AT)

    def stuck(self) -> None:
        """Some containers cannot be ended: all get what they are entitled to without those places."""
        world = self.world
        reconciler = world.agent.reconciler
        go_first = sorted(reconciler.all(), key=lambda c: (c.task.priority, c.order))[::-1]
        some = [world.real[c.id] for c in go_first[: world.rng.choice([1, 1, 2, 5])] if c.id in world.real]
        world.invariants.note("stuck", *(real.id for real in some))
        for real in some:
            world.stick(real)
        for _ in range(world.rng.choice([1, 2])):
            world.rest()
            self.settle()
        self.record.stuck += sum(map(world.stuck, world.agent.reconciler.containers))
        world.unstick()
        self.calm()

    def restart(self) -> None:
        """The next agent finds all as it should be, and touches nothing."""
        how = self.world.rng.choice(["kill", "leave"])
        self.world.replace_agent(how)
        self._stays_as_it_is(60)

    def _stays_as_it_is(self, beats: int) -> None:
        world = self.world
        before = {(r.id, r.state) for r in world.real.values()}
        for _ in range(beats):
            world.beat()
            now = {(r.id, r.state) for r in world.real.values()}
            if now != before:
                raise Broken(f"rest: nothing has changed outside, but {sorted(before ^ now, key=str)}")

    def end(self, how: str) -> None:
        """The agent is asked to end, nothing goes wrong any more, and what is left is as it should be."""
        world, began = self.world, self.world.now
        while not (world.agent.alive and world.agent.adopted and not world.agent.asked):
            world.run(0.5)
            world.clear_up()
        agent = world.agent
        world.invariants.note("the end", how)
        if how == "leave":
            world.invariants.leaves(agent)
        agent.ask_to_end(how)
        while agent.alive:
            world.run(0.5)
        self.record.slowest_end = max(self.record.slowest_end, (world.now - began, self.seed))
        if agent.gave_up:
            raise Broken(f"{how}: it gave up, left: {[str(c) for c in agent.reconciler.all()]}")
        foreign = agent.reconciler.unmanaged.foreign
        left = [r for r in world.real.values() if agent in r.owners and r.id not in foreign]
        # A create that nobody waits for any more cannot be undone by who has ended; the next agent does.
        left = [r for r in left if not (r.late and r.state is State.CREATED)]
        if how == "drain" and left:
            raise Broken(f"drain: left: {left}")
        # Who leaves does not stay for what the engine has just refused to remove.
        still = {c.id for c in agent.reconciler.all() if not c.failures} & {r.id for r in left}
        if bad := [c for c in agent.reconciler.all() if c.id in still and c.phase is not Phase.RUNNING]:
            raise Broken(f"leave: left though it does not run: {bad}")


def seeds(first: int) -> Iterator[int]:
    """The seeds of the lives of one run."""
    return iter(range(first * 1_000_000, (first + 1) * 1_000_000))


def beats_of(seed: int) -> int:
    """How long the life of this seed is: one in fifty is twenty times as long as the others."""
    return LIFE_BEATS * 20 if seed % 50 == 49 else LIFE_BEATS


def live(seed: int, record: Record, beats: int = 0) -> None:
    """Lives one life. Raises Broken, with how to see it again."""
    life = Life(seed, record)
    try:
        life.live(beats or beats_of(seed))
    except Exception as error:
        world = life.world
        notes: list[tuple[Any, ...]] = [
            (0.0, f"cap {world.cap}", "server" if world.server else "local", *world.plans)
        ]
        notes += [*world.invariants.journal, (world.now, {n: q.length for n, q in world.queues.items()})]
        last = "\n".join(f"  {note[0]:9.3f}  " + " ".join(map(str, note[1:])) for note in notes)
        length = f" --life {beats}" if beats else ""
        error.last = last  # type: ignore[attr-defined]
        error.replay = f"python -m tests.scheduler.beats --replay {seed}{length}"  # type: ignore[attr-defined]
        raise


def told(error: Exception) -> str:
    """What happened last in a life that failed, why, and how to see it again."""
    last, replay = getattr(error, "last", ""), getattr(error, "replay", "")
    return f"{last}\nBROKEN {type(error).__name__} {error}\nagain: {replay}"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What an agent logs in a million beats is for nobody."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def run(beats: int, first: int, life: int = 0, seconds: float = float("inf"), skip: int = 0) -> Record:
    """Lives as many lives as it takes for so many beats."""
    record = Record()
    began = time.monotonic()
    with quiet():
        for number, seed in enumerate(seeds(first)):
            if record.beats >= beats or time.monotonic() - began > seconds:
                break
            if number >= skip:
                live(seed, record, life)
    return record


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beats", type=int, default=1_000_000, help="how many beats in all")
    parser.add_argument("--seed", type=int, default=1, help="where the seeds of the lives come from")
    parser.add_argument("--life", type=int, default=0, help="beats of one life (default: 1000 or 20000)")
    parser.add_argument("--skip", type=int, default=0, help="lives to leave out, to go on with a run")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no life after so long")
    parser.add_argument("--replay", type=int, help="live this one life again, and tell what happened")
    options = parser.parse_args()
    began = time.monotonic()
    try:
        if options.replay is not None:
            record = Record()
            logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
            live(options.replay, record, options.life)
        else:
            record = run(options.beats, options.seed, options.life, options.seconds, options.skip)
    except Exception as error:
        print(told(error))
        if not isinstance(error, Broken):
            raise
        return 1
    took = time.monotonic() - began
    each = 1000 * took / max(1, record.beats)
    print(f"{record.beats} beats in {record.lives} lives, {took:.1f} s: {each:.2f} ms a beat")
    print(f"{record.stuck} containers could not be ended")
    print(f"{record.calms} calms, slowest {record.slowest_calm}; slowest end {record.slowest_end}")
    print(record.figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
