"""Which engine is meant, and which addresses can never answer."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.clients.docker import address as docker_address
from microscaling.clients.docker import engine as docker_engine
from microscaling.clients.docker.engine import choose
from microscaling.errors import ConfigError

DEFAULT = "unix:///var/run/docker.sock"

GOOD = [
    ("tcp://docker.example.:2375", "tcp://docker.example.:2375"),
    ("unix:///run/e.sock", "unix:///run/e.sock"),
    ("UNIX:///run/e.sock", "unix:///run/e.sock"),
    ("unix://run/e.sock", "unix:///run/e.sock"),
    ("unix://", DEFAULT),
    ("http+unix:///run/e.sock", "unix:///run/e.sock"),
    ("http+unix://%2Frun%2Fe.sock", "unix:///run/e.sock"),
    ("tcp://h:1234", "tcp://h:1234"),
    ("tcp://h", "tcp://h:2375"),
    (" tcp://h:1/ ", "tcp://h:1"),
    ("tcp://:2375", "tcp://localhost:2375"),
    ("tcp://[::1]:9", "tcp://[::1]:9"),
    ("tcp://[::1]", "tcp://[::1]:2375"),
    ("tcp://h:1/behind/a/proxy", "tcp://h:1/behind/a/proxy"),
    ("http://h", "http://h:80"),
    ("https://h", "https://h:443"),
    ("https://h:2376", "https://h:2376"),
    ("10.0.0.5:2375", "tcp://10.0.0.5:2375"),
]


@pytest.mark.parametrize(("given", "host"), GOOD)
def test_an_address_in_one_form(given: str, host: str) -> None:
    assert choose({"DOCKER_HOST": given}).host == host


BAD = [
    ("tcp://dock..er:2375", "no name can have"),
    ("tcp://.docker:2375", "no name can have"),
    (f"tcp://{'a' * 64}.example:2375", "no name can have"),
    ("/run/docker.sock", "write unix:///run/docker.sock"),
    ("unix:/run/docker.sock", "write unix:///run/docker.sock"),
    ("run/docker.sock", "expected unix:///"),
    ("./docker.sock", "expected unix:///"),
    ("docker", "expected unix:///"),
    ("npipe:////./pipe/docker_engine", "for Windows"),
    ("fd://", "an engine listens"),
    ("fd://3", "an engine listens"),
    ("vsock://2:1", "expected unix:///"),
    ("://h:1", "expected unix:///"),
    ("tcp://", "the host is missing"),
    ("tcp:///path", "the host is missing"),
    ("http://:80", "the host is missing"),
    ("tcp://h:0", "from 1 to 65535"),
    ("tcp://h:65536", "from 1 to 65535"),
    ("tcp://h:2375x", "from 1 to 65535"),
    ("h:99999", "from 1 to 65535"),
    ("tcp://h:-1", "from 1 to 65535"),
    ("tcp://h h:1", "expected unix:///"),
    ("tcp://h:1?x=1", "expected unix:///"),
    ("tcp://h:1#x", "expected unix:///"),
    ("tcp://me:s3cr3t@h:1", "no room for a user or password"),
    ("me:s3cr3t@h:1", "expected unix:///"),
    ("unix:///run/a?b.sock", "cannot use such a path"),
    ("unix:///" + "x" * 107, "at most 107 bytes"),
    ("unix:///", "is a directory"),
    ("unix:///tmp", "is a directory"),
    ("unix:///etc/hosts", "is not a socket"),
    ("ssh://me@h", "a tunnel"),
]


@pytest.mark.parametrize(("given", "says"), BAD)
def test_an_address_that_can_never_answer(given: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        choose({"DOCKER_HOST": given})
    assert str(error.value).startswith("DOCKER_HOST: ")
    assert says in str(error.value)
    assert len(error.value.problems) == 1


class Store:
    """A folder as DOCKER_CONFIG names it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {"DOCKER_CONFIG": str(folder)}

    def context(self, name: str, docker: dict[str, Any], tls: dict[str, Path] | None = None) -> None:
        id = hashlib.sha256(name.encode()).hexdigest()
        self.write(
            f"contexts/meta/{id}/meta.json",
            json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": docker}}),
        )
        for file, source in (tls or {}).items():
            self.write(f"contexts/tls/{id}/docker/{file}", source.read_text())

    def tls(self, name: str) -> str:
        return str(self.folder / "contexts/tls" / hashlib.sha256(name.encode()).hexdigest() / "docker")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The default socket is not there, unless a test makes one."""
    for module in (docker_address, docker_engine):
        monkeypatch.setattr(module, "DEFAULT_SOCKET", str(tmp_path / "docker.sock"))
    monkeypatch.setattr(docker_engine, "DEFAULT_HOST", f"unix://{tmp_path}/docker.sock")
    store = Store(tmp_path / ".docker")
    store.context("rootless", {"Host": "unix:///run/user/1000/docker.sock", "SkipTLSVerify": False})
    store.context("colima", {"Host": "unix:///home/u/.colima/default/docker.sock"})
    store.write("config.json", json.dumps({"auths": {}, "currentContext": "rootless"}))
    return store


@pytest.fixture
def default_socket(store: Store, tmp_path: Path) -> Iterator[str]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "docker.sock"))
        yield f"unix://{tmp_path}/docker.sock"


def test_the_current_context_where_the_default_socket_is_missing(store: Store, tmp_path: Path) -> None:
    engine = choose(store.environ)
    assert engine.host == "unix:///run/user/1000/docker.sock"
    assert engine.why == f'from the current context "rootless", as there is no {tmp_path}/docker.sock'
    assert choose({"HOME": str(tmp_path)}) == engine, "~/.docker"


def test_the_default_socket_goes_before_the_current_context(store: Store, default_socket: str) -> None:
    engine = choose(store.environ)
    assert engine.host == default_socket
    assert 'the current context "rootless" counts with DOCKER_CONTEXT=rootless' in engine.why


def test_docker_context_goes_before_both(store: Store, default_socket: str) -> None:
    engine = choose({**store.environ, "DOCKER_CONTEXT": "colima"})
    assert engine.host == "unix:///home/u/.colima/default/docker.sock"
    assert engine.why == 'from the context "colima" (DOCKER_CONTEXT)'


def test_docker_host_goes_before_all(store: Store) -> None:
    """As in Docker's own client, whose pages say otherwise."""
    engine = choose({**store.environ, "DOCKER_CONTEXT": "colima", "DOCKER_HOST": "tcp://h:1"})
    assert (engine.host, engine.why) == (
        "tcp://h:1",
        "from DOCKER_HOST, which goes before DOCKER_CONTEXT=colima",
    )


def test_default_is_no_context(store: Store, tmp_path: Path) -> None:
    assert choose({**store.environ, "DOCKER_CONTEXT": "default"}).host == f"unix://{tmp_path}/docker.sock"


@pytest.mark.parametrize(
    "config", [None, "", "{", "[]", '{"currentContext": 3}', '{"currentContext": ""}', "{}"]
)
def test_without_a_current_context_it_is_the_default(
    store: Store, tmp_path: Path, config: str | None
) -> None:
    store.write("config.json", config or "")
    if config is None:
        os.unlink(store.folder / "config.json")
    assert choose(store.environ).host == f"unix://{tmp_path}/docker.sock"


def test_a_current_context_that_has_gone_is_named(store: Store, tmp_path: Path) -> None:
    store.write("config.json", '{"currentContext": "gone"}')
    engine = choose(store.environ)
    assert engine.host == f"unix://{tmp_path}/docker.sock"
    assert 'the context "gone" does not exist' in engine.why


def test_contexts_are_read_without_a_config_json(store: Store) -> None:
    os.unlink(store.folder / "config.json")
    assert choose({**store.environ, "DOCKER_CONTEXT": "rootless"}).host.endswith("1000/docker.sock")


@pytest.mark.parametrize(
    ("meta", "says"),
    [
        (None, 'the context "x" does not exist in'),
        ("{", "cannot be used"),
        ("[]", "cannot be used"),
        ("{}", "cannot be used"),
        ('{"Endpoints": {"docker": []}}', "cannot be used"),
        ('{"Endpoints": {"docker": {"Host": 3}}}', "cannot be used"),
        ('{"Endpoints": {"kubernetes": {}}}', "cannot be used"),
        ('{"Endpoints": {"docker": {"Host": "npipe:////./pipe/x"}}}', "for Windows"),
        ('{"Endpoints": {"docker": {"Host": "ssh://me@h"}}}', "a tunnel"),
    ],
)
def test_a_context_that_is_of_no_use(store: Store, meta: str | None, says: str) -> None:
    if meta is not None:
        store.write(f"contexts/meta/{hashlib.sha256(b'x').hexdigest()}/meta.json", meta)
    with pytest.raises(ConfigError) as error:
        choose({**store.environ, "DOCKER_CONTEXT": "x"})
    assert str(error.value).startswith('DOCKER_CONTEXT: the context "x"')
    assert says in str(error.value)
    if meta is None:
        assert str(error.value).endswith('there is: "colima", "rootless"')


# TLS


def files(certificate: tuple[Path, Path], *names: str) -> dict[str, Path]:
    cert, key = certificate
    return {name: {"ca.pem": cert, "cert.pem": cert, "key.pem": key}[name] for name in names}


@pytest.mark.parametrize(
    ("names", "skip", "verify", "uses_folder"),
    [
        ((), False, False, False),
        ((), True, False, True),
        (("ca.pem",), False, True, True),
        (("ca.pem", "cert.pem", "key.pem"), False, True, True),
        (("cert.pem", "key.pem"), False, True, True),
        (("ca.pem", "cert.pem", "key.pem"), True, False, True),
    ],
)
def test_tls_of_a_context(
    store: Store,
    certificate: tuple[Path, Path],
    names: tuple[str, ...],
    skip: bool,
    verify: bool,
    uses_folder: bool,
) -> None:
    store.context("far", {"Host": "tcp://h", "SkipTLSVerify": skip}, files(certificate, *names))
    # What the variables say of TLS is not about a context.
    engine = choose({**store.environ, "DOCKER_CONTEXT": "far", "DOCKER_TLS_VERIFY": "1"})
    assert (engine.tls_verify, engine.cert_path) == (verify, store.tls("far") if uses_folder else "")
    assert engine.host == ("tcp://h:2376" if uses_folder else "tcp://h:2375")


def test_tls_verify_without_a_path_looks_where_docker_does(
    store: Store, tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    verify = {"DOCKER_HOST": "tcp://h", "DOCKER_TLS_VERIFY": "1"}
    for name, source in files(certificate, "ca.pem", "cert.pem", "key.pem").items():
        shutil.copy(source, tmp_path / ".docker" / name)
    for environ in (store.environ, {"HOME": str(tmp_path)}):
        engine = choose({**environ, **verify})
        assert (engine.tls_verify, engine.cert_path) == (True, str(tmp_path / ".docker"))
        assert engine.why.endswith(f"TLS with cert.pem, key.pem, ca.pem of {tmp_path}/.docker")
    engine = choose({"HOME": "/nonexistent", **verify})
    assert (engine.tls_verify, engine.cert_path) == (True, "")
    assert engine.why.endswith("the authorities of this system are trusted")


def test_a_socket_has_no_tls(store: Store) -> None:
    engine = choose(
        {"DOCKER_HOST": "unix:///x", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/nonexistent"}
    )
    assert (engine.tls_verify, engine.cert_path) == (False, "")


@pytest.mark.parametrize(
    ("names", "spoilt", "says"),
    [
        ((), "", "there is no ca.pem"),
        (("cert.pem", "key.pem"), "", "there is no ca.pem"),
        (("ca.pem", "cert.pem"), "", "needs both"),
        (("ca.pem", "key.pem"), "", "needs both"),
        (("ca.pem",), "ca.pem", "ca.pem (or its key) cannot be used"),
        (("ca.pem", "cert.pem", "key.pem"), "key.pem", "cert.pem (or its key) cannot be used"),
        (("ca.pem", "cert.pem", "key.pem"), "cert.pem", "cert.pem (or its key) cannot be used"),
    ],
)
def test_certificates_that_are_of_no_use(
    tmp_path: Path, certificate: tuple[Path, Path], names: tuple[str, ...], spoilt: str, says: str
) -> None:
    for name, source in files(certificate, *names).items():
        (tmp_path / name).write_text("nonsense" if name == spoilt else source.read_text())
    with pytest.raises(ConfigError) as error:
        choose({"DOCKER_HOST": "tcp://h", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)})
    assert str(error.value).startswith("DOCKER_CERT_PATH: ")
    assert says in str(error.value)


# Docker's own client


@pytest.mark.skipif(not shutil.which("docker"), reason="needs Docker's own client")
def test_the_same_as_dockers_own_client(store: Store, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    tls = f"host=tcp://127.0.0.1:9,ca={cert},cert={cert},key={key}"
    environ = {**store.environ, "PATH": os.environ["PATH"]}
    create = ["docker", "context", "create", "made", "--docker", tls]
    subprocess.run(create, env=environ, check=True, capture_output=True, timeout=60)
    engine = choose({**environ, "DOCKER_CONTEXT": "made"})
    assert (engine.host, engine.tls_verify, engine.cert_path) == (
        "tcp://127.0.0.1:9",
        True,
        store.tls("made"),
    )
    for variables, current in [
        ({}, "rootless"),
        ({"DOCKER_CONTEXT": "made"}, "made"),
        ({"DOCKER_CONTEXT": "made", "DOCKER_HOST": "unix:///x"}, "default"),
    ]:
        show = ["docker", "context", "show"]
        done = subprocess.run(
            show, env={**environ, **variables}, check=True, capture_output=True, text=True, timeout=60
        )
        assert done.stdout.strip() == current
        assert (f'"{current}"' in choose({**environ, **variables}).why) == (current != "default")
