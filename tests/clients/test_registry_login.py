"""The logins that a docker config file knows."""

from __future__ import annotations

import base64
import json
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from microscaling.clients.oci.login import HELPER_S, Login, find_login


def docker_config(folder: Path, **config: Any) -> dict[str, str]:
    (folder / "config.json").write_text(json.dumps(config))
    return {"DOCKER_CONFIG": str(folder)}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("auths", "registry", "login"),
    [
        ({"r.example": {"auth": encoded("u:p:q")}}, "r.example", Login("u", "p:q")),
        ({"r.example": {"auth": encoded("u:p\0\0")}}, "r.example", Login("u", "p")),
        ({"https://r.example/v1/": {"auth": encoded("u:p")}}, "r.example", Login("u", "p")),
        ({"r.example/team": {"auth": encoded("u:p")}}, "r.example", Login("u", "p")),
        ({"x.r.example": {"auth": encoded("u:p")}}, "r.example", None),
        ({"r.example:5000": {"auth": encoded("u:p")}}, "r.example", None),
        ({"r.example": {"username": "u", "password": "p"}}, "r.example", Login("u", "p")),
        ({"r.example": {"auth": "x", "identitytoken": "t"}}, "r.example", Login(identity_token="t")),
        ({"r.example": {}}, "r.example", None),
        ({"r.example": 3}, "r.example", None),
        ({"https://index.docker.io/v1/": {"auth": encoded("u:p")}}, "docker.io", Login("u", "p")),
        ({"docker.io": {"auth": encoded("u:p")}}, "docker.io", Login("u", "p")),
    ],
)  # fmt: skip
def test_login(tmp_path: Path, auths: Any, registry: str, login: Login | None) -> None:
    assert find_login(registry, docker_config(tmp_path, auths=auths)) == login


def test_the_home_folder_is_where_it_is_by_default(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    docker_config(tmp_path / ".docker", auths={"r.example": {"auth": encoded("u:p")}})
    assert find_login("r.example", {"HOME": str(tmp_path)}) == Login("u", "p")
    assert find_login("r.example", {"HOME": str(tmp_path / "other")}) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"auths": [1]}', "[" * 100_000, '{"credHelpers": 3}'])
def test_a_file_that_is_none_is_no_login(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert find_login("r.example", {"DOCKER_CONFIG": str(tmp_path)}) is None


@pytest.mark.parametrize(
    "auth", ["%%%", encoded("no colon"), "dTpw\xff", base64.b64encode(b"\xff:\xff").decode()]
)
def test_a_login_that_cannot_be_read_is_said(
    tmp_path: Path, auth: str, caplog: pytest.LogCaptureFixture
) -> None:
    environ = docker_config(tmp_path, auths={"r.example": {"auth": auth}})
    assert find_login("r.example", environ) is None
    assert caplog.messages == [f"{tmp_path}/config.json: the login for r.example cannot be read"]


ECHO = """[ "$1" = get ] && read -r R; echo "{\\"Username\\": \\"u\\", \\"Secret\\": \\"$R\\"}" """


@pytest.fixture
def helper(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Makes docker-credential-mine, a script, and a config file that names it for r.example."""

    def make(script: str) -> dict[str, str]:
        path = tmp_path / "docker-credential-mine"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        auths = {"r.example": {"auth": encoded("from:file")}}
        environ = docker_config(tmp_path, auths=auths, credHelpers={"r.example": "mine"})
        return {**environ, "PATH": f"{tmp_path}:/usr/bin:/bin"}

    return make


@pytest.mark.parametrize(
    ("script", "login"),
    [
        (ECHO, Login("u", "r.example")),
        ("""echo '{"Username": "<token>", "Secret": "t"}'""", Login(identity_token="t")),
        ("echo 'credentials not found in native keychain'; exit 1", Login("from", "file")),
        ("""echo '{"Username": "", "Secret": ""}'""", Login("from", "file")),
        ("echo nonsense", Login("from", "file")),
    ],
)  # fmt: skip
def test_helper(helper: Callable[[str], dict[str, str]], script: str, login: Login) -> None:
    assert find_login("r.example", helper(script)) == login


def test_a_helper_that_hangs_is_given_up(
    helper: Callable[[str], dict[str, str]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("microscaling.clients.oci.login.HELPER_S", 0.2)
    began = time.monotonic()
    assert find_login("r.example", helper("exec sleep 60")) == Login("from", "file")
    assert time.monotonic() - began < HELPER_S
    assert caplog.messages == ["docker-credential-mine has not answered within 0.2 s"]


@pytest.mark.parametrize("name", ["gone", "../../bin/sh", "", 3])
def test_a_helper_that_is_not_there_is_said(
    tmp_path: Path, name: object, caplog: pytest.LogCaptureFixture
) -> None:
    environ = docker_config(tmp_path, credsStore=name or "x y")
    assert find_login("r.example", {**environ, "PATH": str(tmp_path)}) is None
    assert "which is not there" in caplog.text
