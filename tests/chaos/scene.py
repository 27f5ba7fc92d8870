"""What runs in a chaos run: the tasks, their queues, and the cap that they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.agents import app
from tests.integration.engines import LABEL

CAP = 12
TARGET = 50
"""Items: what each queue is to hold."""
COMFORTABLE = TARGET * 7 // 10
"""Nobody gives anything back above this."""
MAX_WAITING = 160
FLAKY, SLOW = "mss-test/flaky", "mss-test/slow"
IMAGES = {
    # Ends at once for as long as there is a file of that name, else when it is asked to.
    FLAKY: "if [ -e /chaos/crash ]; then echo 'cannot start: no database'; exit 3; fi; "
    "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done",
    # Takes its time to end, longer than another takes to start.
    SLOW: "trap 'sleep 0.7; exit 0' TERM; while :; do sleep 3600 & wait $!; done",
}


@dataclass(frozen=True)
class Part:
    """One task, as far as the invariants care."""

    name: str
    priority: int
    least: int
    most: int
    rule: str
    image: str = "mss-test/sleeper"

    @property
    def measured(self) -> bool:
        """Whether it has a queue; if not it takes what the others leave."""
        return self.rule != "Remainder"


@dataclass(frozen=True)
class Scene:
    """All tasks of a run, the cap that they share, and how their containers are recognised."""

    parts: tuple[Part, ...]
    cap: int
    label: str
    """That containers of tasks have."""
    settles_s: float
    """How long the tasks may take to get their shares after the queues have come to rest."""
    still_s: float = 0.0
    """For so long the agent does nothing after a fault that somebody else may be about to mend."""
    recovers_s: float = 5.0
    """How long it may take until all is well after the last fault."""
    stops_after_s: float = 0.0
    """How long it may take from a decision to the stop of a container that is at work."""
    spare: int = 0
    """Places that nobody wants if all queues are empty."""
    freezes: bool = False
    """Whether the agent freezes containers: one that is paused does not run, unless somebody else has
    paused it, who holds its place."""

    @property
    def measured(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.parts if part.measured)

    def part(self, name: str) -> Part:
        """The task of that name."""
        return next(part for part in self.parts if part.name == name)

    def task_of(self, labels: Mapping[str, str]) -> str:
        """The task of a container with these labels; "" if it is nobody's here."""
        return labels.get(self.label, "")

    def about(self, labels: Mapping[str, str]) -> Any:
        """What the invariants need to know of a container with these labels; None: nothing."""
        return None

    def share(self, waiting: Mapping[str, int]) -> dict[str, int]:
        """How the cap is shared in the end if each queue stays either empty or far above its target."""
        counts = {part.name: part.least for part in self.parts}
        for part in self.parts:
            if not part.measured or waiting[part.name] > TARGET:
                counts[part.name] += min(part.most - part.least, self.cap - sum(counts.values()))
        return counts


PARTS = (
    Part("alpha", 1, 2, 8, "Queue"),
    Part("beta", 2, 1, 6, "Queue"),
    Part("gamma", 3, 1, 4, "SimpleQueue", "mss-test/stubborn"),
    Part("flaky", 4, 1, 3, "SimpleQueue", FLAKY),
    Part("rest", 5, 1, CAP, "Remainder", SLOW),
)
DOCKER = Scene(PARTS, CAP, LABEL, settles_s=20.0)
"""SimpleQueue goes one container at a time."""
MEASURED = DOCKER.measured


def apps(endpoints: Mapping[str, str], folder: Path) -> list[dict[str, Any]]:
    """The tasks as a configuration has them. `endpoints`: host:port of each queue's own nsqd; alpha is
    measured by the metric NSQ, whose endpoint is one for all, and the others by HTTP. `folder`: where
    the flaky one looks for the file that makes it crash."""
    return [_app(part, endpoints, folder) for part in PARTS]


def _app(part: Part, endpoints: Mapping[str, str], folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = {"networkMode": "none"}
    if part.name == "flaky":
        config["volumes"] = [f"{folder}:/chaos:ro"]
    if part.name == "alpha":
        return app_of(part, {**config, "topicName": "alpha", "channelName": "work"}, "NSQ")
    return app_of(part, config | by_http(part, endpoints))


def by_http(part: Part, endpoints: Mapping[str, str]) -> dict[str, Any]:
    """Where the queue of a task is asked for, if it has one."""
    if not part.measured:
        return {}
    url = f"http://{endpoints[part.name]}/stats?format=json"
    return {"url": url, "path": "topics[0].channels[0].depth"}


def app_of(part: Part, config: Mapping[str, Any], metric: str = "HTTP") -> dict[str, Any]:
    """A task as a configuration has it. `config`: its own, with all that the metric needs."""
    target = {"targetQueueLength": TARGET} if part.measured else {}
    return app(
        part.name,
        part.priority,
        part.image,
        minContainers=part.least,
        maxContainers=part.most,
        ruleType=part.rule,
        metricType=metric if part.measured else "",
        config={**config, **target},
    )
