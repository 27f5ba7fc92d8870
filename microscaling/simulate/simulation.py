"""A run of the real decision in virtual time, against simulated queues."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.decider import Decider
from microscaling.engine.readings import MAX_AGE_BEATS, Readings
from microscaling.metric.base import Metric
from microscaling.metric.multiple import MultipleMetric
from microscaling.simulate.containers import SimulatedContainers
from microscaling.simulate.queue import SimulatedQueue
from microscaling.simulate.shapes import Load
from microscaling.simulate.source import NUMBER, SimulatedMetric, SimulatedSource

BEAT_S = 0.5


@dataclass(frozen=True)
class World:
    """All that is around the decision, apart from the load. Times in seconds."""

    seconds: float = 600.0
    rate: float = 5.0
    """Jobs per second of one container."""
    spread: float = 1.0
    """Standard deviation of the time that a job takes, as a part of its mean: 0 for jobs that are all the
    same, 1 for an exponential distribution."""
    start_s: float = 1.0
    stop_s: float = 0.5
    reading_age_s: float = 0.0
    reading_interval_s: float = 0.0
    counts: str = NUMBER
    seed: int = 1
    begins: float = 0.0
    """The time of day at which the run begins, in seconds since 1970: windows go by it."""


@dataclass
class Sample:
    """One task at one beat."""

    waiting: int
    oldest_s: float
    running: int
    """The containers that work, without those that start or stop."""
    demand: int


@dataclass
class Run:
    """One simulated run, and its record."""

    tasks: Tasks
    queues: dict[str, SimulatedQueue]
    containers: SimulatedContainers
    times: list[float] = field(default_factory=list)
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    at_cap: int = 0
    """Beats at which all places under the cap were taken."""
    decisions: list[tuple[float, str, int, int, str]] = field(default_factory=list)
    """Time, task, demand before and after, and the reason of each change."""


def simulate(
    tasks: Sequence[Task],
    cap: int,
    loads: Mapping[str, Load],
    world: World,
    window_s: float = 0.0,
    beginning: Mapping[str, int] | None = None,
    told: Callable[[float], None] = lambda part: None,
) -> Run:
    """Runs the decision over the tasks, which it changes. `loads`: by name of the task; `beginning`: the
    containers that run at the start, by name; `told` gets the part that is done, now and then."""
    shared = Tasks(tasks, cap)
    beat = 0
    shared.wall = lambda: world.begins + beat * BEAT_S
    sources = _connect(shared, loads, world)
    queues = {source.name: source.queue for source in sources}
    containers = SimulatedContainers(shared, queues, world.start_s, world.stop_s)
    for group in containers.groups:
        containers.begin(group, (beginning or {}).get(group.task.name, group.task.min_containers))
    readings = Readings(shared.tasks, MAX_AGE_BEATS * BEAT_S)
    decider = Decider(shared, readings, window_s)
    run = Run(shared, queues, containers, samples={task.name: [] for task in shared.tasks})
    beats = round(world.seconds / BEAT_S)
    for beat in range(beats):
        now = beat * BEAT_S
        _until(now, containers, decider)
        for source in sources:
            source.measure()
        for poll in readings.start(now, BEAT_S / 4):
            poll.ask(lambda: now)  # noqa: B023  # called at once
        before = [task.demand for task in shared.tasks]
        changed = decider.beat(now)
        _note(run, now, before)
        if changed:
            containers.carry_out()
        if beat % 64 == 0:
            told(beat / beats)
    _until(world.seconds, containers, decider)
    told(1.0)
    return run


def _connect(tasks: Tasks, loads: Mapping[str, Load], world: World) -> list[SimulatedSource]:
    """Gives each task that measures a simulated queue in place of its own source."""
    # Random numbers come from the seed alone, so that a run can be repeated.
    rng = random.Random(world.seed)  # nosec B311  # simulated loads are no secret
    sources = []
    for task in tasks.tasks:
        if task.is_remainder():
            continue
        # A generator of its own for each task, so that one task more changes no other one's load.
        load = loads[task.name]
        own = random.Random(rng.random())  # nosec B311  # the same
        queue = SimulatedQueue(load.arrivals(world.seconds, own), _service(load, world, own))
        source = SimulatedSource(
            task.name, queue, world.counts, world.reading_age_s, world.reading_interval_s
        )
        source.outage = load.outage
        if task.target.rules and isinstance(task.metric, MultipleMetric):
            # One queue for all of them: what another one has in it would need a model of the workers.
            for member in task.metric.members:
                member.metric = _measuring(source, member.metric)
        else:
            task.metric = _measuring(source, task.metric)
        sources.append(source)
    return sources


def _measuring(source: SimulatedSource, real: Metric) -> Metric:
    """Returns a metric of a simulated source in place of the real one."""
    metric = SimulatedMetric(source)
    metric.with_running, metric.interval_s = real.with_running, real.interval_s
    return metric


def _service(load: Load, world: World, rng: random.Random) -> Callable[[float], float]:
    mean_s, slow = 1 / world.rate, load.slow
    if world.spread <= 0:
        return lambda at: mean_s if slow is None or at < slow[0] else mean_s * slow[1]
    # A gamma distribution has any spread, and no negative times.
    shape = 1 / world.spread**2
    scale, gamma = mean_s / shape, rng.gammavariate
    if slow is None:
        return lambda at: gamma(shape, scale)
    return lambda at: gamma(shape, scale) * (slow[1] if at >= slow[0] else 1.0)


def _until(now: float, containers: SimulatedContainers, decider: Decider) -> None:
    """Moves on to a beat; between two of them the decision follows each container that starts or goes."""
    while containers.next_event() <= now:
        if containers.advance(containers.next_event()):
            containers.report()
            containers.carry_out()
            if decider.reallocate():
                containers.carry_out()
    containers.advance(now)
    containers.report()


def _note(run: Run, now: float, before: list[int]) -> None:
    run.times.append(now)
    taken = 0
    for group, was in zip(run.containers.groups, before, strict=True):
        task, queue = group.task, group.queue
        running = len(group.running)
        taken += running + len(group.starting) + len(group.stopping)
        waiting, oldest_s = (0, 0.0) if queue is None else (queue.waiting, queue.oldest_s())
        run.samples[task.name].append(Sample(waiting, oldest_s, running, task.demand))
        if task.demand != was:
            run.decisions.append((now, task.name, was, task.demand, str(task.reason)))
    run.at_cap += taken >= run.tasks.max_containers
