"""The processor time and the memory of containers, from a real engine."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docker import APIClient

from microscaling.errors import MetricError
from microscaling.metric.docker import CPU, MEMORY, MEMORY_SHARE, DockerMetric
from microscaling.settings import Settings
from tests.integration import engines
from tests.integration.agents import AgentProcess, Witness, app, wait_for
from tests.services.service import wait_for as until

BURN = "while [ ! -e /idle ]; do :; done; exec sleep 3600"
MIB = 2**20

Make = Callable[..., DockerMetric]


@pytest.fixture
def make(prefix: str) -> Iterator[Make]:
    settings = Settings(docker_host=engines.host_of_the_machine())
    source = DockerMetric(settings, average_s=1).source
    assert source is not None
    with contextlib.closing(source):

        def make(task: str, measure: str = CPU, **more: float) -> DockerMetric:
            metric = DockerMetric(settings, measure, **{"average_s": 1, "young_s": 0, **more})
            metric.task = f"{prefix}{task}"
            metric.source = source  # one for all, as in an agent
            return metric

        yield make


def run(engine: APIClient, task: str, line: str, **options: object) -> str:
    host = engine.create_host_config(network_mode="none", **options)
    labels = {engines.LABEL: task}
    made = engine.create_container(engines.BUSYBOX, ["sh", "-c", line], labels=labels, host_config=host)
    engine.start(made["Id"])
    return str(made["Id"])


def number(metric: DockerMetric) -> int:
    metric.update()
    return metric.current


def is_number(metric: DockerMetric, wanted: Callable[[int], bool]) -> None:
    def found() -> bool:
        with contextlib.suppress(MetricError):
            return wanted(number(metric))
        return False

    until(found)


def test_what_containers_use_and_which_of_them_count(engine: APIClient, make: Make, prefix: str) -> None:
    burn = [run(engine, f"{prefix}burn", BURN, cpu_period=100_000, cpu_quota=20_000) for _ in range(2)]
    run(engine, f"{prefix}calm", "exec sleep 3600")
    run(
        engine,
        f"{prefix}full",
        "dd if=/dev/zero of=/files/all bs=1M count=12; exec sleep 3600",
        tmpfs={"/files": ""},
        mem_limit=48 * MIB,
    )
    # They have a fifth of a core each, or less on a busy machine.
    processor = make("burn")
    is_number(processor, lambda hundredths: 2 <= hundredths <= 60)
    is_number(make("full", MEMORY), lambda mib: mib == 12)
    is_number(make("full", MEMORY_SHARE), lambda hundredths: 25 <= hundredths <= 27)
    is_number(make("calm"), lambda hundredths: hundredths == 0)
    with pytest.raises(MetricError, match="no limit of its memory"):
        number(make("calm", MEMORY_SHARE))
    with pytest.raises(MetricError, match="youngSeconds: 600"):
        number(make("burn", young_s=600))
    assert number(make("nothing")) == 0

    def known() -> list[str]:
        time.sleep(1.0)
        return sorted(id for id in processor.source.fetch() and processor.source._known)  # type: ignore

    engine.pause(burn[0])
    assert burn[0] not in known(), "a frozen one is left out"
    engine.unpause(burn[0])
    engine.remove_container(burn[1], force=True)
    until(lambda: set(known()) & set(burn) == {burn[0]})
    engine.restart(burn[0], timeout=0)
    is_number(processor, lambda hundredths: 1 <= hundredths <= 40)


def test_a_task_follows_the_load_of_its_own_containers(
    engine: APIClient, tmp_path: Path, prefix: str, witness: Witness
) -> None:
    config = {
        "image": engines.BUSYBOX,
        "networkMode": "none",
        "command": ["sh", "-c", BURN],
        "cpus": 0.2,
        "targetPerContainer": 1,
        "averageSeconds": 1,
        "youngSeconds": 1,
        "idleSeconds": 1,
    }
    task = app(f"{prefix}web", 1, minContainers=1, maxContainers=3, ruleType="PerContainer")
    with AgentProcess(tmp_path, [{**task, "metricType": "Docker", "config": config}], cap=3) as agent:
        witness.wait(web=3)
        agent.says("-> 3 (")  # by way of 2, where a busy machine leaves it little of the processor
        ids = witness.running(f"{prefix}web")
        for id in ids:
            engine.exec_start(engine.exec_create(id, ["touch", "/idle"])["Id"])
        witness.wait(web=1)
        assert agent.stop() == 0
    wait_for(lambda: not witness.left(), "for all to go")
