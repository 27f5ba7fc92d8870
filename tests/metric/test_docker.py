"""The number for a task, made of what its containers use. A real engine is asked in tests/integration."""

from __future__ import annotations

import itertools

import pytest

from microscaling.api.apps import apps_from_parsed
from microscaling.demand.hints import hints
from microscaling.errors import ConfigError, MetricError
from microscaling.metric.docker import CPU, MEMORY, MEMORY_SHARE, DockerMetric
from microscaling.metric.docker_stats import Look, Sample, Used
from microscaling.settings import Settings

MIB = 2**20
times = itertools.count(1000)


def container(cores: float, age_s: float = 100.0, memory: int = 0, limit: int = 0) -> Used:
    """One that has used so many cores for the last 20 s."""
    samples = [Sample(1000 + i, int(i * cores * 1e9), memory, limit) for i in range(20)]
    return Used(age_s, tuple(samples))


def metric(measure: str = CPU, **more: float) -> DockerMetric:
    made = DockerMetric(Settings(), measure, **more)
    made.task = "web"
    return made


def look(*containers: Used) -> Look:
    return Look(next(times), {"web": containers, "other": (container(50),)})


def test_the_cores_of_all_containers() -> None:
    assert metric().read(look(container(1.5), container(0.25))) == 175
    assert metric().read(look()) == 0


def test_the_average_is_that_of_the_last_seconds() -> None:
    samples = [Sample(1000 + i, int(max(0, i - 15) * 1e9), 0, 0) for i in range(20)]
    assert metric(average_s=4).read(look(Used(100, tuple(samples)))) == 100
    assert metric(average_s=8).read(look(Used(100, tuple(samples)))) == 50
    assert metric(average_s=60).read(look(Used(100, tuple(samples)))) == 21, "as long as it is known"


def test_memory_and_its_share_of_the_limit() -> None:
    two = (container(0, memory=int(7.9 * MIB), limit=16 * MIB), container(0, memory=3 * MIB, limit=4 * MIB))
    assert metric(MEMORY).read(look(*two)) == 10
    assert metric(MEMORY_SHARE).read(look(*two)) == round(100 * (7.9 / 16 + 3 / 4))
    with pytest.raises(MetricError, match="no limit of its memory: set `memory`"):
        metric(MEMORY_SHARE).read(look(container(0, memory=MIB)))


@pytest.mark.parametrize("left_out", [container(2, age_s=14), container(2, age_s=-1), Used(-1, ())])
def test_one_that_has_just_begun_is_left_out(left_out: Used) -> None:
    assert metric().read(look(container(1), left_out)) == 100


def test_a_load_that_moves_over_to_new_containers_is_not_less() -> None:
    one = metric()
    assert one.read(look(container(2), container(2))) == 400
    young = [container(0, age_s=1)] * 2
    assert one.read(look(container(2), container(2), *young)) == 400
    # The new ones have half of it now: it counts, though they are too young.
    assert one.read(look(container(1), container(1), *young)) == 400
    assert one.read(look(*[container(1)] * 4)) == 400
    assert one.read(look(*[container(0.5)] * 4)) == 200, "all of them are known"
    assert one.read(look(container(3), *[container(0.5)] * 3, *young)) == 450, "more is more at once"


def test_one_that_is_always_young_does_not_keep_the_others() -> None:
    one = metric()
    assert one.read(look(*[container(1)] * 10)) == 1000
    found = [one.read(look(*[container(0)] * 9, container(0, age_s=1))) for _ in range(4)]
    assert found == [100, 10, 1, 0]


def test_the_same_look_is_the_same_number() -> None:
    one, seen = metric(), look(*[container(0)] * 9, container(0, age_s=1))
    one.read(look(*[container(1)] * 10))
    assert [one.read(seen) for _ in range(3)] == [100] * 3
    assert one.stamp == seen.at


def test_at_first_there_must_be_one_that_is_known() -> None:
    one = metric()
    with pytest.raises(MetricError, match="youngSeconds: 15"):
        one.read(look(container(2, age_s=3)))
    assert one.read(look(container(2, age_s=16))) == 200
    assert one.read(look(container(2, age_s=3))) == 200, "it was started again"
    assert Used(1, ()).samples == ()


def app(**more: object) -> dict[str, object]:
    rule = {"ruleType": "PerContainer", "config": {"image": "x", "targetPerContainer": 70}}
    return {"name": "web", "maxContainers": 9, "metricType": "Docker", **rule, **more}


def test_only_with_a_rule_for_each_container() -> None:
    tasks, _ = apps_from_parsed({"apps": [app(minContainers=1)]}, Settings())
    assert isinstance(tasks[0].metric, DockerMetric)
    assert not [*hints(tasks, 9)]
    for rule in ("Queue", "SimpleQueue"):
        with pytest.raises(ConfigError, match=r"is no queue.* use ruleType PerContainer"):
            apps_from_parsed(
                {"apps": [app(ruleType=rule, config={"image": "x", "targetQueueLength": 9})]}, Settings()
            )


def test_beside_a_queue_as_one_of_several_metrics() -> None:
    queue = {"metricType": "NSQ", "ruleType": "Queue", "topicName": "a", "channelName": "b"}
    several = [{**queue, "targetQueueLength": 50}, {**app()["config"], **app(config=None)}]  # type: ignore
    for entry in several:
        for key in ("name", "maxContainers", "image", "config"):
            entry.pop(key, None)
    task = {"name": "web", "maxContainers": 9, "metrics": several, "config": {"image": "x"}}
    [found], _ = apps_from_parsed({"apps": [task]}, Settings())
    assert not [*hints([found], 9)], "the queue has the first container started"
    several[1]["ruleType"], several[1]["targetQueueLength"] = "Queue", 9
    with pytest.raises(ConfigError, match=r"metrics\[1\].measure: .* is no queue"):
        apps_from_parsed({"apps": [task]}, Settings())


def test_a_task_without_containers_is_warned_of() -> None:
    tasks, _ = apps_from_parsed({"apps": [app()]}, Settings())
    assert "set it to 1" in "".join(hints(tasks, 9))


@pytest.mark.parametrize("scheduler", ["PROCESS", "KUBERNETES", "toy"])
def test_only_where_there_is_an_engine(scheduler: str) -> None:
    with pytest.raises(ConfigError, match=f"it needs MSS_SCHEDULER=DOCKER or COMPOSE, not {scheduler}"):
        DockerMetric(Settings(scheduler=scheduler)).source.check()  # type: ignore[union-attr]
    DockerMetric(Settings(scheduler="docker")).source.check()  # type: ignore[union-attr]
