"""Nobody who has credentials follows a redirect to another place with them, whoever sends it there.

Two real servers: the one that is asked, and the other, which must not hear of it. Another port is another
host. What is there for the labels of images follows redirects, without: see tests/clients/test_registry.py.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from microscaling.clients.http.client import Client
from microscaling.clients.server_address import ServerAddress
from microscaling.clients.websocket.connection import Connection
from microscaling.config.server import ServerConfig
from microscaling.errors import MicroscalingError
from microscaling.metric.http import HTTPMetric
from microscaling.metric.nsq import NSQMetric
from microscaling.scheduler.marathon import Marathon
from microscaling.settings import Settings
from tests.fakes.server import wait_for
from tests.metric.faulty import Server, answers

SECRET = "hunter22-hunter22"
REDIRECTS = ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect",
             "308 Permanent Redirect"]  # fmt: skip

Ask = Callable[[str, Path], None]
"""(URL of the server, an empty folder): asks it with credentials; any of our errors may come of it."""


def _client(url: str, folder: Path) -> None:
    client = Client()
    try:
        headers = {"Authorization": f"Bearer {SECRET}", "Cookie": f"a={SECRET}", "X-Api-Key": SECRET}
        for method in ("GET", "PUT", "POST"):
            client.ask(method, f"{url}/?token={SECRET}", headers, b"x")
        client.ask("GET", url.replace("://", f"://me:{SECRET}@"))
        client.fetch(url)
    finally:
        client.close()


def _http_metric(url: str, folder: Path) -> None:
    _update(HTTPMetric(f"{url.replace('://', f'://me:{SECRET}@')}/?token={SECRET}", "", {"X-Key": SECRET}))


def _nsq_metric(url: str, folder: Path) -> None:
    _update(NSQMetric("t", "c", url.replace("://", f"://me:{SECRET}@")))


def _sqs_metric(url: str, folder: Path) -> None:
    pytest.importorskip("boto3", reason="pip install '.[sqs]'")
    from microscaling.metric.sqs import SQSMetric

    said = {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL_SQS": url,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in said.items():
            patch.setenv(name, value)
        metric = SQSMetric("https://sqs.eu-west-1.amazonaws.com/1/jobs", "eu-west-1")
        metric.source._deadline_s = metric.source._connection.deadline_s = 20.0
        _update(metric)


def _azure_metric(url: str, folder: Path) -> None:
    pytest.importorskip("azure.storage.queue", reason="pip install '.[azure]'")
    from microscaling.metric.azure_queue import Account, AzureQueueMetric
    from tests.services.azurite import connection_string

    _update(AzureQueueMetric("jobs", Account(connection_string=connection_string(url))))


def _update(metric) -> None:
    try:
        metric.update()
    finally:
        metric.source.close()


def _server_config(url: str, folder: Path) -> None:
    ServerConfig(Settings(), ServerAddress(url, SECRET)).get_apps("me")


def _websocket(url: str, folder: Path) -> None:
    address = ServerAddress(url, SECRET)
    connection = Connection(address.websocket_url, address.headers)
    connection.open(url)
    try:
        wait_for(lambda: connection.threads[0].failure_log.failing)  # type: ignore[attr-defined]
    finally:
        connection.close(url)


def _marathon(url: str, folder: Path) -> None:
    marathon = Marathon(url, SECRET)
    try:
        with contextlib.suppress(MicroscalingError):
            marathon.read(["app"])
        marathon.scale("app", 3)
    finally:
        marathon.close()


def _kubernetes(url: str, folder: Path) -> None:
    yaml = pytest.importorskip("yaml")
    pytest.importorskip("kubernetes", reason="pip install '.[kubernetes]'")
    from microscaling.clients.kubernetes.client import Kube

    named = {"cluster": "x", "user": "x"}
    bundle = os.environ.get("REQUESTS_CA_BUNDLE")
    cluster = {"server": url, **({"certificate-authority": bundle} if bundle else {})}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "contexts": [{"name": "x", "context": named}],
        "clusters": [{"name": "x", "cluster": cluster}],
        "users": [{"name": "x", "user": {"token": SECRET}}],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    kube = Kube(str(path), "default")
    asked = [kube.deployments, lambda: kube.watch("1"), lambda: kube.scale("web", 3)]
    try:
        for ask in asked:
            with contextlib.suppress(MicroscalingError):
                ask()
    finally:
        kube.close()


ASK: Mapping[str, Ask] = {
    "HTTP client": _client,
    "metric HTTP": _http_metric,
    "metric NSQ": _nsq_metric,
    "metric SQS": _sqs_metric,
    "metric AzureQueue": _azure_metric,
    "configuration SERVER": _server_config,
    "websocket": _websocket,
    "Marathon": _marathon,
    "Kubernetes": _kubernetes,
}


@pytest.fixture
def other() -> Iterator[Server]:
    """Where the redirects lead."""
    with Server(answers(b"{}")) as server:
        yield server


def asked_of(server: Server, who: str, folder: Path, scheme: str = "http") -> None:
    with contextlib.suppress(MicroscalingError):
        ASK[who](server.url("", scheme), folder)
    assert len(server) > 0


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("who", ASK)
def test_a_redirect_to_another_host_is_not_followed(
    who: str, status: str, other: Server, tmp_path: Path
) -> None:
    with Server(answers(b"", status, f"Location: {other.url()}")) as server:
        asked_of(server, who, tmp_path)
    assert not other.heads


@pytest.mark.parametrize("who", ASK)
def test_a_redirect_from_https_to_http_is_not_followed(
    who: str,
    other: Server,
    tmp_path: Path,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor one to the same host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    with Server(answers(b"", "307 Temporary Redirect", f"Location: {other.url()}"), context) as server:
        asked_of(server, who, tmp_path, "https")
    assert not other.heads


def test_a_redis_that_says_it_has_moved_is_not_followed(other: Server) -> None:
    """As the nodes of a cluster do; the password would go along."""
    pytest.importorskip("redis", reason="pip install '.[redis]'")
    from microscaling.metric.redis import RedisMetric

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=_as_redis, args=(listener, other.endpoint))
        serving.start()
        port = listener.getsockname()[1]
        with pytest.raises(MicroscalingError, match=r"^Redis at "):
            _update(RedisMetric(f"redis://:{SECRET}@127.0.0.1:{port}/0", "jobs"))
        serving.join()
    assert not other.connections


def _as_redis(listener, elsewhere: str) -> None:
    sock, _ = listener.accept()
    with sock:
        sock.settimeout(20)
        while said := sock.recv(65536):
            for _ in range(said.count(b"*")):
                sock.sendall(f"-MOVED 1 {elsewhere}\r\n".encode() if b"LLEN" in said else b"+OK\r\n")


def engine(to: Server):
    """A Docker engine that says its version, and sends whoever asks for anything else to another."""
    version = answers(b'{"ApiVersion": "1.41"}', "200 OK", "Content-Type: application/json")
    elsewhere = answers(b"", "307 Temporary Redirect", f"Location: {to.url()}")
    return lambda server, sock: (version if b"/version" in server.heads[-1] else elsewhere)(server, sock)


def test_the_client_of_an_engine_does_not_follow_either(other: Server, tmp_path: Path) -> None:
    """It sends the logins of registries along."""
    from docker.errors import DockerException
    from requests import RequestException

    from microscaling.clients.docker.client import connect

    with Server(engine(other)) as server:
        client = connect(f"tcp://{server.endpoint}", False, "", 5)
        try:
            for ask in (
                lambda: client.pull("x", auth_config={"username": "me", "password": SECRET}),
                lambda: client.containers(),
                lambda: client.stop("x"),
                lambda: client.remove_container("x"),
            ):
                with contextlib.suppress(DockerException, RequestException):
                    ask()
        finally:
            client.close()
        assert len(server) == 5
    assert not other.heads


def test_what_a_redirect_says_is_what_it_is() -> None:
    """So that the tests above can fail: requests by itself does follow."""
    import requests

    with Server(answers(b"{}")) as other:
        with Server(answers(b"", "307 Temporary Redirect", f"Location: {other.url()}")) as server:
            requests.get(server.url(), headers={"X-Api-Key": SECRET}, timeout=20).close()
        assert SECRET.encode() in other.heads[0]
