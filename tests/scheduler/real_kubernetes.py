"""A real API server of Kubernetes with etcd and the controllers of deployments, if they are on this
machine; scripts/kubernetes/build makes them. No kubelet: pods are said to be ready as they appear."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.services.service import free_port

FOLDER = os.environ.get("MSS_TEST_KUBERNETES", "")
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager")
MANIFEST = Path(__file__).parents[2] / "deploy" / "kubernetes.yaml"
ADMIN = "the-admins-token"
NAMESPACE = "/api/v1/namespaces/default"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
COLLECTIONS = {
    "ServiceAccount": f"{NAMESPACE}/serviceaccounts",
    "ConfigMap": f"{NAMESPACE}/configmaps",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
    "Deployment": DEPLOYMENTS,
}
MERGE = "application/merge-patch+json"


def find(program: str) -> str:
    """Its path; skips the test if there is none."""
    found = shutil.which(program, path=f"{FOLDER}{os.pathsep}{os.environ.get('PATH', '')}")
    if not found:
        pytest.skip(f"no {program} on the PATH or in MSS_TEST_KUBERNETES; scripts/kubernetes/build makes it")
    return found


def free_ports(count: int) -> list[int]:
    found = set[int]()
    while len(found) < count:
        found.add(free_port())
    return [*found]


class RealKubernetes:
    def __init__(self, folder: Path, certificate: tuple[Path, Path]) -> None:
        self.programs = {program: find(program) for program in PROGRAMS}
        self.folder = folder
        self.certificate = certificate
        self.port, self.etcd, peers = free_ports(3)
        self.peers = peers
        self.processes: list[subprocess.Popen[bytes]] = []
        self.closing = threading.Event()
        self.kubelet = threading.Thread(target=self._say_ready, name="kubelet")

    def __enter__(self) -> RealKubernetes:
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.kubelet.join()
        self._end()

    def _start(self) -> None:
        key = self.folder / "accounts.key"
        subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
        tokens = self.folder / "tokens.csv"
        tokens.write_text(f"{ADMIN},admin,admin,system:masters\n")
        etcd, peers = f"http://127.0.0.1:{self.etcd}", f"http://127.0.0.1:{self.peers}"
        self._run("etcd", f"--data-dir={self.folder}/etcd --listen-client-urls={etcd} "
                  f"--advertise-client-urls={etcd} --listen-peer-urls={peers} "
                  f"--initial-advertise-peer-urls={peers} --initial-cluster=default={peers}")  # fmt: skip
        cert, cert_key = self.certificate
        self._run("kube-apiserver", f"--etcd-servers={etcd} --secure-port={self.port} "
                  f"--bind-address=127.0.0.1 --tls-cert-file={cert} --tls-private-key-file={cert_key} "
                  "--service-account-issuer=https://kubernetes.default.svc --authorization-mode=RBAC "
                  f"--service-account-key-file={key} --service-account-signing-key-file={key} "
                  f"--token-auth-file={tokens} --service-cluster-ip-range=10.0.0.0/24 "
                  "--endpoint-reconciler-type=none")  # fmt: skip
        self._wait(lambda: self.ask("GET", "/readyz")[0] == 200)
        admin = self.kubeconfig(self.folder / "admin", ADMIN)
        controllers = "deployment-controller,replicaset-controller,serviceaccount-controller"
        self._run("kube-controller-manager", f"--kubeconfig={admin} --leader-elect=false --secure-port=0 "
                  f"--controllers={controllers}")  # fmt: skip
        self._wait(lambda: self.ask("GET", f"{NAMESPACE}/serviceaccounts/default")[0] == 200)
        self.kubelet.start()

    def _run(self, program: str, options: str) -> None:
        with (self.folder / f"{program}.log").open("wb") as log:
            command = [self.programs[program], *options.split()]
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder))

    def _wait(self, what: Any, within_s: float = 90.0) -> None:
        deadline = time.monotonic() + within_s
        while True:
            with contextlib.suppress(OSError):
                if what():
                    return
            for process in self.processes:
                assert process.poll() is None, f"{process.args} has ended: see {self.folder}"
            assert time.monotonic() < deadline, "the API server does not get ready"
            time.sleep(0.2)

    def _end(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def ask(
        self, method: str, path: str, body: Any = None, token: str = ADMIN, kind: str = "application/json"
    ) -> tuple[int, Any]:
        """The status and the body of the answer; the body as text if it is no JSON."""
        context = ssl.create_default_context(cafile=str(self.certificate[0]))
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)
        try:
            data = body if isinstance(body, (str, type(None))) else json.dumps(body)
            headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text

    def kubeconfig(self, path: Path, token: str, port: int = 0) -> str:
        cluster = {
            "server": f"https://127.0.0.1:{port or self.port}",
            "certificate-authority": str(self.certificate[0]),
        }
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "x",
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        }  # fmt: skip
        path.write_text(json.dumps(config))
        return str(path)

    def apply_manifest(self) -> str:
        """Applies deploy/kubernetes.yaml, not a field of which may be unknown. Returns a token of the
        service account."""
        yaml = __import__("yaml")
        for item in yaml.safe_load_all(MANIFEST.read_text()):
            status, answer = self.ask("POST", COLLECTIONS[item["kind"]] + "?fieldValidation=Strict", item)
            assert status in (201, 409), answer
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        path = f"{COLLECTIONS['ServiceAccount']}/microscaling/token"
        status, answer = self.ask("POST", path, request)
        assert status == 201, answer
        return str(answer["status"]["token"])

    def add(self, name: str, replicas: int = 0) -> None:
        """Creates a deployment, or scales it, and waits for its replicas."""
        labels = {"app": name}
        pod = {"containers": [{"name": "c", "image": "x"}], "automountServiceAccountToken": False}
        template = {"metadata": {"labels": labels}, "spec": pod}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        item = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
        if self.ask("POST", DEPLOYMENTS, item)[0] == 409:
            self.ask("PATCH", f"{DEPLOYMENTS}/{name}", {"spec": {"replicas": replicas}}, kind=MERGE)
        self._wait(lambda: self.running(name) == replicas)

    def only(self, name: str, replicas: int) -> None:
        """This deployment and no other."""
        for item in self.ask("GET", DEPLOYMENTS)[1]["items"]:
            if item["metadata"]["name"] != name:
                self.delete(item["metadata"]["name"])
        self.add(name, replicas)

    def delete(self, name: str) -> None:
        self.ask("DELETE", f"{DEPLOYMENTS}/{name}")

    def get(self, name: str) -> Any:
        return self.ask("GET", f"{DEPLOYMENTS}/{name}")[1]

    def running(self, name: str) -> int:
        return int(self.get(name)["status"].get("availableReplicas", 0))

    def lose(self, name: str) -> None:
        pods = self.ask("GET", f"{NAMESPACE}/pods?labelSelector=app={name}")[1]["items"]
        self.ask("DELETE", f"{NAMESPACE}/pods/{pods[0]['metadata']['name']}")

    def version(self) -> str:
        return str(self.ask("GET", DEPLOYMENTS + "?limit=1")[1]["metadata"]["resourceVersion"])

    def most_asked(self, names: set[str], since: str) -> int:
        """The most replicas of these together that were asked for at any time since a version at which
        there were none."""
        _, text = self.ask("GET", f"{DEPLOYMENTS}?watch=1&resourceVersion={since}&timeoutSeconds=1")
        lines = [text] if isinstance(text, dict) else [json.loads(line) for line in text.splitlines()]
        asked = dict.fromkeys(names, 0)
        most = 0
        for event in lines:
            name = event["object"]["metadata"]["name"]
            if name in names:
                asked[name] = event["object"]["spec"]["replicas"]
                most = max(most, sum(asked.values()))
        return most

    def _say_ready(self) -> None:
        condition = {"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}
        ready = {"status": {"phase": "Running", "conditions": [condition]}}
        while not self.closing.wait(0.05):
            with contextlib.suppress(OSError, LookupError, TypeError):
                for pod in self.ask("GET", f"{NAMESPACE}/pods")[1]["items"]:
                    if pod["status"].get("phase") != "Running":
                        path = f"{NAMESPACE}/pods/{pod['metadata']['name']}/status"
                        self.ask("PATCH", path, ready, kind=MERGE)
