"""The agent on a real Swarm of one node: services that come, change, are updated, and fail."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.swarm import (
    change_service,
    restarted,
    running_in,
    swarm_of_one,
)
from tests.integration.agents import ROOT, wait_for
from tests.integration.engines import Missing, give_up
from tests.integration.swarms import World
from tests.services.numbers import Numbers

SLEEPER = "mss-test/sleeper"
STACK = ROOT / "deploy" / "swarm.yml"


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    try:
        with swarm_of_one() as own:
            yield own.host
    except Missing as missing:
        give_up(missing)


def with_image(image: str) -> Callable[[dict[str, Any]], object]:
    return lambda spec: spec["TaskTemplate"]["ContainerSpec"].update(Image=image)


def drained(node: dict[str, Any]) -> dict[str, Any]:
    return {**node["Spec"], "Availability": "drain"}


def version(world: World, node: dict[str, Any]) -> int:
    return int(world.client.inspect_node(node["ID"])["Version"]["Index"])


@pytest.fixture
def world(host: str, tmp_path: Path) -> Iterator[World]:
    with Numbers() as numbers, contextlib.closing(World([host], tmp_path, numbers)) as world:
        yield world


def test_services_come_change_and_go(world: World) -> None:
    """Of their specs only the number changes, and nothing else is touched."""
    spec = {
        "UpdateConfig": {"Parallelism": 2, "Delay": 10**9, "FailureAction": "pause", "Order": "start-first"},
        "RollbackConfig": {"Parallelism": 1, "MaxFailureRatio": 0.25},
        "EndpointSpec": {"Mode": "dnsrr"},
    }
    web = world.serve("web", **spec)
    other = world.serve("other", 1, {"an": "other"})
    others = world.client.inspect_service(other)
    as_it_was = world.client.inspect_service(web)["Spec"]
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
        change_service(world.client, mail, lambda spec: spec["Labels"].update({"microscaling.min": "2"}))
        world.has(mail, 2)
        world.numbers.counts["web"] = 9
        world.has(web, 7)
        assert set(before) <= set(running_in(world.client, web))
        world.client.remove_service(mail)
        world.has(web, 9)
        assert agent.stop() == 0
    after = world.client.inspect_service(web)["Spec"]
    assert after.pop("Mode") == {"Replicated": {"Replicas": 9}}, "leave is the default"
    as_it_was.pop("Mode")
    assert after == as_it_was
    assert world.client.inspect_service(other) == others


def test_what_crashes_gives_its_share_to_others(world: World) -> None:
    crash = restarted("mss-test/exits")
    bad = world.serve("bad", 0, world.labels("bad", min="1"), TaskTemplate=crash)
    good = world.serve("good", 0, world.labels("good", priority="2"))
    world.numbers.counts.update(bad=8, good=8)
    with world.agent(cap=10) as agent:
        agent.says("bad: backing off, as ")
        agent.says("non-zero exit (3)")
        wait_for(lambda: world.replicas(good) == 8, "for its share")
        change_service(world.client, bad, with_image("mss-test/sleeper"))
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
        change_service(world.client, web, with_image("mss-test/exits"))
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


def test_a_cap_that_follows_the_nodes(world: World) -> None:
    """Half a core for each: four on two cores, or as many as this machine has room for."""
    (node,) = world.client.nodes()
    most = int(node["Description"]["Resources"]["NanoCPUs"] / 5e8)
    resources = {"Reservations": {"NanoCPUs": 5 * 10**8}}
    web = world.serve(
        "web", 0, world.labels("web", max="1000"), TaskTemplate={**restarted(SLEEPER), "Resources": resources}
    )
    world.serve("unsized")
    world.numbers.counts["web"] = 900
    with world.agent(MSS_MAX_CONTAINERS="auto") as agent:
        agent.says("service unsized: it reserves neither cpus nor memory")
        world.has(web, most)
        world.client.update_node(node["ID"], version(world, node), drained(node))
        agent.says(f"the nodes have room for 0 containers now, up to now it was {most}")
        world.has(web, 0)
        world.client.update_node(node["ID"], version(world, node), node["Spec"])
        world.has(web, most)


def test_of_two_agents_one_decides(world: World) -> None:
    """The other takes over from one that is killed or frozen, and at once from one that ends."""
    web = world.serve("web")
    world.numbers.counts["web"] = 2
    with world.agent() as first:
        world.has(web, 2)
        with world.agent() as second:
            second.says("stands by: another agent decides")
            world.numbers.counts["web"] = 3
            world.has(web, 3)
            first.kill()
            second.says("this agent has the lease, and decides from now on")
            world.numbers.counts["web"] = 5
            world.has(web, 5)
            with world.agent() as third:
                third.says("stands by: another agent decides")
                second.process.send_signal(signal.SIGSTOP)
                third.says("this agent has the lease, and decides from now on")
                second.process.send_signal(signal.SIGCONT)
                second.says("stands by: another agent decides")
                world.numbers.counts["web"] = 4
                world.has(web, 4)
                assert third.stop() == 0
                second.says("this agent has the lease, and decides from now on", 2)
                world.numbers.counts["web"] = 6
                world.has(web, 6)
                assert second.stop() == 0
    assert "somebody else" not in first.log() + second.log() + third.log()
    assert world.replicas(web) == 6


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
