"""The agent on a real Swarm of one node: services that come, change, are updated, and fail."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from docker import APIClient

from tests.contract.swarm import (
    create_service,
    restarted,
    running_in,
    scale_service,
    swarm_of_one,
    update_service,
)
from tests.integration.agents import ROOT, AgentProcess, wait_for
from tests.integration.engines import Missing, connect, give_up
from tests.services.numbers import Numbers

STACK = ROOT / "deploy" / "swarm.yml"


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    try:
        with swarm_of_one() as host:
            yield host
    except Missing as missing:
        give_up(missing)


class World:
    """One swarm, with services that are gone after the test, and queues of theirs."""

    def __init__(self, host: str, folder: Path, numbers: Numbers) -> None:
        self.host, self.folder, self.numbers = host, folder, numbers
        self.client: APIClient = connect(host)

    def labels(self, queue: str, **more: str) -> dict[str, str]:
        self.numbers.counts.setdefault(queue, 0)
        own = {
            "enable": "true", "priority": "1", "min": "0", "max": "10", "rule": "PerContainer", "target": "1",
            "metric": "HTTP", "metric.url": self.numbers.url(queue), "idle-seconds": "0.5", **more,
        }  # fmt: skip
        return {f"microscaling.{key.replace('_', '-')}": text for key, text in own.items()}

    def serve(self, name: str, replicas: int = 0, labels: dict[str, str] | None = None, **spec: Any) -> str:
        return create_service(self.client, name, replicas, **{"Labels": labels or self.labels(name), **spec})

    def agent(self, cap: int = 10, **environ: str) -> AgentProcess:
        of = {
            "DOCKER_HOST": self.host, "MSS_SCHEDULER": "SWARM", "MSS_MAX_CONTAINERS": str(cap),
            "MSS_CONFIG": "", "MSS_CONFIG_FILE": "", "MSS_PULL_IMAGES": "", "MSS_PASS_ENV": "", **environ,
        }  # fmt: skip
        return AgentProcess(self.folder, [], **of)

    def replicas(self, id: str) -> int:
        return int(self.client.inspect_service(id)["Spec"]["Mode"]["Replicated"]["Replicas"])

    def has(self, id: str, count: int, why: str = "") -> None:
        """Waits until so many are asked for, and run."""
        wait_for(
            lambda: self.replicas(id) == count == len(running_in(self.client, id)),
            f"for {count}, not {self.replicas(id)}: {why}",
        )

    def close(self) -> None:
        for service in self.client.services():
            self.client.remove_service(service["ID"])
        wait_for(lambda: not self.client.containers(), "for the containers to go")
        self.client.close()


@pytest.fixture
def world(host: str, tmp_path: Path) -> Iterator[World]:
    with Numbers() as numbers, contextlib.closing(World(host, tmp_path, numbers)) as world:
        yield world


def test_services_come_change_and_go(world: World) -> None:
    web = world.serve("web")
    world.serve("everywhere", labels=world.labels("everywhere", count="true"), Mode={"Global": {}})
    template = {"ContainerSpec": {"Image": "mss-test/sleeper", "Labels": {"microscaling.enable": "true"}}}
    world.serve("hidden", labels={"some": "label"}, TaskTemplate=template)
    with world.agent() as agent:
        agent.says("service everywhere: it is a global service")
        agent.says("1 places under the cap are for tasks of services with the label microscaling.count")
        agent.says("service hidden: microscaling.enable is a label of its containers")
        world.numbers.counts["web"] = 3
        world.has(web, 3)
        before = running_in(world.client, web)
        mail = world.serve("mail", 2, world.labels("mail", priority="2", min="1"))
        agent.says("service mail: ")
        world.has(mail, 1)
        found = world.client.inspect_service(mail)
        found["Spec"]["Labels"]["microscaling.min"] = "2"
        update_service(world.client, mail, found["Spec"], found["Version"]["Index"])
        world.has(mail, 2)
        world.numbers.counts["web"] = 9
        world.has(web, 7)
        assert set(before) <= set(running_in(world.client, web))
        world.client.remove_service(mail)
        world.has(web, 9)
        assert agent.stop() == 0
    assert world.replicas(web) == 9, "leave is the default"


def test_all_but_the_number_goes_back_as_it_was(world: World) -> None:
    spec = {
        "Networks": [],
        "UpdateConfig": {"Parallelism": 2, "Delay": 10**9, "FailureAction": "pause", "Order": "start-first"},
        "RollbackConfig": {"Parallelism": 1, "MaxFailureRatio": 0.25},
        "EndpointSpec": {"Mode": "dnsrr"},
    }
    web = world.serve("web", 1, **spec)
    before = world.client.inspect_service(web)["Spec"]
    with world.agent() as agent:
        world.numbers.counts["web"] = 4
        world.has(web, 4)
        assert agent.stop() == 0
    after = world.client.inspect_service(web)["Spec"]
    assert after.pop("Mode") == {"Replicated": {"Replicas": 4}}
    before.pop("Mode")
    assert after == before


def test_stop_scales_to_0(world: World) -> None:
    web = world.serve("web", 2, world.labels("web", min="2"))
    other = world.serve("other", 1, {"an": "other"})
    with world.agent(MSS_ON_EXIT="stop") as agent:
        agent.says("adopted running containers: 2 of web")
        agent.says("web: ", 2)
        assert agent.stop() == 0
    assert (world.replicas(web), world.replicas(other)) == (0, 1)


def test_what_a_deploy_sets_back_is_restored(world: World) -> None:
    web = world.serve("web")
    with world.agent() as agent:
        world.numbers.counts["web"] = 5
        world.has(web, 5)
        scale_service(world.client, web, 1)
        agent.says("web: somebody else has set it to 1: in 2 s it gets what it needs, 5 now")
        world.has(web, 5)
        assert world.numbers.counts["web"] == 5


def test_what_crashes_gives_its_share_to_others(world: World) -> None:
    crash = restarted("mss-test/exits")
    bad = world.serve("bad", 0, world.labels("bad", min="1"), TaskTemplate=crash)
    good = world.serve("good", 0, world.labels("good", priority="2"))
    world.numbers.counts.update(bad=8, good=8)
    with world.agent(cap=10) as agent:
        agent.says("bad: backing off, as ")
        agent.says("non-zero exit (3)")
        wait_for(lambda: world.replicas(good) == 8, "for its share")
        found = world.client.inspect_service(bad)
        found["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] = "mss-test/sleeper"
        update_service(world.client, bad, found["Spec"], found["Version"]["Index"])
        wait_for(lambda: world.replicas(bad) == 8, "for it to be mended")
        wait_for(lambda: world.replicas(good) == 2, "for the other to give way")


def test_a_roll_back_of_the_users_still_rolls_back(world: World) -> None:
    """The queue jumps while a broken image is rolled out."""
    config = {"Parallelism": 1, "FailureAction": "rollback", "Monitor": 2 * 10**9, "MaxFailureRatio": 0}
    web = world.serve("web", 2, UpdateConfig=config, RollbackConfig={"Parallelism": 0})
    world.numbers.counts["web"] = 2
    with world.agent() as agent:
        world.has(web, 2)
        agent.says("web: ")
        found = world.client.inspect_service(web)
        found["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] = "mss-test/exits"
        update_service(world.client, web, found["Spec"], found["Version"]["Index"])
        world.numbers.counts["web"] = 6
        agent.says("web: it is being updated, and is not scaled until that has ended")

        def state() -> str:
            return (world.client.inspect_service(web).get("UpdateStatus") or {}).get("State", "")

        seen: list[int] = []

        def rolled_back() -> bool:
            found = world.client.inspect_service(web)
            over = (found.get("UpdateStatus") or {}).get("State") == "rollback_completed"
            if not over and found.get("UpdateStatus"):
                seen.append(found["Spec"]["Mode"]["Replicated"]["Replicas"])
            return over or not found.get("UpdateStatus")

        wait_for(rolled_back, f"for the roll-back, not {state()}")
        assert set(seen) == {2}, "its number stayed until then"
        world.has(web, 6)
        template = world.client.inspect_service(web)["Spec"]["TaskTemplate"]
        assert template["ContainerSpec"]["Image"] == "mss-test/sleeper"


def test_the_stack_of_the_docs(world: World) -> None:
    """With images that are here, and the agent beside it; a second deploy sets the number back."""
    stack = yaml.safe_load(STACK.read_text())
    stack["services"].pop("microscaling")
    for service in stack["services"].values():
        service["image"] = "mss-test/sleeper"
    labels = stack["services"]["worker"]["deploy"]["labels"]
    of_redis = [label for label in labels if label.startswith("microscaling.metric")]
    for label in of_redis:
        del labels[label]
    labels |= {"microscaling.metric": "HTTP", "microscaling.metric.url": world.numbers.url("jobs")}
    labels |= {"microscaling.rule": "PerContainer", "microscaling.target": "1"}
    file = world.folder / "stack.yml"
    file.write_text(yaml.safe_dump(stack))
    command = ["docker", "-H", world.host, "stack", "deploy", "-c", str(file), "shop"]

    def deploy() -> None:
        subprocess.run(command, check=True, capture_output=True)

    world.numbers.counts["jobs"] = 4
    deploy()
    worker = world.client.services(filters={"name": "shop_worker"})[0]["ID"]
    with world.agent() as agent:
        world.has(worker, 4)
        deploy()
        agent.says("shop_worker: somebody else has set it to 1")
        world.has(worker, 4)
    subprocess.run([*command[:3], "stack", "rm", "shop"], check=True, capture_output=True)


def test_an_engine_that_is_in_no_swarm_is_named(tmp_path: Path, world: World) -> None:
    from tests.integration.engines import OwnEngine

    own = OwnEngine()
    try:
        own.start()
        world.host, host = own.host, world.host
        with world.agent() as agent:
            agent.says("This node is not a swarm manager")
        world.host = host
    finally:
        own.remove()
