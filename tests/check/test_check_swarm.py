"""`microscaling check` with MSS_SCHEDULER=SWARM, on a real Swarm of one node."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.swarm import restarted, swarm_of_one, update_service
from tests.integration.agents import ROOT, wait_for
from tests.integration.engines import Missing, OwnEngine, give_up
from tests.integration.swarms import World
from tests.pages import DOCS, blocks_of
from tests.services.numbers import Numbers

HAS = " has it, and another one would stand by"


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    try:
        with swarm_of_one() as own:
            yield own.host
    except Missing as missing:
        give_up(missing)


@pytest.fixture
def world(host: str, tmp_path: Path) -> Iterator[World]:
    with Numbers() as numbers, contextlib.closing(World([host], tmp_path, numbers)) as world:
        yield world


def check(world: World, *arguments: str, cap: str = "10", **variables: str) -> tuple[int, list[str]]:
    """Returns the exit code and the lines."""
    plain = {name: text for name, text in os.environ.items() if not name.startswith("MSS_")}
    own = {"DOCKER_HOST": world.host, "MSS_SCHEDULER": "SWARM", "MSS_MAX_CONTAINERS": cap}
    ended = subprocess.run(
        [sys.executable, "-m", "microscaling", "check", *arguments],
        cwd=ROOT,
        env={**plain, **own, **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.stderr == ""
    return ended.returncode, [
        line.replace(world.host, "unix:///run/docker.sock") for line in ended.stdout.splitlines()
    ]


def of(lines: list[str], level: str) -> list[str]:
    return [line.removeprefix(level).strip() for line in lines if line.startswith(level)]


def test_of_what_is_well_nothing_is_said_and_nothing_is_touched(world: World) -> None:
    """The lines are those of the page, but for what differs from run to run."""
    web = world.serve("shop_worker", 2, world.labels("jobs", max="5", min="1"))
    world.serve("shop_agent", labels={"microscaling.count": "true"}, Mode={"Global": {}})
    world.numbers.counts["jobs"] = 4
    wait_for(lambda: world.running(web) == 2, "for two")
    before = world.client.inspect_service(web)
    code, lines = check(world, "--strict")
    assert code == 0, lines
    assert world.client.inspect_service(web) == before
    assert world.client.configs() == []
    _, block = blocks_of(DOCS / "check.md", "text")
    assert [alike(line) for line in lines] == [alike(line) for line in block.text.splitlines()]


def alike(line: str) -> str:
    return re.sub(r"version \S+|:\d+/|\d+ ms", "", line)


def test_faults_of_services_are_named(world: World) -> None:
    world.serve("web", 3, world.labels("web", min="4"))
    world.serve("mail", 0, world.labels("mail", priority="2", min="9", metrik="x"))
    world.serve("more", 0, world.labels("more", priority="3", min="9"))
    world.serve("everywhere", labels=world.labels("everywhere"), Mode={"Global": {}})
    code, lines = check(world)
    assert code == 1
    errors = of(lines, "error")
    assert any(line.startswith("service mail: microscaling.metrik: is not known") for line in errors), lines
    assert any(line.startswith("service everywhere: it is a global service") for line in errors), lines
    assert any("the minimums of the services add up to 13" in line for line in of(lines, "warning")), lines


def test_what_runs_elsewhere_than_wanted_is_named(world: World) -> None:
    """No place on any node, an update that is paused, and tasks of a file without a service."""
    large = {**restarted("mss-test/sleeper"), "Resources": {"Reservations": {"MemoryBytes": 2**50}}}
    world.serve("large", 1, world.labels("large"), TaskTemplate=large)
    config = {"FailureAction": "pause", "Monitor": 10**9, "MaxFailureRatio": 0}
    bad = world.serve("bad", 1, world.labels("bad", priority="2"), UpdateConfig=config)
    wait_for(lambda: world.running(bad) == 1, "for the first")
    found = world.client.inspect_service(bad)
    found["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] = "mss-test/exits"
    update_service(world.client, bad, found["Spec"], found["Version"]["Index"])

    def state() -> Any:
        return (world.client.inspect_service(bad).get("UpdateStatus") or {}).get("State")

    wait_for(lambda: state() == "paused", "for the update to fail")
    wait_for(
        lambda: any("no suitable node" in line for line in of(check(world)[1], "warning")), "for the swarm"
    )
    warnings = of(check(world)[1], "warning")
    assert any(line.startswith("large: 1 pending: no suitable node") for line in warnings), warnings
    assert any(line.startswith("bad: its update is paused") for line in warnings), warnings
    file = world.folder / "apps.json"
    file.write_text('{"maxContainers": 5, "apps": [{"name": "gone", "maxContainers": 5}]}')
    code, lines = check(world, str(file), cap="")
    assert code == 1
    assert "gone: the swarm has no service of this name, and the agent makes none" in of(lines, "error"), (
        lines
    )


def test_who_has_the_lease_is_told_and_not_changed(world: World) -> None:
    world.serve("web", 0)
    with world.agent() as agent:
        agent.says("this agent has the lease")
        config = "the config microscaling-lease-microscaling of the swarm"
        about = f"ok       MSS_LEASE=microscaling ({config}): agent "

        def told() -> bool:
            return any(line.startswith(about) and line.endswith(HAS) for line in check(world)[1])

        wait_for(told, "for who has it")  # on a busy machine it may be late with its beats
        agent.kill()
    wait_for(lambda: "no agent has it" in "".join(check(world)[1]), "for the end to be seen")
    version = world.client.configs()[0]["Version"]
    assert any("no agent has it" in line for line in check(world)[1])
    assert world.client.configs()[0]["Version"] == version
    assert not any("MSS_LEASE" in line for line in check(world, MSS_LEASE="none")[1])
    code, lines = check(world, MSS_LEASE="a b")
    assert (code, of(lines, "error")) == (
        2,
        ['MSS_LEASE: expected up to 40 letters, digits, - and _, or none, got "a b"'],
    )


def test_an_engine_that_is_no_manager_is_named(tmp_path: Path) -> None:
    own = OwnEngine()
    try:
        own.start()
        with Numbers() as numbers:
            world = World([own.host], tmp_path, numbers)
            file = tmp_path / "apps.json"
            file.write_text('{"maxContainers": 5, "apps": [{"name": "web", "maxContainers": 5}]}')
            code, lines = check(world, str(file), cap="")
            for client in world.clients:
                client.close()
    except Missing as missing:
        give_up(missing)
    finally:
        own.remove()
    assert code == 1
    assert any("This node is not a swarm manager" in line for line in of(lines, "error")), lines
