"""Why a task has the containers that it has now, and what would change that: in a sentence, and as the
readings at which it would move."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from microscaling.api.learned import learned_of
from microscaling.demand.obstacle import obstacle, shortage, waits
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.demand.windows import in_window
from microscaling.server.domain import modes
from microscaling.server.domain.reports import TaskReport
from microscaling.server.domain.users import Agent, User
from microscaling.target.band import Band, band_of
from microscaling.target.base import Target
from microscaling.target.remainder import RemainderTarget


@dataclass(frozen=True, slots=True)
class Outlook:
    """One task of one agent, now."""

    now: str = ""
    band: Band | None = None
    """The readings between which it keeps its containers; None: no reading moves it, or they are not
    known."""
    learned: dict[str, Any] | None = None
    """What its rule has learned; None: nothing, or it does not learn."""
    metrics: Sequence[dict[str, Any]] = ()
    """Its metrics, if they are several."""


SEVERAL = Outlook("several agents have it: choose one of them to see why")


def outlooks(user: User, agents: Iterable[Agent]) -> dict[str, Outlook]:
    """Returns the outlook of each task that these agents report."""
    found: dict[str, Outlook] = {}
    for agent in agents:
        for app, outlook in _of(user, agent).items():
            found[app] = SEVERAL if app in found else outlook
    return found


def _of(user: User, agent: Agent) -> dict[str, Outlook]:
    wishes = user.wishes
    if user.decides_itself(agent):
        return _by_its_engine(agent)
    if wishes.plan is None or wishes.mode == modes.OFF or wishes.paused:
        # The Go agent does not tell whether it decides by itself.
        why = "paused: it stays as it is" if wishes.paused else "nothing is wanted: it stays as it is"
        return dict.fromkeys(agent.tasks, Outlook(why if agent.about else ""))
    if wishes.mode == modes.QUEUE:
        return _by_our_engine(agent)
    sliders = modes.sliders(wishes.plan, wishes.sliders) if wishes.mode == modes.MANUAL else None
    return {
        app: Outlook(_problem(_task_of(app, told)) or _by_hand(app, agent, sliders, wishes.plan.cap))
        for app, told in agent.tasks.items()
        if app in agent.wanted
    }


def _by_our_engine(agent: Agent) -> dict[str, Outlook]:
    if agent.queues is None:
        return {}
    tasks = agent.queues.tasks
    return {
        task.name: _with_windows(
            replace(_outlook(task, tasks, band_of(task.target, task.serving())), learned=learned_of(task)),
            in_window(task),
        )
        for task in tasks.tasks
        if task.name in agent.tasks
    }


def _by_its_engine(agent: Agent) -> dict[str, Outlook]:
    about = agent.about
    if about is None or about.cap is None:
        return {}
    # As tasks of the engine, so that page and log of the agent give the same reasons.
    tasks = Tasks([_task_of(app, told) for app, told in agent.tasks.items()], about.cap)
    tasks.hold, tasks.occupied = about.hold, about.occupied
    tasks.occupied_by = f"{about.occupied} that belong to no demand" if about.occupied else ""
    return {
        task.name: _with_windows(
            _by_report(task, tasks, agent.tasks[task.name]), agent.tasks[task.name].schedule
        )
        for task in tasks.tasks
        if agent.tasks[task.name].demand is not None
    }


def _with_windows(outlook: Outlook, windows: str) -> Outlook:
    """Adds the sentence about its windows, if there is one."""
    return (
        replace(outlook, now=f"{outlook.now}; {windows}" if outlook.now else windows) if windows else outlook
    )


def _by_report(task: Task, tasks: Tasks, told: TaskReport) -> Outlook:
    # Without its rule, as in a report that would be too long, nothing is known of its wishes either.
    if not told.rule:
        return Outlook(_problem(task))
    view = _outlook(task, tasks, _told_band(told))
    return replace(view, learned=told.learned, metrics=told.metrics)


def _told_band(told: TaskReport) -> Band | None:
    if told.more is None:
        return None
    return Band(-1 if told.back is None else told.back, told.more)


def _task_of(app: str, told: TaskReport) -> Task:
    """Returns the reported task; its ideal is what its own engine has computed."""
    rest = told.rule == RemainderTarget.type_name
    return Task(
        app,
        demand=told.requested if told.demand is None else told.demand,
        requested=told.requested,
        running=told.running,
        priority=told.priority or 0,
        min_containers=told.least or 0,
        max_containers=told.most or 0,
        target=RemainderTarget(0) if rest else Target(),
        ideal_containers=told.requested + told.lacks,
        held=told.held,
        falling_back=told.fallback,
        backing_off=told.backing_off,
        resting=told.resting,
        override=told.override,
        stopping=told.stopping,
        parked=told.parked,
        draining=told.draining,
        drains_until=told.drains_until,
    )


def _outlook(task: Task, tasks: Tasks, band: Band | None) -> Outlook:
    problem = _problem(task) or (waits(task, tasks) if task.is_remainder() else "")
    if problem or task.is_remainder():
        return Outlook(problem or _of_the_rest(task, tasks))
    # Counted from `requested`, as in the engine: demand may have run ahead, which is no shortage.
    wants = task.requested + shortage(task)
    if wants > task.demand:
        said = f"would want {wants}: {obstacle(task, tasks)}"
    elif waiting := waits(task, tasks):
        said = waiting
    elif task.demand <= task.min_containers:
        said = f"needs no more than its minimum, {task.min_containers}"
    else:
        said = "has enough"
    change = _change(task, band) if band else ""
    return Outlook(f"{said}; {change}" if change else said, band)


def _problem(task: Task) -> str:
    if task.override:
        return f"{task.override}: no reading moves it"
    if task.resting:
        return task.resting
    if task.backing_off:
        return "its containers keep failing: it waits before the next try"
    if task.falling_back:
        return f"no reading: its fallback gives it {task.demand}"
    if task.held:
        return f"no reading: stays at {task.demand}"
    return ""


def _of_the_rest(task: Task, tasks: Tasks) -> str:
    if task.demand >= task.max_containers:
        return f"takes what the others leave: it is at its maximum, {task.max_containers}"
    least = ", and keeps its minimum" if task.demand <= task.min_containers else ""
    return f"takes what the others leave of the cap, {tasks.cap}{least}"


def _change(task: Task, band: Band) -> str:
    changes = []
    if band.back >= 0 and task.demand > task.min_containers:
        changes.append(f"gives back at {band.back} and fewer" if band.back else "gives back at 0")
    if task.demand < task.max_containers:
        changes.append(f"wants more from {band.more}")
    return ", ".join(changes)


def _by_hand(app: str, agent: Agent, sliders: Mapping[str, int] | None, cap: int) -> str:
    if sliders is None:
        return "by chance"
    slider, wanted = sliders.get(app, 0), agent.wanted[app]
    if slider > wanted:
        return f"its slider wants {slider}: the cap, {cap}, leaves it {wanted}"
    return f"as its slider wants: {slider}"
