"""Containers that are started ahead, frozen, and told go, on a real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from tests.integration.agents import ROOT, AgentProcess, Queues, Witness, app, queue_app, wait_for
from tests.integration.engines import give_up
from tests.integration.test_yield import frozen
from tests.services.redis import PASSWORD, RedisServer

PYTHON = "microscaling-base/python"
LONG = 1000
DOCS = (ROOT / "docs" / "warm.md").read_text()
WAITS = (
    "mkdir -p /tmp; trap 'exit 0' TERM; {}; sleep 1\n{}\n: >/works; while :; do sleep 3600 & wait $!; done"
)
IN_SHELL = DOCS.partition("```sh\n")[2].partition("```")[0]
ON_SIGNAL = ': >/tmp/ready; until [ "$go" ]; do sleep 0.1; done'
IN_PYTHON = DOCS.partition("```python\n")[2].partition("```")[0]
READY = {"warmAfter": {"file": "/tmp/ready"}}
BY_FILE = {**READY, "go": {"file": "/tmp/go"}, "command": ["sh", "-c", WAITS.format(":", IN_SHELL)]}
BY_SIGNAL = {
    **READY,
    "go": {"signal": "CONT"},
    "command": ["sh", "-c", WAITS.format("trap 'go=1' CONT", ON_SIGNAL)],
}
BY_STOP = {
    "warmAfter": {"signal": "STOP"},
    "go": {"signal": "CONT"},
    "init": True,
    "command": ["sh", "-c", WAITS.format(":", "kill -STOP $$")],
}


def at_work(client: APIClient, ids: list[str]) -> set[str]:
    """Those whose program has gone on after it was told."""
    return {id for id in ids if any(change["Path"] == "/works" for change in client.diff(id) or ())}


@pytest.mark.parametrize("handshake", [BY_FILE, BY_SIGNAL, BY_STOP], ids=["file", "signal", "stop"])
def test_warm_ones_go_first_and_the_cap_holds(
    tmp_path: Path, prefix: str, engine: APIClient, witness: Witness, handshake: dict[str, Any]
) -> None:
    queues = Queues(tmp_path)
    web = queue_app(f"{prefix}web", 1, queues, config={"warm": 3, **handshake})
    batch = app(f"{prefix}batch", 2, maxContainers=3)
    with AgentProcess(tmp_path, [web, batch], cap=6, MSS_STATE_DIR=str(tmp_path / "state")) as agent:
        witness.wait(web=1, batch=3)
        wait_for(lambda: len(frozen(engine, prefix)) == 3, "for three to be warm")
        warm = set(frozen(engine, prefix))
        wait_for(lambda: len(at_work(engine, witness.running(f"{prefix}web"))) == 1, "for go")
        queues.put(f"{prefix}web", LONG)
        witness.wait(web=5, batch=1)
        assert warm < set(witness.running(f"{prefix}web"))
        wait_for(lambda: len(at_work(engine, witness.running(f"{prefix}web"))) == 5, "for go to all")
        agent.kill()
    queues.put(f"{prefix}web", 0)
    with AgentProcess(tmp_path, [web, batch], cap=6, MSS_STATE_DIR=str(tmp_path / "state")) as agent:
        witness.wait(web=1, batch=3)
        wait_for(lambda: len(frozen(engine, prefix)) == 3, "for three others to be warm")
        assert not at_work(engine, frozen(engine, prefix)), "nothing that works is frozen for the pool"
        before = set(frozen(engine, prefix))
        agent.kill()
    with AgentProcess(tmp_path, [web, batch], cap=6, MSS_STATE_DIR=str(tmp_path / "state")) as agent:
        agent.says("is frozen since an earlier agent", times=3)
        queues.put(f"{prefix}web", LONG)
        witness.wait(web=5, batch=1)
        assert before < set(witness.running(f"{prefix}web"))
        wait_for(lambda: len(at_work(engine, list(before))) == 3, "for go to those of the earlier agent")
        assert agent.stop() == 0
    assert witness.most_awake() == 6, "the cap holds at every instant"
    assert not witness.left()


def test_a_program_that_fails_at_its_go_is_not_started_again_and_again(
    tmp_path: Path, prefix: str, engine: APIClient, witness: Witness
) -> None:
    """The engine reports the signal that is its go as it does that of `docker stop`."""
    fails = f"mkdir -p /tmp; trap 'go=1' CONT; {ON_SIGNAL}; exit 3"
    config = {**BY_SIGNAL, "warm": 2, "command": ["sh", "-c", fails]}
    work = app(f"{prefix}work", 1, minContainers=1, maxContainers=1, config=config)
    with AgentProcess(tmp_path, [work], cap=4) as agent:
        agent.says("exited with code 3 (1 of 3 before it backs off)")
        agent.says("exited with code 3 (2 of 3 before it backs off)")
        agent.says("exited with code 3; backing off, next try in 1 s")
        assert agent.stop() == 0
    assert not witness.left()


WORKER = """
import signal, socket, sys, time
ends = []
signal.signal(signal.SIGTERM, lambda *_: ends.append(True))
time.sleep(0.5)
HANDSHAKE
server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
stream = server.makefile("rb")
def ask(*words):
    server.sendall(b"*%d\\r\\n" % len(words) + b"".join(b"$%d\\r\\n%s\\r\\n" % (len(w), w) for w in words))
    first = stream.readline()
    return [stream.readline() for _ in range(4)] if first == b"*2\\r\\n" else None
ask(b"AUTH", sys.argv[2].encode())
while not ends:
    found = ask(b"BLPOP", b"jobs", b"1")
    if found:
        time.sleep(0.05)
        ask(b"RPUSH", b"done", found[3].strip())
"""
"""It loses no job when it is asked to end, but would lose the one that it gets while it is frozen."""


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


def test_a_job_is_never_given_to_a_frozen_worker(
    tmp_path: Path, prefix: str, engine: APIClient, witness: Witness, redis: RedisServer
) -> None:
    if not engine.images(PYTHON):
        give_up(f"no image {PYTHON} (`scripts/base-images python` makes it)")
    port, script = redis.url.rpartition(":")[2], WORKER.replace("HANDSHAKE", IN_PYTHON)
    config = {
        "image": PYTHON, "command": ["python3", "-c", script, port, PASSWORD], "networkMode": "host",
        "url": redis.url, "key": "jobs", "targetQueueLength": 5, "idleSeconds": 1, "warm": 3,
        **READY, "go": {"signal": "CONT"}, "stop_grace_period": "10s",
    }  # fmt: skip
    work = app(f"{prefix}work", 1, ruleType="Queue", metricType="Redis", minContainers=0, config=config)
    client = redis.client()
    with AgentProcess(tmp_path, [work], cap=4) as agent:
        sent = 0
        for jobs in (1, 60, 1, 80):
            wait_for(lambda: len(frozen(engine, prefix)) == 3, "for three to be warm")
            names = [f"job {sent + number}" for number in range(jobs)]
            client.rpush("jobs", *names)
            sent += jobs
            wait_for(lambda: client.llen("done") == sent, f"for {sent} jobs to be done")  # noqa: B023
        agent.says("3 are warm, with")
        assert client.llen("jobs") == 0
        assert sorted(client.lrange("done", 0, -1)) == sorted(b"job %d" % number for number in range(sent))
        assert agent.stop() == 0
    client.close()
    assert witness.most_awake() <= 4
    assert not witness.left()
