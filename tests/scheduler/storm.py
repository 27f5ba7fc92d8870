"""Everything that befalls a random world, at random."""

from __future__ import annotations

from microscaling.scheduler.containers.backend import State
from tests.scheduler.random_world import World
from tests.scheduler.simulated_engine import Faults, Real
from tests.scheduler.virtual_sources import MODES


class Storm:
    """Befalls a world: each beat something may go wrong, as often as this storm is strong."""

    def __init__(self, world: World) -> None:
        self.world, self.rng = world, world.rng
        self.strength = self.rng.choice([0.05, 0.2, 0.5])
        self.change_faults()
        world.healthy = False
        world.invariants.contested = False

    def befall(self) -> None:
        rng, world = self.rng, self.world
        if rng.random() < 0.3:
            world.something_else()
        if rng.random() < self.strength:
            what = rng.choices(list(WHAT), list(WHAT.values()))[0]
            world.invariants.note("storm", what.__name__)
            world.invariants.figures["faults"] += 1
            what(self)
        for state in world.sources.values():
            if state.mode and world.now >= state.until:
                state.mode = ""
        if world.second is not None and not world.second.alive:
            world.invariants.forget(world.second)
            world.second = None

    def change_faults(self) -> None:
        rng = self.rng
        chances = [rng.choice([0.0, 0.0, 0.02, 0.1]) for _ in range(6)]
        effect, reply, event = (
            rng.choice([0.05, 0.5, 3.0]),
            rng.choice([0.01, 0.2]),
            rng.choice([0.01, 0.3, 2.0]),
        )
        grace = rng.choice([0.0, 0.0, 1.0, 10.0])
        self.world.faults = Faults(*chances, effect, reply, event, grace, disordered=rng.random() < 0.3)

    def break_task(self) -> None:
        world, rng = self.world, self.rng
        name = rng.choice(world.plans).name
        broken = world.faults.broken
        broken[name] = rng.choice(["crash", "create", "start"])
        world.at(rng.uniform(1, 60), broken.pop, name, None)

    def break_source(self) -> None:
        world, rng = self.world, self.rng
        if world.sources:
            state = rng.choice(list(world.sources.values()))
            state.mode, state.until = rng.choice(MODES), world.now + rng.uniform(0.5, 20)

    def kill(self) -> None:
        for real in self._some():
            self.world.kill(real)

    def remove(self) -> None:
        for real in self._some():
            self.world.remove(real)

    def stick(self) -> None:
        """Some cannot be ended, for a while or until the storm is over."""
        for real in self._some():
            self.world.stick(real)
            self.world.at(self.rng.uniform(1, 90), setattr, real, "stuck", "")

    def engine_away(self) -> None:
        if self.world.up:
            self.world.go_away(killing=self.rng.random() < 0.5)
            self.world.at(self.rng.choice([0.3, 2.0, 12.0]), setattr, self.world, "up", True)

    def nonsense(self) -> None:
        """The server says something that is none of its business, or makes no sense."""
        agent = self.world.agent
        if agent.engine_thread is not None and agent.adopted:
            agent.hear_server(self.rng.choice(NONSENSE))

    def break_stream(self) -> None:
        self.world.agent.break_stream(silently=self.rng.random() < 0.5)

    def freeze(self) -> None:
        self.world.agent.freeze(self.rng.choice([0.3, 1.0, 5.0, 20.0]))

    def replace_agent(self) -> None:
        agent = self.world.agent
        if agent.alive and not agent.asked:
            self.world.replace_agent(self.rng.choice(["kill", "kill", "leave", "leave", "drain"]))

    def stranger(self) -> None:
        """Somebody starts a container by hand, with a label like ours."""
        world = self.world
        real = world.add(self.rng.choice(world.plans).name, State.CREATED, f"by hand {self.world.now}")
        world._tell("create", real)
        world._start(real, None)
        world.unmanaged.append(real)
        world.invariants.contested = True
        world.at(self.rng.uniform(0.5, 30), world.remove, real)

    def second_agent(self) -> None:
        world, rng = self.world, self.rng
        if world.second is None:
            second = world.second = world.new_agent()
            world.seconds.append(second)
            world.invariants.contested = True
            how = rng.choice(["kill", "leave", "drain"])
            world.at(rng.uniform(0.5, 20), world.end_agent, second, how)

    def _some(self) -> list[Real]:
        real = list(self.world.real.values())
        return self.rng.sample(real, min(len(real), self.rng.choice([1, 1, 3])))


NONSENSE = (
    b"",
    b"{",
    b"\xff",
    b'{"demand": {"tasks": [{"app": "t0", "demandCount": -1}]}}',
    b'{"demand": {"tasks": [{"app": "t0", "demandCount": 1e9}]}}',
    b'{"demand": {"tasks": [{"app": "nobody", "demandCount": 3}]}}',
    b'{"demand": null}',
)
WHAT = {
    Storm.change_faults: 10,
    Storm.break_task: 5,
    Storm.break_source: 10,
    Storm.kill: 10,
    Storm.remove: 5,
    Storm.stick: 5,
    Storm.engine_away: 5,
    Storm.break_stream: 5,
    Storm.nonsense: 3,
    Storm.freeze: 3,
    Storm.replace_agent: 5,
    Storm.stranger: 2,
    Storm.second_agent: 1,
}
