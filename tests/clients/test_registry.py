"""The labels of an image, from a registry that holds to the documentation."""

from __future__ import annotations

import base64
import json
import logging
import ssl
from pathlib import Path
from typing import Any

import pytest

from microscaling.clients.http.client import Answer
from microscaling.clients.oci.auth import authorization, challenges
from microscaling.clients.oci.login import Login
from microscaling.clients.oci.name import parse_name
from microscaling.config.images.registry import RegistryImages
from microscaling.errors import ConfigError, PermanentError, TemporaryError
from tests.fakes.registry import DOCKER_MANIFEST, SERVICE, Cdn, Registry, digest_of

LABELS = {"com.microscaling.priority": "3"}
HEX = "ab" * 32


@pytest.mark.parametrize(
    ("image", "registry", "repository", "reference"),
    [
        ("alpine", "docker.io", "library/alpine", "latest"),
        ("alpine:3.20", "docker.io", "library/alpine", "3.20"),
        ("example/worker", "docker.io", "example/worker", "latest"),
        ("docker.io/alpine", "docker.io", "library/alpine", "latest"),
        ("index.docker.io/example/worker:1", "docker.io", "example/worker", "1"),
        ("localhost/app", "localhost", "app", "latest"),
        ("localhost:5000/team/app:v1", "localhost:5000", "team/app", "v1"),
        ("registry.example/a/b/c", "registry.example", "a/b/c", "latest"),
        ("Example/app", "Example", "app", "latest"),
        ("[::1]:5000/app", "[::1]:5000", "app", "latest"),
        (f"registry.example/app:1@sha256:{HEX}", "registry.example", "app", f"sha256:{HEX}"),
    ],
)
def test_name(image: str, registry: str, repository: str, reference: str) -> None:
    name = parse_name(image)
    assert (name.registry, name.repository, name.reference) == (registry, repository, reference)


@pytest.mark.parametrize(
    "image",
    ["", ":", "UPPER", "a b", "a/../b", "a//b", "http://registry.example/app", "user@registry.example/app",
     "registry.example/app:", "registry.example/app@sha256:12", "registry.example:x/app", "app?x=1",
     "a" * 300,     "registry.example/app#f", "app\n", "a" + "-" * 5000, f"app@md5:{HEX}"],
)  # fmt: skip
def test_what_names_no_image(image: str) -> None:
    with pytest.raises(ConfigError, match="is not the name of an image"):
        parse_name(image)


def test_docker_io_speaks_the_api_elsewhere() -> None:
    assert parse_name("alpine").endpoint == "registry-1.docker.io"
    assert parse_name("registry.example/alpine").endpoint == "registry.example"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def labels_of(
    registry: Registry, image: str = "team/app:v1", environ: dict[str, str] | None = None, **options: Any
) -> Any:
    images = RegistryImages(environ=environ or {"DOCKER_CONFIG": "/nonexistent"}, **options)
    return images.labels(f"{registry.host}/{image}")


def with_image(registry: Registry, labels: object = LABELS, **options: Any) -> dict[str, Any]:
    descriptor = registry.image("team/app", labels, **options)
    registry.tag("team/app", "v1", descriptor)
    return descriptor


def docker_config(folder: Path, **config: Any) -> dict[str, str]:
    (folder / "config.json").write_text(json.dumps(config))
    return {"DOCKER_CONFIG": str(folder)}


def logged_in(folder: Path, registry: Registry, password: str = "") -> dict[str, str]:
    auth = encoded(f"{registry.user}:{password or registry.password}")
    return docker_config(folder, auths={registry.host: {"auth": auth}})


# What is stored


@pytest.mark.parametrize("oci", [False, True])
def test_labels_of_an_image(oci: bool) -> None:
    with Registry() as registry:
        descriptor = with_image(registry, oci=oci)
        assert labels_of(registry) == LABELS
        assert labels_of(registry, f"team/app@{descriptor['digest']}") == LABELS


@pytest.mark.parametrize("labels", [None, {}])
def test_no_labels(labels: object) -> None:
    with Registry() as registry:
        with_image(registry, labels)
        assert labels_of(registry) == {}
        with_image(registry, labels, config=None)
        assert labels_of(registry) == {}


PLATFORMS = [
    (("linux/arm64", "linux/amd64"), "linux/amd64"),
    (("windows/amd64", "linux/arm64"), "windows/amd64"),
    (("unknown/unknown", "linux/arm64"), "linux/arm64"),
]


@pytest.mark.parametrize("oci", [False, True])
@pytest.mark.parametrize(("platforms", "chosen"), PLATFORMS)
def test_an_index_gives_the_image_of_the_platform(platforms: tuple[str, ...], chosen: str, oci: bool) -> None:
    with Registry() as registry:
        entries = [(registry.image("team/app", {"is": p}, oci=oci), p) for p in platforms]
        registry.tag("team/app", "v1", registry.index("team/app", *entries, oci=oci))
        assert labels_of(registry) == {"is": chosen}


def test_an_index_in_an_index_but_not_without_end() -> None:
    with Registry() as registry:
        found = registry.image("team/app", LABELS)
        for _ in range(2):
            found = registry.index("team/app", (found, "linux/amd64"))
        registry.tag("team/app", "v1", found)
        assert labels_of(registry) == LABELS
        registry.tag("team/app", "v1", registry.index("team/app", (found, "linux/amd64")))
        with pytest.raises(PermanentError, match="of a kind that has no labels"):
            labels_of(registry)


ODD = [
    (b"{}", "its manifest is of a kind that has no labels"),
    (b'{"schemaVersion": 1, "fsLayers": []}', "of a kind that has no labels"),
    (b'{"manifests": []}', "names no digest"),
    (b'{"manifests": [3, {"digest": 4}]}', "names no digest"),
    (b'{"config": {"digest": "sha256:../../etc"}}', "names no digest"),
    (b"[]", "JSON that is no object"),
    (b"<html>", "the answer is not JSON"),
    (b"[" * 100_000, "the answer is not JSON that can be read"),
    (b'{"config": {"digest": "sha256:' + HEX.encode() + b'"}}', "is not there"),
]


@pytest.mark.parametrize(("body", "says"), ODD, ids=range(len(ODD)))
def test_an_odd_manifest_is_said(body: bytes, says: str) -> None:
    with Registry() as registry:
        registry.tag("team/app", "v1", registry.manifest("team/app", DOCKER_MANIFEST, body))
        with pytest.raises(PermanentError, match=says):
            labels_of(registry)


def test_what_has_another_digest_is_refused() -> None:
    with Registry() as registry:
        descriptor = with_image(registry)
        registry.tampered = True
        for image in ("team/app:v1", f"team/app@{descriptor['digest']}"):
            with pytest.raises(TemporaryError, match="sends something else than sha256:"):
                labels_of(registry, image)


# Who may see it


def test_a_public_image_needs_a_token_but_no_login() -> None:
    with Registry("bearer") as registry:
        with_image(registry)
        registry.public.add("team/app")
        assert labels_of(registry) == LABELS
        token_requests = [path for _, path, _ in registry.asked if path.startswith("/token")]
        assert len(token_requests) == 1


@pytest.mark.parametrize("guard", ["bearer", "basic"])
def test_a_private_image_with_a_login(tmp_path: Path, guard: str) -> None:
    with Registry(guard) as registry:
        with_image(registry)
        assert labels_of(registry, environ=logged_in(tmp_path, registry)) == LABELS


@pytest.mark.parametrize("guard", ["bearer", "basic"])
def test_a_private_image_without_a_login_or_with_a_wrong_one(tmp_path: Path, guard: str) -> None:
    with Registry(guard) as registry:
        with_image(registry)
        with pytest.raises(PermanentError, match=r"HTTP 401|has none for it"):
            labels_of(registry)
        with pytest.raises(PermanentError, match="HTTP 401") as caught:
            labels_of(registry, environ=logged_in(tmp_path, registry, "wr0ng-word"))
    assert 'user "reader"' in str(caught.value)
    assert "wr0ng-word" not in str(caught.value)


def test_an_identity_token_is_exchanged(tmp_path: Path) -> None:
    with Registry("bearer") as registry:
        with_image(registry)
        for token, works in ((registry.identity_token, True), ("n0-good", False)):
            environ = docker_config(tmp_path, auths={registry.host: {"identitytoken": token}})
            if works:
                assert labels_of(registry, environ=environ) == LABELS
            else:
                with pytest.raises(PermanentError, match="this identity token no token") as caught:
                    labels_of(registry, environ=environ)
                assert token not in str(caught.value)


def test_another_challenge_is_not_met() -> None:
    with Registry("bearer") as registry:
        with_image(registry)
        registry.challenge = 'Negotiate realm="x"'
        with pytest.raises(PermanentError, match="a kind of login that is not known here"):
            labels_of(registry)


@pytest.mark.parametrize(
    "realm", ["http://tokens.example/", "ftp://127.0.0.1/", "", "//x", "http://[", "https://u:p@x/"]
)
def test_the_login_goes_to_no_unsafe_realm(tmp_path: Path, realm: str) -> None:
    with Registry("bearer") as registry:
        with_image(registry)
        registry.realm = realm
        with pytest.raises(PermanentError, match="names a token server that is not safe"):
            labels_of(registry, environ=logged_in(tmp_path, registry))
        assert not [headers for _, _, headers in registry.asked if "Authorization" in headers]


def test_a_registry_elsewhere_cannot_name_a_realm_on_this_machine() -> None:
    def ask(*_: object) -> Answer:
        raise AssertionError("the login has been sent")

    with pytest.raises(PermanentError, match="not safe"):
        authorization(
            parse_name("registry.example/app"), 'Bearer realm="http://127.0.0.1/"', Login("u", "p"), ask
        )


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ('Bearer realm="https://a/t?x=1,2",service="s",scope="repository:a/b:pull"',
         {"bearer": {"realm": "https://a/t?x=1,2", "service": "s", "scope": "repository:a/b:pull"}}),
        ('BASIC Realm="a \\"b\\""', {"basic": {"realm": 'a "b"'}}),
        ('Basic realm="x", Bearer realm=y', {"basic": {"realm": "x"}, "bearer": {"realm": "y"}}),
        ("Negotiate, Basic", {"negotiate": {}, "basic": {}}),
        ("", {}),
        ('realm="x"', {}),
        ("=,,\"", {}),
    ],
)  # fmt: skip
def test_challenges(header: str, found: dict[str, dict[str, str]]) -> None:
    assert challenges(header) == found


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]", b"{}", b'{"token": 3}', b'{"token": ""}', b'{"token": "a\\r\\nX: y"}', b"<html>"],
)
def test_an_answer_without_a_token(answer: bytes) -> None:
    name = parse_name("registry.example/app")
    with pytest.raises(PermanentError, match="without a token in it"):
        authorization(name, 'Bearer realm="https://t/"', None, lambda *_: Answer(200, {}, answer))


# Blobs that are kept elsewhere


def test_a_redirect_is_followed_without_the_login(tmp_path: Path) -> None:
    with Registry("bearer") as registry, Cdn() as cdn:
        with_image(registry)
        registry.cdn = cdn
        assert labels_of(registry, environ=logged_in(tmp_path, registry)) == LABELS
        assert [path.split("?")[1] for _, path, _ in cdn.asked] == ["signature=good"]


def test_what_comes_from_elsewhere_is_checked_too() -> None:
    with Registry() as registry, Cdn() as cdn:
        with_image(registry)
        registry.cdn = cdn
        labels_of(registry)
        blob = next(iter(cdn.blobs))
        registry.redirect = f"{cdn.url}/data/{blob}?signature=good"
        cdn.blobs[blob] = b'{"config": {"Labels": {"evil": "1"}}}'
        with pytest.raises(TemporaryError, match="something else"):
            labels_of(registry)


@pytest.mark.parametrize(
    "to", ["http://elsewhere.example/", "file:///etc/passwd", "http://[", "gopher://127.0.0.1/"]
)
def test_an_unsafe_redirect_is_refused(to: str) -> None:
    with Registry() as registry:
        with_image(registry)
        registry.redirect = to
        with pytest.raises(PermanentError, match="redirects to an"):
            labels_of(registry)


def test_redirects_without_end() -> None:
    with Registry() as registry:
        with_image(registry)
        registry.redirect = f"{registry.url}/v2/team/app/blobs/{digest_of(b'')}"
        registry.blobs[digest_of(b"")] = b""
        with pytest.raises(PermanentError, match="HTTP 307"):
            labels_of(registry)
        assert len(registry.asked) < 10


# What goes wrong


@pytest.mark.parametrize(
    ("image", "says"),
    [("team/app:v9", "is not there"), ("other/app", "is not there"), ("TEAM", "is not the name of an image")],
)
def test_what_is_not_there(image: str, says: str) -> None:
    with Registry() as registry:
        with_image(registry)
        with pytest.raises(PermanentError, match=says):
            labels_of(registry, image)


def test_too_many_requests_says_when_to_come_back() -> None:
    with Registry() as registry:
        with_image(registry)
        for seconds, delay in (("7", 7.0), ("86400", 60.0), ("Wed, 21 Oct 2015 07:28:00 GMT", None)):
            registry.too_many, registry.retry_after = 2, seconds
            with pytest.raises(TemporaryError, match="HTTP 429") as caught:
                labels_of(registry)
            assert caught.value.delay_s == delay


def test_a_broken_registry_and_a_broken_token_server_are_worth_another_try() -> None:
    with Registry("bearer") as registry:
        with_image(registry)
        registry.public.add("team/app")
        registry.broken = 2
        with pytest.raises(TemporaryError, match="HTTP 502"):
            labels_of(registry)
        asks = registry.answer

        def broken_token_server(request: Any, body: str) -> None:
            registry.broken = request.path.startswith("/token")
            asks(request, body)

        registry.answer = broken_token_server  # type: ignore[method-assign]
        with pytest.raises(TemporaryError, match="/token: answers with HTTP 502"):
            labels_of(registry)


def test_an_image_has_a_deadline_of_its_own() -> None:
    with Registry() as registry:
        with_image(registry)
        with pytest.raises(TemporaryError, match="has not answered all within 0 s"):
            labels_of(registry, within_s=0)


# TLS


def test_over_tls(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with Registry("bearer", context) as registry, Cdn(context) as cdn:
        with_image(registry)
        registry.cdn = cdn
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
        assert labels_of(registry, environ=logged_in(tmp_path, registry)) == LABELS
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        before = len(registry.asked)
        with pytest.raises(PermanentError, match="certificate verify failed"):
            labels_of(registry, environ=logged_in(tmp_path, registry))
        assert len(registry.asked) == before


def test_secrets_are_in_no_log_and_no_repr(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Registry("bearer") as registry:
        with_image(registry)
        labels_of(registry, environ=logged_in(tmp_path, registry))
        secrets = {registry.password, *registry.tokens, encoded(f"{registry.user}:{registry.password}")}
    shown = caplog.text + repr(Login("u", "p4ssword", "t0ken"))
    assert not [secret for secret in {*secrets, "p4ssword", "t0ken"} if secret in shown]
    assert SERVICE in str(registry.asked)
