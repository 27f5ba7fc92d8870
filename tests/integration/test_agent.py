"""The main job on a real engine: a queue is measured, containers are started and stopped."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from docker import APIClient

from microscaling.control.client import AgentError, ask
from microscaling.control.place import found_sockets
from tests.integration import engines
from tests.integration.agents import AgentProcess, Queues, Witness, app, queue_app, wait_for


@pytest.fixture
def queues(tmp_path: Path) -> Queues:
    return Queues(tmp_path)


def made(engine: APIClient, labels: dict[str, str], image: str = "mss-test/sleeper", name: str = "") -> str:
    """A container that no agent has made."""
    host = engine.create_host_config(network_mode="none")
    return engine.create_container(image, name=name or None, labels=labels, host_config=host)["Id"]


def test_starts_up_to_the_cap(tmp_path: Path, prefix: str, witness: Witness, queues: Queues) -> None:
    with AgentProcess(tmp_path, [queue_app(f"{prefix}a", 1, queues), app(f"{prefix}b", 2)]):
        witness.wait(a=1, b=9)


def test_capacity_follows_the_queue(tmp_path: Path, prefix: str, witness: Witness, queues: Queues) -> None:
    apps = [queue_app(f"{prefix}a", 1, queues, maxContainers=8), app(f"{prefix}b", 2)]
    with AgentProcess(tmp_path, apps) as agent:
        witness.wait(a=1, b=9)
        queues.put(f"{prefix}a", 500)
        witness.wait(a=8, b=2)
        queues.put(f"{prefix}a", 0)
        witness.wait(a=1, b=9)
        assert agent.stop() == 0
    assert witness.most_at_once() == 10, "the cap holds at every instant"
    assert not witness.left(), "SIGTERM leaves no container"


def test_what_is_killed_is_replaced(
    tmp_path: Path, prefix: str, witness: Witness, queues: Queues, engine: APIClient
) -> None:
    with AgentProcess(tmp_path, [queue_app(f"{prefix}a", 1, queues), app(f"{prefix}b", 2)]) as agent:
        witness.wait(a=1, b=9)
        killed, removed = witness.running(f"{prefix}b")[:2]
        engine.kill(killed)
        engine.remove_container(removed, force=True)
        wait_for(lambda: not {killed, removed} & set(witness.left()), "for the exited one to be gone")
        witness.wait(a=1, b=9)
        agent.says("exit code 137")
    assert witness.most_at_once() == 10


TRIES = "backing off, next try in 2 s"
BAD_STARTS = [
    pytest.param(
        {"image": "mss-test/no-such-image"}, "backing off until it is", "docker pull", id="image missing"
    ),
    pytest.param({"image": "mss-test/exits"}, TRIES, "cannot start: no database", id="exits at once"),
    pytest.param(
        {"config": {"command": "/no/such/file"}}, TRIES, "could not be started", id="no such command"
    ),
]


@pytest.mark.parametrize(("bad", "backs_off", "why"), BAD_STARTS)
def test_what_cannot_run_backs_off_and_the_others_scale(
    tmp_path: Path, prefix: str, witness: Witness, queues: Queues, bad: dict, backs_off: str, why: str
) -> None:
    apps = [app(f"{prefix}bad", 1, **bad), queue_app(f"{prefix}a", 2, queues), app(f"{prefix}b", 3)]
    queues.put(f"{prefix}a", 500)
    with AgentProcess(tmp_path, apps) as agent:
        agent.says(backs_off)
        witness.wait(bad=0, a=9, b=1)
        agent.says(why)
        assert agent.stop() == 0
    assert not witness.left(), "exited containers are gone"


def test_foreign_containers_are_never_touched(
    tmp_path: Path, prefix: str, witness: Witness, queues: Queues, engine: APIClient
) -> None:
    task = f"{prefix}a"
    labels = (
        {},
        {"com.example.app": task},
        {f"{engines.LABEL}.old": task},
        {engines.LABEL: f"{prefix}unknown"},
    )
    foreign = [made(engine, label, name=f"{task}-{i}") for i, label in enumerate(labels)]
    try:
        for id in foreign[1:]:
            engine.start(id)
        # The last one has our label and a task that nobody has: it is left alone, and counts under the cap.
        with AgentProcess(tmp_path, [queue_app(task, 1, queues), app(f"{prefix}b", 2)], cap=4) as agent:
            witness.wait(a=1, b=2)
            assert agent.stop() == 0
        states = [engine.inspect_container(id)["State"]["Status"] for id in foreign]
        assert states == ["created", "running", "running", "running"]
    finally:
        for id in foreign:
            engine.remove_container(id, force=True)


def rests(agent: AgentProcess, witness: Witness, waiting: int) -> bool:
    """Whether all tasks have this reading, and nothing comes of it any more."""
    (path,) = (one for one in found_sockets(agent.environ) if one.endswith(f"-{agent.process.pid}.sock"))
    try:
        told = ask(path, "GET /status")
    except AgentError:  # a busy one may answer later than a person waits
        return False
    for task in told["tasks"]:
        if not task["running"] == task["requested"] == task["wanted"]:
            return False
        if (task["reading"] or {}).get("waiting") != waiting:
            return False
    return {*witness.left()} == {*witness.running()}


def test_killed_and_started_again_it_adopts_what_runs(
    tmp_path: Path, prefix: str, witness: Witness, queues: Queues
) -> None:
    apps = [queue_app(f"{prefix}a", 1, queues), queue_app(f"{prefix}b", 2, queues)]
    queues.put(f"{prefix}a", 150)
    with AgentProcess(tmp_path, apps) as agent:
        wait_for(lambda: len(witness.running(f"{prefix}a")) >= 4)
        for name in "ab":
            queues.put(prefix + name, 50)
        # Readings equal to the targets: at last nothing is under way any more. At the first one something may
        # come of the change.
        wait_for(lambda: rests(agent, witness, 50))
        time.sleep(2)
        wait_for(lambda: rests(agent, witness, 50))
        agent.kill()
    before = set(witness.left())
    so_far = witness.events()
    with AgentProcess(tmp_path, apps) as agent:
        agent.says("adopted running containers")
        time.sleep(10)
        assert witness.events() == so_far, "not one was touched"
        assert set(witness.left()) == before
        assert agent.stop() == 0
    assert not witness.left()


def test_leave_leaves_all(tmp_path: Path, prefix: str, witness: Witness, queues: Queues) -> None:
    apps = [queue_app(f"{prefix}a", 1, queues), app(f"{prefix}b", 2)]
    with AgentProcess(tmp_path, apps, MSS_ON_EXIT="leave") as agent:
        witness.wait(a=1, b=9)
        before = set(witness.left())
        assert agent.stop() == 0
    assert set(witness.left()) == before


def test_a_second_agent_is_noticed(tmp_path: Path, prefix: str, witness: Witness, engine: APIClient) -> None:
    with AgentProcess(tmp_path, [app(f"{prefix}a", 1)], cap=3) as agent:
        witness.wait(a=3)
        other = made(engine, {engines.LABEL: f"{prefix}a"})
        engine.start(other)
        agent.says("a second agent is at work on this engine")
        engine.kill(witness.running(f"{prefix}a")[-1])
        time.sleep(2)
        assert len(witness.running()) == 3, "held: nothing is started, nothing is stopped"
        engine.remove_container(other, force=True)
        agent.says("no longer held")
        witness.wait(a=3)
        assert agent.stop() == 0


def test_a_dry_run_touches_nothing(tmp_path: Path, prefix: str, witness: Witness, engine: APIClient) -> None:
    there = made(engine, {engines.LABEL: f"{prefix}a"})
    engine.start(there)
    exited = made(engine, {engines.LABEL: f"{prefix}a"}, image="mss-test/exits")
    engine.start(exited)
    engine.wait(exited)
    with AgentProcess(tmp_path, [app(f"{prefix}a", 1)], MSS_DRY_RUN="true") as agent:
        agent.says("dry run: would start 9 of")
        assert agent.stop() == 0
    assert set(witness.left()) == {there, exited}


def test_what_ignores_sigterm_is_killed_after_the_grace(
    tmp_path: Path, prefix: str, witness: Witness
) -> None:
    with AgentProcess(tmp_path, [app(f"{prefix}a", 1, "mss-test/stubborn")], cap=10) as agent:
        witness.wait(a=10)
        assert agent.stop() == 0
    assert not witness.left()


def test_what_the_configuration_adds(
    tmp_path: Path, prefix: str, witness: Witness, engine: APIClient
) -> None:
    more = {
        "networkMode": "none",
        "command": "sleep 1000",
        "env": {"GREETING": "hello"},
        "volumes": [f"{tmp_path}/new:/data:ro"],
        "memory": "64m",
        "cpus": 0.5,
        "labels": {"com.example.team": "blue"},
        "stopGraceSeconds": 0,
    }
    task = app(f"{prefix}a", 1, config=more, maxContainers=1)
    with AgentProcess(tmp_path, [task], MSS_PASS_ENV="PASSED", PASSED="on", KEPT="back") as agent:
        witness.wait(a=1)
        created = engine.inspect_container(witness.running()[0])
        assert agent.stop() == 0
    host, config = created["HostConfig"], created["Config"]
    assert (host["NetworkMode"], host["Memory"], host["NanoCpus"]) == ("none", 64 << 20, 500_000_000)
    assert created["Mounts"][0]["Destination"] == "/data"
    assert not created["Mounts"][0]["RW"]
    assert {"GREETING=hello", "PASSED=on"} <= set(config["Env"])
    assert "KEPT=back" not in config["Env"]
    assert config["Cmd"] == ["sleep", "1000"]
    assert config["Labels"]["com.example.team"] == "blue"
