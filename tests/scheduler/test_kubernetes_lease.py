"""Two agents at one Kubernetes: a Lease of its API decides which of them scales."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("kubernetes", reason="the extra kubernetes is not installed")

from microscaling.clients.kubernetes.client import Kube
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import ConfigError, PermanentError, TemporaryError
from microscaling.scheduler.kubernetes.lease_object import LeaseObject
from microscaling.scheduler.kubernetes.orchestrator import KubernetesOrchestrator
from microscaling.scheduler.replicas.examine import examine_lease
from microscaling.scheduler.replicas.lease import Record
from microscaling.scheduler.replicas.leased import LeasedScheduler
from microscaling.scheduler.replicas.orchestrator import Conflict
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.kubernetes_leases import GROUP
from tests.integration.agents import ROOT, AgentProcess, wait_for
from tests.services.numbers import Numbers


@pytest.fixture
def fake() -> Iterator[FakeKubernetes]:
    with FakeKubernetes() as fake:
        yield fake


@pytest.fixture
def store(fake: FakeKubernetes, tmp_path: Path) -> Iterator[LeaseObject]:
    kube = Kube(fake.kubeconfig(tmp_path / "kubeconfig"), "default")
    with contextlib.closing(LeaseObject(kube, "Shop_1")) as store:
        yield store


def soon() -> float:
    return time.monotonic() + 30.0


def test_a_write_counts_only_at_the_version_that_was_read(store: LeaseObject, fake: FakeKubernetes) -> None:
    assert store.read(soon()) is None
    assert store.write(None, "a", soon())
    assert not store.write(None, "b", soon()), "it is there already"
    first = store.read(soon())
    assert first is not None
    assert (first.id, first.holder) == ("microscaling-shop-1", "a")
    assert store.write(first, "a", soon())
    second = store.read(soon())
    assert second is not None
    assert second.version != first.version, "even if nothing else has changed"
    assert not store.write(first, "b", soon()), "it has another version by now"
    assert store.write(second, "", soon())
    third = store.read(soon())
    assert third is not None
    assert third.holder == ""
    del fake.leases.items["default", "microscaling-shop-1"]
    assert not store.write(third, "a", soon()), "somebody has removed it"
    assert store.write(None, "a", soon())


def test_its_rights_are_tried_without_a_change(store: LeaseObject, fake: FakeKubernetes) -> None:
    for known in (None, Record("microscaling-shop-1", "1", "x")):
        store.try_write(None, soon())
        assert fake.leases.items == {}
        assert known is None or store.write(None, "x", soon())
    before = store.read(soon())
    store.try_write(before, soon())
    store.try_write(Record("microscaling-shop-1", "1", "y"), soon())
    assert store.read(soon()) == before
    (finding,) = examine_lease(store, "Shop_1")
    assert (finding.level, finding.text.endswith("no agent has it")) == ("ok", True)
    fake.rules = [rule for rule in fake.rules if GROUP not in rule["apiGroups"]]
    with pytest.raises(PermanentError, match="is forbidden"):
        store.try_write(before, soon())
    (finding,) = examine_lease(store, "Shop_1")
    assert finding.level == "error"
    assert "cannot be read: " in finding.text
    assert "the Role of deploy/kubernetes.yaml has the necessary rights" in finding.text


def test_nothing_is_sent_after_the_end_of_the_lease(fake: FakeKubernetes, tmp_path: Path) -> None:
    fake.cluster.add("web", 1)
    kube = Kube(fake.kubeconfig(tmp_path / "kubeconfig"), "default")
    with contextlib.closing(KubernetesOrchestrator(kube)) as orchestrator:
        orchestrator.lease_until = lambda: time.monotonic() + 30.0
        orchestrator.scale("web", 2)
        orchestrator.lease_until = lambda: time.monotonic() - 0.001
        with pytest.raises(Conflict, match="another agent may decide by now"):
            orchestrator.scale("web", 3)
        assert fake.verbs().count("patch") == 1
        # Frozen right before the request, over a connection that is open.
        ends, ask = time.monotonic() + 1.0, kube._ask
        orchestrator.lease_until = lambda: ends

        def ask_late(call: Any) -> Any:
            time.sleep(max(0.0, ends - time.monotonic()) + 0.1)
            return ask(call)

        kube._ask = ask_late  # type: ignore[method-assign]
        with pytest.raises(TemporaryError):
            orchestrator.scale("web", 4)
        time.sleep(1.0)  # what was sent would be there by now
        assert fake.verbs().count("patch") == 1
    assert fake.cluster.deployments["default", "web"].replicas == 2


def test_a_scheduler_without_the_lease_only_looks(fake: FakeKubernetes, tmp_path: Path) -> None:
    fake.cluster.add("web", 1)
    config = fake.kubeconfig(tmp_path / "kubeconfig")
    store = LeaseObject(Kube(config, "default"), "shop")
    assert store.write(None, "another", soon())
    tasks = Tasks([Task("web", max_containers=9)], 9)
    scheduler = LeasedScheduler(KubernetesOrchestrator(Kube(config, "default")), store)
    try:
        scheduler.count_all_tasks(tasks)
        assert tasks.hold == "stands by: another agent decides (another)"
        with tasks:
            tasks.tasks[0].demand = 5
        scheduler.stop_start_tasks(tasks)
        fake.cluster.scale("web", 3)

        def other_lives() -> bool:
            return store.write(store.read(soon()), "another", soon())

        wait_for(lambda: other_lives() and tasks.tasks[0].requested == 3, "for what the other one does")
        assert tasks.tasks[0].demand == 3
        assert "patch" not in fake.verbs()
        wait_for(lambda: scheduler.lease is not None and scheduler.lease.is_held, "for the other one's end")
        wait_for(lambda: not tasks.hold, "for the take-over")

        def scaled() -> bool:
            # Again and again, as a busy machine may lose the lease for a moment.
            with tasks:
                tasks.tasks[0].demand = 5
            scheduler.stop_start_tasks(tasks)
            return fake.cluster.deployments["default", "web"].replicas == 5

        wait_for(scaled, "for its own")
    finally:
        scheduler.cleanup()


def test_of_two_agents_one_decides(fake: FakeKubernetes, tmp_path: Path) -> None:
    """The other takes over from one that is killed or frozen, and at once from one that ends."""
    fake.cluster.add("web")
    with Numbers() as numbers:
        apps = [
            {
                "name": "web", "priority": 1, "minContainers": 0, "maxContainers": 10,
                "ruleType": "PerContainer", "metricType": "HTTP",
                "config": {"url": numbers.url("web"), "targetPerContainer": 1, "idleSeconds": 0},
            }
        ]  # fmt: skip
        own = {"MSS_SCHEDULER": "KUBERNETES", "MSS_LEASE": "shop"}
        own |= {"MSS_KUBE_CONFIG": fake.kubeconfig(tmp_path / "kubeconfig")}

        def has(count: int) -> None:
            wait_for(lambda: fake.cluster.deployments["default", "web"].replicas == count, f"for {count}")

        def agent() -> AgentProcess:
            return AgentProcess(tmp_path, apps, **own)

        numbers.counts["web"] = 2
        with agent() as first:
            has(2)
            with agent() as second:
                second.says("stands by: another agent decides")
                numbers.counts["web"] = 3
                has(3)
                first.kill()
                second.says("this agent has the lease, and decides from now on")
                numbers.counts["web"] = 5
                has(5)
                with agent() as third:
                    third.says("stands by: another agent decides")
                    second.process.send_signal(signal.SIGSTOP)
                    third.says("this agent has the lease, and decides from now on")
                    second.process.send_signal(signal.SIGCONT)
                    second.says("stands by: another agent decides")
                    numbers.counts["web"] = 4
                    has(4)
                    assert third.stop() == 0
                    second.says("this agent has the lease, and decides from now on", 2)
                    numbers.counts["web"] = 6
                    has(6)
                    assert second.stop() == 0
        assert fake.cluster.deployments["default", "web"].replicas == 6, "leave is the default with a lease"
        first_id, *others = fake.leases.holders
        assert len({first_id, *others}) == 3
        assert fake.leases.items["default", "microscaling-shop"]["spec"].get("holderIdentity", "") == ""
        assert fake.cluster.most_asked <= 6


def test_a_check_takes_no_lease(fake: FakeKubernetes, tmp_path: Path) -> None:
    fake.cluster.add("web", 2)
    (tmp_path / "apps.json").write_text('{"maxContainers": 5, "apps": [{"name": "web", "maxContainers": 5}]}')
    own = {"MSS_SCHEDULER": "KUBERNETES", "MSS_LEASE": "shop", "MSS_MONITOR": "none"}
    own |= {"MSS_KUBE_CONFIG": fake.kubeconfig(tmp_path / "kubeconfig")}
    ended = subprocess.run(
        [sys.executable, "-m", "microscaling", "check", str(tmp_path / "apps.json")],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **own},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "ok       KUBERNETES: 2 containers run\n" in ended.stdout
    about = "MSS_LEASE=shop (the Lease microscaling-shop of the namespace default)"
    assert f"ok       {about}: no agent has it\n" in ended.stdout
    assert fake.leases.items == {}
    assert "create" in fake.verbs(), "its rights were tried"


@pytest.mark.parametrize("scheduler", ["KUBERNETES", "DOCKER", "PROCESS", "COMPOSE"])
def test_a_lease_of_another_form_is_named(scheduler: str) -> None:
    from microscaling.factory import prepared
    from microscaling.settings import Settings

    with pytest.raises(ConfigError, match="MSS_LEASE: expected"):
        prepared(Settings(scheduler=scheduler), {"MSS_LEASE": "a b", "DOCKER_HOST": "tcp://127.0.0.1:1"})
