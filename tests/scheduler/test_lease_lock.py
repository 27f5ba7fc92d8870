"""Two agents that share a state folder: a lock decides which of them runs."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from microscaling import factory
from microscaling.check.command import check
from microscaling.errors import ConfigError
from microscaling.scheduler.containers.lease_lock import LeaseLock
from microscaling.settings import Settings
from tests.integration.agents import AgentProcess, Queues, queue_app, wait_for


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[LeaseLock, LeaseLock]]:
    with contextlib.ExitStack() as stack:
        first, second = (LeaseLock(str(tmp_path / "state"), "shop") for _ in range(2))
        stack.callback(first.close)
        stack.callback(second.close)
        yield first, second


def test_one_at_a_time_has_it(pair: tuple[LeaseLock, LeaseLock]) -> None:
    first, second = pair
    assert first.take()
    assert first.take(), "still"
    assert not second.take()
    assert second.other.startswith(f"process {os.getpid()} on ")
    assert LeaseLock(first.folder, "other").take(), "of that name nobody has one"
    first.close()
    assert second.take()
    assert not first.take()


def test_a_look_at_it_changes_nothing(pair: tuple[LeaseLock, LeaseLock]) -> None:
    first, second = pair
    assert second.examine() == ""
    assert not os.path.exists(first.folder)
    assert first.take()
    assert second.examine().startswith(f"process {os.getpid()} on ")
    first.close()
    assert second.examine() == ""
    assert first.take()


def test_a_check_says_who_has_it(tmp_path: Path) -> None:
    file = tmp_path / "apps.json"
    file.write_text('{"maxContainers": 1, "apps": [{"name": "a", "config": {"command": "sleep 1"}}]}')
    state = str(tmp_path / "state")
    environ = {"MSS_SCHEDULER": "PROCESS", "MSS_LEASE": "shop", "MSS_STATE_DIR": state, "MSS_MONITOR": "none"}
    environ |= {"MSS_CONFIG": "FILE", "MSS_CONFIG_FILE": str(file)}

    def said() -> str:
        lines: list[str] = []
        check({**environ}, lines.append)
        (line,) = (line for line in lines if "MSS_LEASE" in line)
        return line

    about = f"ok       MSS_LEASE ({state}/lease-shop.lock): "
    assert said() == f"{about}no agent has it\n"
    with contextlib.closing(LeaseLock(state, "shop")) as lock:
        assert lock.take()
        assert said().startswith(f"{about}process {os.getpid()} on ")
        assert said().endswith(" has it, and another agent would stand by\n")


def test_a_file_that_is_removed_is_made_again(pair: tuple[LeaseLock, LeaseLock]) -> None:
    """As by a system that removes old files: else a second agent would lock another file."""
    first, second = pair
    assert first.keep()
    assert first.take()
    shutil.rmtree(first.folder)
    assert first.keep()
    assert not second.take()
    os.unlink(first.path)
    assert second.take(), "it was faster"
    assert not first.keep()
    assert first.other.startswith("process ")
    second.close()


def test_a_folder_that_cannot_be_made_again_is_nobodys(pair: tuple[LeaseLock, LeaseLock]) -> None:
    first, second = pair
    assert first.take()
    shutil.rmtree(first.folder)
    Path(first.folder).write_text("no folder")
    assert first.keep()
    with pytest.raises(ConfigError, match=r"MSS_STATE_DIR: cannot use .*/state: "):
        second.take()
    os.unlink(first.folder)
    assert first.keep()
    assert not second.take()


@pytest.mark.parametrize(
    ("scheduler", "lease", "dry", "there"),
    [
        ("DOCKER", "shop", False, True),
        ("COMPOSE", "shop", False, True),
        ("PROCESS", "shop", False, True),
        ("PROCESS", "shop", True, False),
        ("PROCESS", "none", False, False),
        ("PROCESS", "", False, False),
        ("SWARM", "shop", False, False),
        ("KUBERNETES", "shop", False, False),
        ("TOY", "shop", False, False),
    ],
)
def test_who_meets_in_the_folder(tmp_path: Path, scheduler: str, lease: str, dry: bool, there: bool) -> None:
    settings = Settings(scheduler=scheduler, state_dir=str(tmp_path), dry_run=dry)
    lock = factory.make_lock(settings, {"MSS_LEASE": lease})
    assert (lock is not None) == there
    assert lock is None or lock.path == str(tmp_path / "lease-shop.lock")


def test_of_two_agents_of_processes_one_decides(tmp_path: Path) -> None:
    """The other takes over, with the processes, from one that is killed, and from one that ends; not from
    one that is frozen."""
    queues = Queues(tmp_path)
    apps = [queue_app("web", 1, queues, target=1, config={"command": "sleep 1000"}, minContainers=0)]
    apps[0]["ruleType"], apps[0]["config"]["targetPerContainer"] = "PerContainer", 1
    del apps[0]["config"]["targetQueueLength"]
    state = tmp_path / "state"
    own = {"MSS_SCHEDULER": "PROCESS", "MSS_LEASE": "shop", "MSS_STATE_DIR": str(state)}

    def agent(**more: str) -> AgentProcess:
        return AgentProcess(tmp_path, apps, **own, **more)

    def has(count: int) -> None:
        def pids() -> int:
            with contextlib.suppress(OSError, ValueError):
                listed = json.loads((state / "state.json").read_text())["processes"]
                return sum(1 for one in listed if one["pid"] is not None)
            return 0

        wait_for(lambda: pids() == count, f"for {count}, not {pids()}")

    queues.put("web", 2)
    with agent() as first:
        first.says("this agent has the lease, and decides from now on")
        has(2)
        with agent() as second:
            second.says(f"stands by: another agent decides (process {first.process.pid} on ")
            queues.put("web", 3)
            has(3)
            first.process.send_signal(signal.SIGSTOP)
            time.sleep(1.0)  # several of its looks
            assert "has the lease" not in second.log()
            first.kill()
            second.says("this agent has the lease, and decides from now on")
            second.says("adopted running processes: 3 of web")
            with agent(MSS_ON_EXIT="stop") as third:
                third.says("stands by: another agent decides")
                queues.put("web", 4)
                has(4)
                assert second.stop() == 0
                third.says("adopted running processes: 4 of web")
                queues.put("web", 5)
                has(5)
                assert third.stop() == 0
            has(0)


def test_one_that_stands_by_can_be_asked_to_stop_and_knows_mistakes(tmp_path: Path) -> None:
    state = tmp_path / "state"
    own = {"MSS_SCHEDULER": "PROCESS", "MSS_LEASE": "shop", "MSS_STATE_DIR": str(state)}
    health = tmp_path / "health.json"
    own["MSS_HEALTH_FILE"] = str(health)
    with contextlib.closing(LeaseLock(str(state), "shop")) as lock:
        assert lock.take()
        with AgentProcess(tmp_path, [], **own) as agent:
            agent.says("stands by: another agent decides")
            words = "starting: stands by"
            wait_for(lambda: health.exists() and words in health.read_text(), "for its health")
            assert agent.stop() == 0
            agent.says("asked to stop before the start was over")
        bad = [{"name": "web", "priority": 1, "maxContainers": 1, "config": {"memory": "x"}}]
        with AgentProcess(tmp_path, bad, **own) as agent:
            assert agent.process.wait(60) == 2
            assert "stands by" not in agent.log()
