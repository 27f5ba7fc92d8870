"""Single entries of an orchestrator's listing that cannot be read: the others count all the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from microscaling.errors import PermanentError
from microscaling.scheduler.kubernetes.view import View
from microscaling.scheduler.marathon import Marathon
from microscaling.scheduler.replicas.orchestrator import Replicas
from tests.metric.faulty import Server, answers

WEB = {"id": "/web", "instances": 2, "tasksRunning": 1}
BAD = [
    {"id": "/batch"},
    {**WEB, "id": "/batch", "instances": "2"},
    {**WEB, "id": "/batch", "tasksRunning": -1},
    {**WEB, "id": "/batch", "tasksRunning": None},
]
FOREIGN = [None, 3, "x", {}, {"id": None}, {"id": ["/x"]}, {"instances": 2}]


def read(*apps: Any) -> dict[str, Any]:
    with Server(answers(json.dumps({"apps": apps}).encode())) as server:
        marathon = Marathon(server.url("/"))
        try:
            return dict(marathon.read(["web", "batch"]))
        finally:
            marathon.close()


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_an_app_of_marathon(bad: Any) -> None:
    found = read(bad, WEB)
    assert found["web"] == Replicas(2, 1)
    assert isinstance(found["batch"], PermanentError)
    assert "cannot be read" in str(found["batch"])


@pytest.mark.parametrize("foreign", FOREIGN, ids=range(len(FOREIGN)))
def test_a_foreign_app_of_marathon(foreign: Any, caplog: pytest.LogCaptureFixture) -> None:
    found = read(foreign, WEB)
    assert found["web"] == Replicas(2, 1)
    assert isinstance(found["batch"], PermanentError), "it may be the one that cannot be read"
    assert "1 entries of its list have no id" in caplog.text


def deployment(name: Any, replicas: Any = 1, **more: Any) -> dict[str, Any]:
    about = {"name": name, "resourceVersion": "5"}
    return {"metadata": about, "spec": {"replicas": replicas}, "status": {"availableReplicas": 1}, **more}


BAD_DEPLOYMENTS = [
    deployment("batch", "3"),
    deployment("batch", -1),
    deployment("batch", spec=None),
    deployment("batch", status=[1]),
    deployment("batch", status="x"),
    {"metadata": {"name": "batch"}, "spec": {}},
]
NAMELESS = [{}, {"metadata": None}, deployment(None), deployment(["batch"]), deployment(7)]


def view() -> View:
    view = View()
    view.names = frozenset({"web", "batch"})
    return view


@pytest.mark.parametrize("bad", BAD_DEPLOYMENTS, ids=range(len(BAD_DEPLOYMENTS)))
def test_a_deployment(bad: Any) -> None:
    seen = view()
    seen.listed([bad, deployment("web", 2)], "10", None)
    found = seen.found(["web", "batch"])
    assert found["web"] == Replicas(2, 1)
    assert isinstance(found["batch"], PermanentError)
    seen.listed([deployment("batch", 4), deployment("web", 2)], "11", 10)
    assert seen.found(["batch"])["batch"] == Replicas(4, 1)


@pytest.mark.parametrize("bad", BAD_DEPLOYMENTS[:5], ids=range(5))
def test_a_deployment_in_the_watch(bad: Any) -> None:
    seen = view()
    seen.listed([deployment("batch"), deployment("web", 2)], "10", None)
    assert seen.changed(bad, deleted=False) == "batch"
    assert isinstance(seen.found(["batch"])["batch"], PermanentError)
    assert seen.changed(deployment("batch", 4), deleted=False) == "batch"
    assert seen.found(["web", "batch"]) == {"web": Replicas(2, 1), "batch": Replicas(4, 1)}


@pytest.mark.parametrize("odd", NAMELESS, ids=range(len(NAMELESS)))
def test_a_foreign_deployment(odd: Any, caplog: pytest.LogCaptureFixture) -> None:
    seen = view()
    for version in ("10", "11"):
        seen.listed([odd, deployment("web", 2)], version, None)
    assert seen.found(["web"]) == {"web": Replicas(2, 1)}
    assert seen.changed(odd, deleted=False) == ""
    assert len(caplog.messages) == 1
