"""An engine behind TLS that lets in only those whose certificate it knows. HAProxy has the TLS, as engines
have it with --tlsverify: the agent cannot tell."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import APIClient

from tests.integration import engines
from tests.integration.agents import AgentProcess, Witness, app, wait_for
from tests.integration.engines import OwnEngine, give_up
from tests.integration.test_socket_proxy import CONFIG, Proxy
from tests.services.service import free_port

BIND = "    bind unix@/run/socket-proxy/docker.sock mode 666\n"


@pytest.fixture
def host(tmp_path: Path, own_engine: OwnEngine, certificate: tuple[Path, Path]) -> Iterator[str]:
    """Where it listens. Its certificate vouches for itself, and for its clients."""
    if not shutil.which("haproxy"):
        give_up("HAProxy is missing (the package haproxy)")
    host = f"127.0.0.1:{free_port()}"
    cert, key = certificate
    both = tmp_path / "both.pem"
    both.write_text(cert.read_text() + key.read_text())
    bind = f"{BIND}    bind {host} ssl crt {both} ca-file {cert} verify required\n"
    with Proxy(tmp_path, Path(own_engine.host.removeprefix("unix://")), CONFIG.replace(BIND, bind)):
        yield f"tcp://{host}"


@pytest.fixture
def client(own_engine: OwnEngine) -> Iterator[APIClient]:
    """Of the engine's own socket."""
    client = engines.connect(own_engine.host)
    yield client
    client.close()


@pytest.fixture
def folders(tmp_path: Path, certificate: tuple[Path, Path]) -> dict[str, str]:
    """For DOCKER_CERT_PATH: what the engine knows, and what it does not."""
    cert, key = certificate
    other, its_key = tmp_path / "other.pem", tmp_path / "other-key.pem"
    made = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=other -keyout {its_key} -out {other}"
    subprocess.run(["openssl", *made.split()], check=True, capture_output=True)
    kinds = {
        "good": (cert, cert, key),
        "another engine": (other, cert, key),
        "another client": (cert, other, its_key),
    }
    for name, files in kinds.items():
        (tmp_path / name).mkdir()
        for file, source in zip(("ca.pem", "cert.pem", "key.pem"), files, strict=True):
            shutil.copy(source, tmp_path / name / file)
    return {name: str(tmp_path / name) for name in kinds}


def agent(folder: Path, prefix: str, host: str, certificates: str, **environ: str) -> AgentProcess:
    settings = {"DOCKER_HOST": host, "DOCKER_CERT_PATH": certificates, "REQUESTS_CA_BUNDLE": "", **environ}
    settings |= {"CURL_CA_BUNDLE": "", "DOCKER_TLS_VERIFY": "1" if certificates else "", **environ}
    task = app(f"{prefix}a", 1, maxContainers=2, config={"networkMode": "none"})
    return AgentProcess(folder, [task], **settings)


REFUSED = {
    "another engine": "its certificate is not one of the authority in DOCKER_CERT_PATH (ca.pem): self",
    "another client": "it refuses this client's certificate (TLSV1_ALERT_UNKNOWN_CA); it needs cert.pem",
}


def test_both_sides_have_to_know_each_other(
    host: str, client: APIClient, tmp_path: Path, prefix: str, folders: dict[str, str]
) -> None:
    witness = Witness(client, prefix)
    for certificates, why in REFUSED.items():
        with agent(tmp_path, prefix, host, folders[certificates]) as turned_away:
            turned_away.says("stopped with exit code 2: ")
            assert f"cannot connect to the Docker daemon at {host} (from DOCKER_HOST; TLS with " in (
                turned_away.log()
            )
            assert why in turned_away.log()
            assert turned_away.process.wait(60) == 2
    with agent(tmp_path, prefix, host, "") as hung_up_on:  # not TLS at all
        hung_up_on.says("waiting: cannot connect to the Docker daemon")
        assert hung_up_on.stop() == 0
    with agent(tmp_path, prefix, host, folders["good"]) as welcome:
        witness.wait(a=2)
        assert welcome.stop() == 0
    assert not witness.left()


def test_by_a_context_and_from_dockers_own_folder(
    host: str, client: APIClient, tmp_path: Path, prefix: str, folders: dict[str, str]
) -> None:
    """As Docker's own client finds it without DOCKER_CERT_PATH."""
    id = hashlib.sha256(b"far").hexdigest()
    for kind in ("good", "another client"):
        meta = tmp_path / f"{kind} store" / "contexts" / "meta" / id
        meta.mkdir(parents=True)
        (meta / "meta.json").write_text(json.dumps({"Name": "far", "Endpoints": {"docker": {"Host": host}}}))
        tls = meta.parents[1] / "tls" / id / "docker"
        shutil.copytree(folders[kind], tls)
    by_context = {"DOCKER_HOST": "", "DOCKER_CONTEXT": "far"}
    witness = Witness(client, prefix)
    for found in (
        {**by_context, "DOCKER_CONFIG": str(tmp_path / "good store")},
        {"DOCKER_CONFIG": folders["good"], "DOCKER_TLS_VERIFY": "1"},
    ):
        with agent(tmp_path, prefix, host, "", **found) as welcome:
            witness.wait(a=2)
            assert welcome.stop() == 0
            assert f"Docker engine {host}: from " in welcome.log().splitlines()[0]
        assert not witness.left()
    with agent(
        tmp_path, prefix, host, "", **by_context, DOCKER_CONFIG=str(tmp_path / "another client store")
    ) as refused:
        refused.says("stopped with exit code 2: ")
        assert 'from the context "far" (DOCKER_CONTEXT)' in refused.log().splitlines()[-1]
        assert refused.process.wait(60) == 2


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "https_proxy"])
def test_what_the_environment_has_for_others_is_not_for_the_engine(
    host: str, client: APIClient, tmp_path: Path, prefix: str, folders: dict[str, str], variable: str
) -> None:
    witness = Witness(client, prefix)
    value = f"{folders['another engine']}/ca.pem" if variable.endswith("BUNDLE") else "http://127.0.0.1:9"
    with agent(tmp_path, prefix, host, folders["good"], **{variable: value, "no_proxy": ""}) as running:
        wait_for(lambda: f"{prefix}a: " in running.log() or "waiting" in running.log())
        assert "waiting" not in running.log()
        witness.wait(a=2)
        assert running.stop() == 0
