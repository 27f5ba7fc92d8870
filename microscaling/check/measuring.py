"""Asks every source once, and decides once with what they answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from microscaling.api.members import members_of
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.demand.windows import in_window
from microscaling.engine.decider import Decider
from microscaling.engine.poll import Poll
from microscaling.engine.readings import Readings
from microscaling.utils.finding import Finding, error, ok

AT_ONCE = 16
"""Sources that are asked side by side."""
VALID_S = 600.0
"""The age (seconds) above which an answer would not be used: longer than a check takes."""


def measured(
    tasks: Tasks, scale_down_window_s: float, doing: Callable[[str], object] = str
) -> Iterator[Finding]:
    """Asks all sources; yields one finding for each of them, and one for each task with its number and the
    containers that it would have. Nothing is carried out. `doing` gets what is waited for."""
    readings = Readings(tasks.tasks, VALID_S)
    took: dict[Poll, float] = {}

    def ask(poll: Poll) -> None:
        began = time.monotonic()
        poll.ask(time.monotonic)
        took[poll] = time.monotonic() - began
        poll.source.close()  # in this thread, as some libraries want it

    polls = readings.start(time.monotonic(), VALID_S)
    with ThreadPoolExecutor(AT_ONCE, "mss-check") as pool:
        answers = [pool.submit(ask, poll) for poll in polls]
        for n, (poll, answer) in enumerate(zip(polls, answers, strict=True), 1):
            doing(f"asking {poll.source.name} ({n} of {len(polls)} sources) ...")
            answer.result()
            if poll.reading is not None and not poll.reading.error:
                yield ok(f"{poll.source.name}: answers in {took[poll] * 1000:.0f} ms")
    # Each number counts from here on as that of a running agent would: only the first decision is asked for.
    with tasks:
        before = {task.name: task.demand for task in tasks.tasks}
    Decider(tasks, readings, scale_down_window_s).beat(time.monotonic())
    for task in tasks.tasks:
        yield _of(task, before, tasks)


def _of(task: Task, before: Mapping[str, int], tasks: Tasks) -> Finding:
    """Returns the finding about one task after the decision."""
    now, then = before[task.name], task.demand
    change = f"has {now}" if now == then else f"has {now}, would have {then} ({task.reason})"
    if task.held:
        noun = tasks.noun if now == 1 else tasks.nouns
        why = task.held.rstrip(".")
        return error(f"{task.name}: {why}; so it would stay as it is, with {now} {noun}")
    reads = f"reads {task.metric.current}"
    if members := members_of(task):
        reads = "reads " + ", ".join(
            f"{each['problem'] or each['reading']} ({each['place']}"
            + ("" if each["wants"] is None else f", wants {each['wants']}")
            + ")"
            for each in members
        )
    elif task.metric.measured is not None:
        more = task.metric.measured.words(task.metric.current)
        reads += f" ({more})" if more else ""
    said = f"{reads}; " if task.metric.sources else ""
    windows = f"; {in_window(task)}" if task.schedule is not None else ""
    return ok(f"{task.name}: {said}{change} of at most {task.max_containers} {tasks.nouns}{windows}")
