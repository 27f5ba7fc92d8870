"""Reloads: whole or not at all, with all that is known of tasks that stay, and a yes if one goes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from microscaling.api.apps import apps_from_parsed
from microscaling.config.reload import Outcome, Reloads
from microscaling.demand.change import Change
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import ConfigError, TemporaryError
from microscaling.factory import Loader
from microscaling.settings import Settings
from tests.fakes.server import wait_for

QUEUE = {"topicName": "t", "channelName": "c", "targetQueueLength": 50, "image": "web:1"}


def app(name: str, config: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    own = {"name": name, "priority": 1, "minContainers": 1, "maxContainers": 4}
    return own | {"ruleType": "Queue", "metricType": "NSQ", "config": QUEUE | (config or {})} | more


def read(*apps: dict[str, Any], cap: int = 10) -> tuple[list[Task], int]:
    tasks, found = apps_from_parsed({"maxContainers": cap, "apps": list(apps)}, Settings(), lambda line: None)
    for task in tasks:
        task.version = task.image
    return tasks, found


class World:
    """An agent's tasks, and the configuration that a reload will find."""

    def __init__(self, *apps: dict[str, Any], **more: Any) -> None:
        self.found: Callable[[], tuple[list[Task], int]] = lambda: read(*apps)
        tasks, cap = self.found()
        self.tasks = Tasks(tasks, cap)
        self.changes: list[Change] = []
        self.fails = 0
        self.reloads = Reloads(lambda: self.found(), self.take, tasks, cap, **more)

    def take(self, change: Change) -> None:
        if self.fails:
            self.fails -= 1
            raise TemporaryError("the engine is away")
        self.changes.append(change)
        with self.tasks as tasks:
            tasks.apply(change)

    def reload(self, *apps: dict[str, Any], cap: int = 10, yes: bool = False) -> Outcome:
        self.found = lambda: read(*apps, cap=cap)
        found = self.reloads.ask(yes, patience_s=30)
        assert found is not None
        return found


@pytest.fixture
def running() -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(*apps: dict[str, Any], **more: Any) -> World:
        made.append(World(*apps, **more))
        made[-1].reloads.start()
        return made[-1]

    yield make
    for world in made:
        world.reloads.stop()
        world.reloads.join(10)
        assert world.reloads.error is None


def test_tasks_come_change_and_go(running: Callable[..., World]) -> None:
    world = running(app("a"), app("b"))
    said = world.reload(app("a", maxContainers=6), app("c"), cap=12)
    assert said == Outcome("new: c; changed: a; gone, with what runs: b; maxContainers: 12")
    assert [task.name for task in world.tasks.tasks] == ["a", "c"]
    assert (world.tasks.get_task("a").max_containers, world.tasks.cap) == (6, 12)
    assert world.reload(app("a", maxContainers=6), app("c"), cap=12) == Outcome("nothing has changed")
    assert len(world.changes) == 1


def test_what_has_not_changed_keeps_all_that_it_knows(running: Callable[..., World]) -> None:
    world = running(app("a"), app("b"))
    a, b = world.tasks.tasks
    kept = a.metric, a.target, b.metric, b.target
    world.reload(app("a", {"image": "web:2", "idleSeconds": 3}, minContainers=2), app("b"))
    assert (a.metric, a.target, b.metric, b.target) == kept
    assert (a.image, a.idle_s, a.min_containers, a.generation) == ("web:2", 3.0, 2, 0)
    assert [task.name for task in world.changes[0].tasks] == ["a"], "and b is no part of the change"
    world.reload(app("a", {"targetQueueLength": 9}), app("b", {"topicName": "other"}))
    assert (a.metric, a.target.length) == (kept[0], 9)  # type: ignore[attr-defined]
    assert b.metric is not kept[2]
    assert b.generation > 0, "its readings begin anew"


def test_a_bad_file_changes_nothing(running: Callable[..., World], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = running(app("a"))
    found = world.reload(app("a", maxContainers=-1), app("a"))
    assert found.said == ""
    assert found.problems == (
        "apps[0].maxContainers: expected a whole number, 0 or more, got -1",
        'apps[1].name: "a" is the name of apps[0] too: change one',
    )
    assert (world.changes, world.tasks.get_task("a").max_containers) == ([], 4)
    assert "reload: refused: the configuration stays as it was" in caplog.messages
    assert all(f"reload: {problem}" in caplog.messages for problem in found.problems)


def test_one_that_cannot_be_read_changes_nothing(running: Callable[..., World]) -> None:
    world = running(app("a"))

    def fails() -> tuple[list[Task], int]:
        raise ConfigError("apps.yml: cannot be read: no such file")

    world.found = fails
    assert world.reloads.ask(patience_s=30) == Outcome(problems=("apps.yml: cannot be read: no such file",))
    assert world.reload(app("a", priority=2)).said == "changed: a", "and the next one is taken"


def test_the_order_counts_for_equal_priorities(running: Callable[..., World]) -> None:
    world = running(app("a"), app("b"))
    assert world.reload(app("b"), app("a")) == Outcome("the order of the tasks has changed")
    assert [task.name for task in world.tasks.by_priority()] == ["b", "a"]
    assert world.reload(app("b"), app("c"), app("a")).said == "new: c"
    assert [task.name for task in world.tasks.by_priority()] == ["b", "c", "a"]


def test_the_containers_of_a_task_that_goes_stay_or_go(running: Callable[..., World]) -> None:
    world = running(app("a"), app("b"), leaves=True)
    assert world.reload(app("a")).said == "gone, but what runs stays: b"
    assert (world.changes[0].gone, world.changes[0].left) == (frozenset(), frozenset({"b"}))


def test_a_task_goes_only_after_a_yes(
    running: Callable[..., World], caplog: pytest.LogCaptureFixture
) -> None:
    world = running(app("a"), app("b"), confirms=True)
    waits = "waits for `microscaling reload --yes`, as a task goes: gone, with what runs: b"
    assert world.reload(app("a")) == Outcome(problems=(waits,))
    assert world.reload() == Outcome(problems=(waits.replace(": b", ": a, b"),)), "nor if the list is empty"
    world.reload(app("a"))
    assert sum(waits in line for line in caplog.messages) == 2
    assert [task.name for task in world.tasks.tasks] == ["a", "b"]
    assert world.reload(app("a"), app("b", priority=3)).said == "changed: b", "all else is taken at once"
    assert world.reload(app("a"), yes=True).said == "gone, with what runs: b"


def test_with_an_orchestrator_what_is_in_a_container_is_refused(running: Callable[..., World]) -> None:
    world = running(app("a"), app("b"), scales_only="needs a restart")
    assert world.reload(app("a", {"targetQueueLength": 9}), app("b", priority=4)).said == "changed: a, b"
    found = world.reload(app("a", {"image": "web:2"}), app("c"))
    assert found.problems == (
        "c: is new: needs a restart",
        "b: is gone: needs a restart",
        "a: what is in its containers has changed: needs a restart",
    )
    assert len(world.changes) == 1


def test_it_goes_on_while_the_engine_is_away(running: Callable[..., World]) -> None:
    world = running(app("a"), app("b"), confirms=True)
    world.fails = 2
    found = world.reload(app("a"), yes=True)
    assert found.problems == ("not taken yet: the engine is away; the agent goes on to try",)
    wait_for(lambda: [task.name for task in world.tasks.tasks] == ["a"])


def test_a_signal_is_enough(running: Callable[..., World]) -> None:
    hangup = threading.Event()
    world = running(app("a"), asked=hangup)
    world.found = lambda: read(app("a", priority=7))
    hangup.set()
    wait_for(lambda: world.tasks.get_task("a").priority == 7)


def test_an_image_under_another_name_is_another_version() -> None:
    class Source:
        data: Any = None

        def get_apps(self, user_id: str) -> tuple[list[Task], int]:
            return apps_from_parsed(self.data, Settings(), lambda line: None)

    def version(environ: dict[str, str] | None = None, **config: Any) -> str:
        source = Source()
        source.data = {"maxContainers": 3, "apps": [app("a", config)]}
        tasks, _ = Loader(Settings(), environ or {}, source)()  # type: ignore[arg-type]
        return tasks[0].version

    plain = version()
    assert version(targetQueueLength=9, idleSeconds=3) == plain, "what the agent alone looks at"
    assert version({"INVOCATION_ID": "1"}) == plain, "nor the agent's own environment"
    others = [
        {"image": "web:2"},
        {"command": "run"},
        {"env": {"A": "1"}},
        {"memory": "64m"},
        {"labels": ["a=b"]},
    ]
    versions = [plain, *(version(**config) for config in others)]
    assert len({*versions}) == len(versions)
