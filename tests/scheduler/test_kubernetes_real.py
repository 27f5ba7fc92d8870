"""What the fake says is what a real API server says; and an agent on a real one, with the rights that the
manifest gives it."""

from __future__ import annotations

import http.client
import json
import re

import pytest

pytest.importorskip("kubernetes", reason="the extra kubernetes is not installed")

from microscaling.clients.kubernetes.client import Kube, Refused
from tests.fakes.kubernetes import FakeKubernetes
from tests.metric.nsqd import wait_for

HERE = "/apis/apps/v1/namespaces/default/deployments"
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
JSON, PATCH = "application/json", "application/json-patch+json"
TO_3 = {"spec": {"replicas": 3}}
QUESTIONS = [
    ("GET", f"{HERE}/web", None, JSON),
    ("GET", f"{HERE}/nope", None, JSON),
    ("GET", f"{HERE}/web/scale", None, JSON),
    ("GET", f"{HERE}/nope/scale", None, JSON),
    ("GET", HERE, None, JSON),
    ("GET", f"{HERE}?limit=1", None, JSON),
    ("GET", f"{HERE}?limit=x", None, JSON),
    ("GET", f"{HERE}?fieldSelector=metadata.name%3Dweb", None, JSON),
    ("GET", f"{HERE}?fieldSelector=metadata.name%3Dnope", None, JSON),
    ("GET", f"{HERE}?fieldSelector=spec.replicas%3D1", None, JSON),
    ("GET", f"{HERE}?resourceVersion=99999999", None, JSON),
    ("GET", f"{HERE}?continue=abc", None, JSON),
    ("GET", f"{HERE}?watch=1&resourceVersion=1&timeoutSeconds=1", None, JSON),
    ("GET", f"{HERE}?watch=1&resourceVersion=99999999&timeoutSeconds=1", None, JSON),
    ("GET", f"{HERE}?watch=1&resourceVersion=abc&timeoutSeconds=1", None, JSON),
    ("GET", f"{HERE}?watch=1&resourceVersion=1&timeoutSeconds=x", None, JSON),
    ("GET", f"{HERE}?watch=True&timeoutSeconds=1", None, JSON),
    ("PATCH", f"{HERE}/web/scale", TO_3, MERGE),
    ("PATCH", f"{HERE}/web/scale", TO_3, STRATEGIC),
    ("PATCH", f"{HERE}/web/scale", [{"op": "replace", "path": "/spec/replicas", "value": 3}], PATCH),
    ("PATCH", f"{HERE}/web/scale", {"spec": {"replicas": 0}}, MERGE),
    ("PATCH", f"{HERE}/web/scale", {"spec": {"replicas": None}}, MERGE),
    ("PATCH", f"{HERE}/web/scale", {"spec": {"replicas": -1}}, MERGE),
    ("PATCH", f"{HERE}/web/scale", {"spec": {"replicas": "3"}}, MERGE),
    ("PATCH", f"{HERE}/web/scale", {"metadata": {"resourceVersion": "1"}, **TO_3}, MERGE),
    ("PATCH", f"{HERE}/web/scale", TO_3, JSON),
    ("PATCH", f"{HERE}/web/scale", TO_3, PATCH),
    ("PATCH", f"{HERE}/web/scale", '{"spec"', MERGE),
    ("PATCH", f"{HERE}/nope/scale", TO_3, MERGE),
    ("POST", f"{HERE}/web/scale", {}, JSON),
    ("GET", "/apis/apps/v1/namespaces/default/frobs", None, JSON),
    ("GET", "/apis/extensions/v1beta1/namespaces/default/deployments", None, JSON),
]
RULES = [{"apiGroups": ["apps"], "resources": ["deployments", "deployments/scale", "frobs"],
          "verbs": ["get", "list", "watch", "patch", "create"]}]  # fmt: skip
VARIES = {"managedFields", "uid", "resourceVersion", "creationTimestamp", "time", "conditions", "annotations",
          "template", "strategy", "revisionHistoryLimit", "progressDeadlineSeconds", "causes", "status",
          "terminatingReplicas", "generation"}  # fmt: skip


@pytest.fixture
def fake():
    with FakeKubernetes() as fake:
        fake.cluster.add("web", 2)
        fake.rules = RULES
        yield fake


def ask_fake(fake, method, path, body, kind, token="good"):
    connection = http.client.HTTPConnection("127.0.0.1", fake.port, timeout=10)
    headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
    connection.request(
        method, path, body if isinstance(body, (str, type(None))) else json.dumps(body), headers
    )
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def essence(answer, path):
    """What of an answer must be the same: all but what differs from cluster to cluster, and the end of a
    message that quotes what was sent. Of a watch, every event."""
    status, body = answer
    if isinstance(body, str):
        try:
            body = [json.loads(line) for line in body.splitlines()] if "watch=" in path else json.loads(body)
        except ValueError:
            return status, body
    elif "watch=" in path:
        body = [body]
    return status, plain(body)


def plain(value):
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, str):
        return re.sub(
            r"\d{2,}", "N", re.split(r"Invalid value: |decoding patch: |not valid|ParseUint|\(", value)[0]
        )
    if not isinstance(value, dict):
        return value
    return {key: plain(each) for key, each in value.items() if key not in VARIES}


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: f"{q[0]} {q[1][len(HERE) - 11 :]} {q[2]}")
def test_the_fake_answers_as_the_real_one(fake, real_kubernetes, question):
    method, path, body, kind = question
    real_kubernetes.only("web", 2)
    real = essence(real_kubernetes.ask(method, path, body, kind=kind), path)
    assert essence(ask_fake(fake, *question), path) == real


@pytest.mark.parametrize("token", ["", "wrong"])
def test_who_is_not_let_in(fake, real_kubernetes, token):
    for method, path, body in (("GET", HERE, None), ("PATCH", f"{HERE}/web/scale", TO_3)):
        real = essence(real_kubernetes.ask(method, path, body, token, MERGE), path)
        assert essence(ask_fake(fake, method, path, body, MERGE, token), path) == real


def test_the_manifest_allows_what_the_agent_does_and_nothing_else(real_kubernetes, tmp_path):
    token = real_kubernetes.apply_manifest()
    real_kubernetes.add("web", 2)
    kube = Kube(real_kubernetes.kubeconfig(tmp_path / "kubeconfig", token), "default")
    assert "web" in [item["metadata"]["name"] for item in kube.deployments()[0]]
    assert kube.deployment("web")["spec"]["replicas"] == 2
    assert kube.scale("web", 3)["spec"]["replicas"] == 3
    kube.close()
    for method, path, body in (
        ("PATCH", f"{HERE}/web", TO_3),
        ("GET", f"{HERE}/web", None),
        ("DELETE", f"{HERE}/web", None),
        ("GET", "/api/v1/namespaces/default/secrets", None),
        ("GET", "/api/v1/namespaces/default/pods", None),
    ):
        assert real_kubernetes.ask(method, path, body, token, MERGE)[0] == 403


def test_a_service_account_that_is_deleted(real_kubernetes, tmp_path):
    token = real_kubernetes.apply_manifest()
    kube = Kube(real_kubernetes.kubeconfig(tmp_path / "kubeconfig", token), "default")
    kube.deployments()
    real_kubernetes.ask("DELETE", "/api/v1/namespaces/default/serviceaccounts/microscaling")
    wait_for(lambda: refusal(kube), 60.0)  # it is remembered for some seconds
    assert "does not accept the credentials (HTTP 401)" in refusal(kube)
    kube.close()


def refusal(kube):
    try:
        kube.deployments()
    except Refused as error:
        return str(error)
    return ""


def test_forbidden_in_its_own_words(real_kubernetes, tmp_path):
    token = real_kubernetes.apply_manifest()
    kube = Kube(real_kubernetes.kubeconfig(tmp_path / "kubeconfig", token), "kube-system")
    with pytest.raises(
        Refused, match=r'cannot list resource "deployments" .* in the namespace "kube-system": '
    ):
        kube.deployments()
    kube.close()


def test_pages_and_a_watch_of_the_real_one(real_kubernetes, tmp_path, monkeypatch):
    from microscaling.clients.kubernetes import client as kube_module

    monkeypatch.setattr(kube_module, "PAGE", 1)
    for name in ("page-1", "page-2", "page-3"):
        real_kubernetes.add(name, 0)
    kube = Kube(
        real_kubernetes.kubeconfig(tmp_path / "kubeconfig", real_kubernetes.apply_manifest()), "default"
    )
    items, version = kube.deployments()
    assert {"page-1", "page-2", "page-3"} <= {item["metadata"]["name"] for item in items}
    watch = kube.watch(version)
    kube.scale("page-2", 1)
    kind, item = next(iter(watch))
    assert (kind, item["metadata"]["name"], item["spec"]["replicas"]) == ("MODIFIED", "page-2", 1)
    watch.end()
    assert list(watch) is not None
    watch.close()
    kube.close()
