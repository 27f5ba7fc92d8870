"""Answers of registries and their token servers, and the docker config file with the logins."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from microscaling.clients.http.client import Answer, Client, FetchError
from microscaling.clients.oci.auth import challenges
from microscaling.clients.oci.registry import MANIFESTS
from microscaling.config.images.registry import RegistryImages
from microscaling.errors import PermanentError, TemporaryError
from tests.fuzz.checks import SECRET, check_error, check_line, fuzz, heard
from tests.fuzz.inputs import Dice, dice

DIGEST = "sha256:" + "0" * 64
MANIFEST = {
    "schemaVersion": 2,
    "mediaType": MANIFESTS[0],
    "config": {"digest": DIGEST, "size": 7},
    "layers": [],
}
INDEX = {
    "schemaVersion": 2, "manifests": [ {"digest": DIGEST, "platform": {"os": "unknown",
    "architecture": "unknown"}}, {"digest": DIGEST, "platform": {"os": "linux", "architecture": "amd64"}}],
}  # fmt: skip
CONFIG = {"architecture": "amd64", "config": {"Labels": {"com.microscaling.priority": "1"}, "Env": []}}
TOKEN = {"token": "abc", "access_token": "def", "expires_in": 300}
CHALLENGES = [
    'Bearer realm="https://auth.example/token",service="s",scope="repository:a/b:pull"', 'Basic realm="x"',
    "", "Negotiate", 'Bearer realm="http://auth.example/t"', "Bearer realm=https://[::1",
    'Bearer realm="https://u:p@h/"', "Basic a=b, Bearer c=\"\\\"d\"",
]  # fmt: skip
LOCATIONS = [
    "https://blobs.example/x?sig=1",
    "/v2/other",
    "http://plain.example/",
    "//[",
    "https://",
    "file:///etc/passwd",
    "https://a:b@c/",
]
STATUSES = [200, 200, 200, 200, 200, 307, 401, 401, 403, 404, 429, 500]
LOGINS = {
    "auths": {"reg.example": {"auth": base64.b64encode(f"me:{SECRET}".encode()).decode()},
    "https://index.docker.io/v1/": {}}, "credHelpers": {"other.example": "none"},
}  # fmt: skip
PLAIN = {"auths": {"reg.example": {"username": "me", "password": SECRET}}}
IDENTITY = {"auths": {"reg.example": {"identitytoken": SECRET}}}


class Registry:
    """In place of a client of HTTP, since names lead elsewhere: every answer is made up."""

    dice: Dice

    def __init__(self, *_: Any, **__: Any) -> None:
        self.deadline_s = 1.0

    def ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        assert all(value.isprintable() for value in (headers or {}).values())
        assert SECRET not in url
        dice = self.dice
        if dice.number(16) == 15:
            raise FetchError("https://reg.example/: no complete answer within 5 s")
        status = dice.pick(STATUSES)
        said = {"Retry-After": dice.digits()}
        if status == 401:
            said["WWW-Authenticate"] = dice.damaged(dice.pick(CHALLENGES).encode()).decode("latin-1")
        if status == 307:
            said["Location"] = dice.text(*LOCATIONS)
        return Answer(status, said, dice.json(TOKEN if "token" in url else MANIFEST, MANIFEST, INDEX, CONFIG))

    def close(self) -> None: ...


@fuzz
@given(dice)
def test_labels_of_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dice: Dice) -> None:
    """Labels, or an error of ours; logins stay where they are."""
    monkeypatch.setattr("microscaling.clients.oci.registry.Client", Registry)
    monkeypatch.setattr("microscaling.clients.oci.registry.hashlib.new", lambda kind, body: _Digest())
    Registry.dice = dice
    (tmp_path / "config.json").write_bytes(dice.json(LOGINS, PLAIN, IDENTITY))
    images = RegistryImages({"DOCKER_CONFIG": str(tmp_path), "PATH": str(tmp_path)})
    with heard() as said:
        try:
            labels = images.labels(dice.pick(["reg.example/a/b:c", "localhost:5000/a", "a", dice.text()]))
        except (TemporaryError, PermanentError) as error:
            check_error(error)
        else:
            assert all(type(name) is str for name in labels)
    for line in said:
        check_line(line)


class _Digest:
    """Every body has the digest that was asked for."""

    def hexdigest(self) -> str:
        return "0" * 64


def test_the_digest_is_looked_at() -> None:
    assert hashlib.new("sha256", b"").hexdigest() != _Digest().hexdigest()
    assert Client is not Registry
    assert json.dumps(INDEX)


@fuzz
@given(dice)
def test_challenges(dice: Dice) -> None:
    said = "".join(dice.text(*CHALLENGES, 'a="', '\\"', "a=b", ",") for _ in range(5))
    for scheme, parameters in challenges(said).items():
        assert scheme == scheme.lower()
        assert all(type(value) is str for value in parameters.values())
