"""Decisions of the rules that the Go agent does not have, beat for beat, as they were when recorded.

    python -m tests.decisions.record      writes decisions.json anew, after a change that is meant

The vectors beside this folder hold what the Go agent decides; these hold what `Wait`, `PerContainer`, weights
and reserves decide, so that a change of a decision is seen, whether it is meant or not.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from microscaling.target.base import Target
from microscaling.target.per_container import PerContainerTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget
from microscaling.target.wait import WaitTarget
from tests.engine.driven import Driven, queue_task

FILE = Path(__file__).with_name("decisions.json")
CASES, BEATS, BEAT_S = 48, 80, 0.5
RULES: dict[str, type[Any]] = {
    "Wait": WaitTarget, "PerContainer": PerContainerTarget, "SimpleQueue": SimpleQueueLengthTarget,
}  # fmt: skip


def made(case: dict[str, Any]) -> Driven:
    """Returns the tasks of a case, with nothing running."""
    tasks = []
    for each in case["tasks"]:
        fields = {key: value for key, value in each.items() if key not in ("name", "rule", "priority")}
        kind, value = each["rule"]
        target: Target = RULES[kind](value)
        tasks.append(queue_task(each["name"], 0, each["priority"], target=target, **fields))
    return Driven(*tasks, cap=case["cap"])


def invented(seed: int) -> dict[str, Any]:
    """Returns a case, without its steps."""
    rng = random.Random(seed)
    tasks = []
    for name in "abcd"[: rng.randint(1, 4)]:
        kind = rng.choice([*RULES] if seed % 3 else ["Wait"])
        value = rng.choice([2, 5, 30]) if kind == "Wait" else rng.choice([1, 5, 20])
        each: dict[str, Any] = {"name": name, "rule": [kind, value], "priority": rng.randint(1, 2)}
        for key, values in (("weight", (0.5, 1.0, 3.0)), ("reserve", (1, 3)), ("min_containers", (1, 2))):
            if rng.random() < 0.4:
                each[key] = rng.choice(values)
        tasks.append(each)
    return {"cap": rng.randint(6, 24), "tasks": tasks}


def steps_of(case: dict[str, Any], seed: int) -> list[Any]:
    """Returns the answers of the sources at each beat, and what each task is to have then. The queues are
    those of containers that do a fixed number of jobs a second; at times a source fails."""
    rng, run = random.Random(seed), made(case)
    names = [each["name"] for each in case["tasks"]]
    loads = {name: [rng.uniform(0, 12), rng.uniform(0.5, 5)] for name in names}
    waiting, demand, steps = dict.fromkeys(names, 0.0), [0] * len(names), []
    for beat in range(BEATS):
        for name, has in zip(names, demand, strict=True):
            if beat % 30 == 29:
                loads[name][0] = rng.uniform(0, 20)
            arrivals, rate = loads[name]
            waiting[name] = max(0.0, waiting[name] + BEAT_S * (rng.uniform(0, 2 * arrivals) - rate * has))
        answers = {name: round(waiting[name]) for name in names if rng.random() > 0.03}
        demand = run.beat(**answers)
        steps.append([answers, list(demand)])
    return steps


def reasons(run: Driven) -> list[str]:
    """Returns the reason of each task's number."""
    return [str(task.reason) for task in run.tasks.tasks]


def main() -> None:
    """Writes all cases."""
    cases = []
    for seed in range(CASES):
        case = invented(seed)
        case["steps"] = steps_of(case, seed)
        run = made(case)
        for answers, _ in case["steps"]:
            run.beat(**answers)
        cases.append({**case, "reasons": reasons(run)})
    FILE.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main()
