"""Answers of Marathon, Kubernetes and a Swarm."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given

from microscaling.clients.kubernetes.client import Kube
from microscaling.clients.kubernetes.login import log_in
from microscaling.errors import ConfigError, PermanentError, TemporaryError
from microscaling.scheduler.kubernetes.orchestrator import KubernetesOrchestrator
from microscaling.scheduler.kubernetes.view import number
from microscaling.scheduler.marathon import Marathon
from microscaling.scheduler.replicas.orchestrator import Replicas
from microscaling.scheduler.swarm.lease_config import ConfigLease
from microscaling.scheduler.swarm.orchestrator import SwarmOrchestrator
from tests.fuzz.checks import SECRET, check_error, fuzz, is_whole
from tests.fuzz.inputs import Dice, dice
from tests.fuzz.wire import Answering, answer, stream

INT32 = 2**31 - 1
APP = {"id": "/web", "instances": 3, "tasksRunning": 2, "deployments": [{"id": "d"}], "cmd": "x"}
APPS = {"apps": [APP, {"id": "/team/b", "instances": 1, "tasksRunning": 0}]}
ACCEPTED = {"version": "2026-01-01T00:00:00.000Z", "deploymentId": "d"}
LOCKED = {
    "message": "App is locked by one or more deployments.",
    "deployments": [{"id": "d"}],
    "details": [{"path": "/a", "errors": ["x"]}],
}
DEPLOYMENT = {
    "metadata": {"name": "web", "resourceVersion": "7"},
    "spec": {"replicas": 3},
    "status": {"availableReplicas": 2},
}
DEPLOYMENTS = {"kind": "DeploymentList", "metadata": {"resourceVersion": "9"}, "items": [DEPLOYMENT]}
SCALE = {
    "kind": "Scale",
    "metadata": {"name": "web", "resourceVersion": "10"},
    "spec": {"replicas": 4},
    "status": {"replicas": 3},
}
STATUS = {
    "kind": "Status",
    "status": "Failure",
    "message": "no\nroom",
    "reason": "TooManyRequests",
    "details": {"retryAfterSeconds": 2},
    "code": 429,
}
EVENTS = [{"type": kind, "object": DEPLOYMENT} for kind in ("ADDED", "MODIFIED", "DELETED")]
EVENTS += [
    {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "11"}}},
    {"type": "ERROR", "object": {**STATUS, "code": 410}},
]
STATUSES = [
    "200 OK", "200 OK", "200 OK", "201 Created", "302 Found", "401 Unauthorized", "403 Forbidden",
    "404 Not Found", "409 Conflict", "422 Unprocessable", "429 Too Many", "500 Error", "503 Unavailable",
]  # fmt: skip


def check_found(found: Any) -> None:
    for count in found.values():
        if isinstance(count, PermanentError):
            check_error(count)
        elif count is not None:
            assert type(count) is Replicas
            assert is_whole(count.requested, 0, INT32)
            assert is_whole(count.running, 0, INT32)
            assert type(count.locked) is bool


@fuzz
@given(dice)
def test_marathon(answering: Answering, dice: Dice) -> None:
    marathon = Marathon(f"http://u:{SECRET}@{answering.endpoint}")
    answering.answers = answer(dice.json(APPS, ACCEPTED, LOCKED, APPS), dice.pick(STATUSES))
    try:
        if dice.number(2):
            marathon.scale("web", 3)
        else:
            check_found(marathon.read(["web", "team/b", "other"]))
    except (TemporaryError, PermanentError) as error:
        check_error(error)
    finally:
        marathon.close()


SERVICE = {
    "ID": "s", "Version": {"Index": 7}, "UpdateStatus": {"State": "paused", "Message": "no"},
    "Spec": {
        "Name": "web", "Labels": {"microscaling.count": "true"}, "Mode": {"Replicated": {"Replicas": 3}},
        "TaskTemplate": {"ContainerSpec": {"Image": "i", "StopGracePeriod": 5, "Labels": {"a": "b"}}},
    },
}  # fmt: skip
SWARM_TASK = {
    "ID": "t", "ServiceID": "s", "NodeID": "n", "DesiredState": "running",
    "Status": {"State": "failed", "Timestamp": "2026-01-01T00:00:00.123456789Z", "Err": "no\nroom"},
}  # fmt: skip
NODE = {
    "ID": "n", "Spec": {"Availability": "active"}, "Status": {"State": "ready"},
    "Description": {"Resources": {"NanoCPUs": 1, "MemoryBytes": 2}},
}  # fmt: skip
CONFIG = {
    "ID": "c", "Version": {"Index": 3},
    "Spec": {"Name": "microscaling-lease-x", "Labels": {"com.microscaling.lease.holder": "a"}},
}  # fmt: skip
SWARM_ERROR = {"message": "rpc error: code = Unknown desc = update out of sequence"}


@fuzz
@given(dice)
def test_swarm(answering: Answering, dice: Dice) -> None:
    swarm = SwarmOrchestrator(f"tcp://{answering.endpoint}")
    swarm.reader._client = swarm.reader._made("1.41")
    lease = ConfigLease(swarm.reader, "x")
    until = time.monotonic() + 5.0
    lists = [SERVICE], [SWARM_TASK], [NODE], [CONFIG], SERVICE, SWARM_ERROR
    answering.answers = answer(dice.json(*lists, [SERVICE]), dice.pick(STATUSES))
    try:
        case = dice.number(4)
        if case == 0:
            swarm._view.learn(SERVICE)
            swarm.scale("web", 3)
        elif case == 1:
            swarm._on_event("service", "update", "s", {})
        elif case == 2:
            record = lease.read(until)
            assert record is None or isinstance(record.holder, str)
        else:
            lease.write(None, "b", until)
        check_found(swarm.read(["web", "other"]))
    except (TemporaryError, PermanentError) as error:
        check_error(error)
    finally:
        swarm.close()


KUBECONFIG = {
    "apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c",
    "context": {"cluster": "k", "user": "u"}}],
    "clusters": [{"name": "k", "cluster": {"server": "http://127.0.0.1:1",
    "insecure-skip-tls-verify": True}}],
    "users": [{"name": "u", "user": {"token": SECRET}}],
}  # fmt: skip


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Answering, KubernetesOrchestrator]]:
    with Answering() as server:
        path = tmp_path_factory.mktemp("kube") / "config"
        path.write_text(json.dumps(KUBECONFIG).replace("127.0.0.1:1", server.endpoint))
        orchestrator = KubernetesOrchestrator(Kube(str(path), "default"))
        orchestrator.kube._renewed = float("inf")  # it would read the file anew at every 401
        yield server, orchestrator
        orchestrator.close()


@fuzz
@given(dice)
def test_kubernetes(cluster: tuple[Answering, KubernetesOrchestrator], dice: Dice) -> None:
    server, orchestrator = cluster
    server.answers = answer(dice.json(DEPLOYMENTS, SCALE, STATUS, DEPLOYMENTS), dice.pick(STATUSES))
    try:
        if dice.number(2):
            orchestrator.scale("web", 3)
        check_found(orchestrator.read(["web", "other"]))
    except (TemporaryError, PermanentError) as error:
        check_error(error)


@fuzz
@given(dice)
def test_watching_kubernetes(cluster: tuple[Answering, KubernetesOrchestrator], dice: Dice) -> None:
    server, orchestrator = cluster
    lines = [dice.json(*EVENTS) + dice.pick([b"\n", b"\n", b""]) for _ in range(1 + dice.number(3))]
    server.answers = stream(*lines) if dice.number(4) else answer(b"".join(lines), dice.pick(STATUSES))
    orchestrator._heard = check_found
    try:
        watch = orchestrator.kube.watch("7")
        try:
            for kind, item in watch:
                if kind != "BOOKMARK":
                    orchestrator._on_change(item, kind == "DELETED")
                with orchestrator.kube.errors():
                    number(str(item["metadata"]["resourceVersion"]))  # as the position of the watch
        finally:
            watch.close()
    except (TemporaryError, PermanentError) as error:
        check_error(error)


FULL = {
    **KUBECONFIG, "users": [{"name": "u", "user": {"username": "me", "password": SECRET,
    "client-certificate-data": "aGk=", "client-key-data": "aGk="}}],
}  # fmt: skip


@fuzz
@given(dice)
def test_kubeconfig(tmp_path: Path, dice: Dice) -> None:
    path = tmp_path / "config"
    data = dice.json(KUBECONFIG, FULL)
    assume(len(data) < 2_000)  # it takes long
    path.write_bytes(data)
    try:
        log_in(str(path))
    except ConfigError as error:
        check_error(error)
    finally:
        from kubernetes.config import kube_config

        kube_config._cleanup_temp_files()
