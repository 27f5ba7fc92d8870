"""The configuration of a storm of reloads, and its changes at random."""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, field
from typing import Any

MOST = 4
"""Containers of one fixed task."""
NAMES = ("ant", "bee", "cat", "dog", "elk", "fox")
LEAST_TASKS = 3
CAPS = range(20, 27)
POISON = "poison"
"""A label that only bad files have: no container may ever carry it."""
VERSION = "storm-version"


@dataclass
class Part:
    """One task with as many containers as it says, whatever happens around it."""

    count: int
    version: int = 0
    """Of what is in its containers."""
    priority: int = 1
    weight: float = 1.0

    def app(self, name: str) -> dict[str, Any]:
        """Its entry in the file."""
        return {
            "name": name,
            "priority": self.priority,
            "minContainers": self.count,
            "maxContainers": self.count,
            "weight": self.weight,
            "ruleType": "Remainder",
            "config": {
                "image": "mss-test/sleeper",
                "labels": {VERSION: str(self.version)},
                "update": {"parallel": 2},
            },
        }


@dataclass
class Change:
    """One reload: the tasks whose containers it concerns, and those that it only gives other numbers."""

    kind: str
    containers: set[str] = field(default_factory=set)
    bad: bool = False


class World:
    """What the file says; `loads` are the tasks with a queue, which take what the others leave."""

    def __init__(self, dice: random.Random, loads: list[dict[str, Any]]) -> None:
        self.dice = dice
        self.loads = loads
        self.cap = CAPS[-1]
        self.parts = {name: Part(dice.randint(1, MOST)) for name in NAMES[:4]}
        self._versions = 0

    def data(self) -> dict[str, Any]:
        apps = [part.app(name) for name, part in self.parts.items()]
        return {"maxContainers": self.cap, "apps": [*apps, *copy.deepcopy(self.loads)]}

    def change(self) -> Change:
        """Changes something, at random."""
        kinds = {
            "roll": 4, "count": 3, "priority": 3, "numbers": 3, "come": 2, "go": 2, "cap": 2, "load": 2,
            "bad": 5, "nothing": 1, "order": 1,
        }  # fmt: skip
        while True:
            kind = self.dice.choices([*kinds], [*kinds.values()])[0]
            change = getattr(self, f"_{kind}")()
            if change is not None:
                return change

    def _roll(self) -> Change:
        name = self.dice.choice([*self.parts])
        self._versions += 1
        self.parts[name].version = self._versions
        return Change("roll", {name})

    def _count(self) -> Change | None:
        name = self.dice.choice([*self.parts])
        count = self.dice.randint(1, MOST)
        if count == self.parts[name].count:
            return None
        self.parts[name].count = count
        return Change("count", {name})

    def _priority(self) -> Change:
        for part in self.parts.values():
            part.priority = self.dice.randint(1, 5)
        return Change("priority")

    def _numbers(self) -> Change:
        self.parts[self.dice.choice([*self.parts])].weight = self.dice.randint(1, 9) / 2
        return Change("numbers")

    def _come(self) -> Change | None:
        free = [name for name in NAMES if name not in self.parts]
        if not free:
            return None
        self._versions += 1
        name = self.dice.choice(free)
        self.parts[name] = Part(self.dice.randint(1, MOST), self._versions)
        return Change("come", {name})

    def _go(self) -> Change | None:
        if len(self.parts) <= LEAST_TASKS:
            return None
        name = self.dice.choice([*self.parts])
        del self.parts[name]
        return Change("go", {name})

    def _cap(self) -> Change:
        # Never below what the fixed tasks need: then some of them would have to give.
        self.cap = self.dice.choice([cap for cap in CAPS if cap >= self._fixed() + 2] or [CAPS[-1]])
        return Change("cap")

    def _load(self) -> Change:
        app = self.dice.choice(self.loads)
        app["config"]["targetQueueLength"] = self.dice.randint(10, 80)
        app["scaleDownWindowSeconds"] = self.dice.randint(0, 10)
        return Change("load")

    def _order(self) -> Change:
        names = [*self.parts]
        self.dice.shuffle(names)
        self.parts = {name: self.parts[name] for name in names}
        return Change("order")

    def _nothing(self) -> Change:
        return Change("nothing")

    def _bad(self) -> Change:
        return Change("bad", bad=True)

    def _fixed(self) -> int:
        return sum(part.count for part in self.parts.values())

    def spoilt(self) -> str:
        """Returns a file that must be refused; each change in it would show at the containers."""
        import json

        data = self.data()
        for app in data["apps"][: len(self.parts)]:
            app["config"]["labels"][POISON] = "yes"
            app["minContainers"] = app["maxContainers"] = MOST + 3
        app = self.dice.choice(data["apps"])
        match self.dice.randrange(6):
            case 0:
                return json.dumps(data)[: self.dice.randint(1, 400)]
            case 1:
                app["maxContainers"] = -1
            case 2:
                data["apps"].append(copy.deepcopy(app))
            case 3:
                app["config"]["ports"] = [80]  # on the host's network
            case 4:
                app["schedule"] = [{"from": "Mo 08:00", "to": "18:00", "minContainers": 1}]
            case _:
                data["maxContainers"] = "many"
        return json.dumps(data)
