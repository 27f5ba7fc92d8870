"""What hostile inputs have found, each as small as it gets."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from microscaling.api.apps import apps_from_parsed
from microscaling.clients.kubernetes.client import Kube
from microscaling.clients.kubernetes.login import log_in
from microscaling.clients.oci.auth import authorization
from microscaling.clients.oci.login import find_login
from microscaling.clients.oci.name import parse_name
from microscaling.errors import ConfigError, PermanentError, TemporaryError
from microscaling.metric.sql import SQLSource
from microscaling.scheduler.kubernetes.view import View, known_of, number
from microscaling.scheduler.marathon import Marathon
from microscaling.server.domain.user_config import read_plan
from microscaling.server.http.yaml_file import as_yaml
from microscaling.settings import Settings
from microscaling.utils.strict_json import parse
from microscaling.utils.yaml_text import parse as parse_yaml
from tests.fuzz.checks import SECRET, check_error
from tests.fuzz.test_orchestrators import APP, DEPLOYMENT, FULL, KUBECONFIG
from tests.fuzz.wire import Answering, answer, stream

DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "text", ["a: !!int ''", "a: !!float ''", "a: !!float '-'", "a: !!int [", "a: !!float _"]
)
def test_yaml_that_does_not_fit_its_tag(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text.encode())
    check_error(caught.value)


@pytest.mark.parametrize(
    "value",
    [f"!!int {{a: {SECRET}}}", f"!!int {SECRET}", f"!!float [{SECRET}]", f"!{SECRET}'x x", f"*{SECRET}"],
)
def test_bad_yaml_tells_no_secret(value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(f"password: {value}".encode())
    check_error(caught.value)


@pytest.mark.parametrize(
    "realm", ["\xa0https://auth.example/", "http://auth.example/" + "x" * 5000, "https://u:" + SECRET + "@a/"]
)
def test_a_token_server_that_is_not_safe(realm: str) -> None:
    with pytest.raises(PermanentError) as caught:
        authorization(
            parse_name("reg.example/a"), f'Bearer realm="{realm}"', None, lambda *_: pytest.fail("asked")
        )
    check_error(caught.value)


def test_a_database_with_a_tab_in_its_name() -> None:
    with pytest.raises(ConfigError) as caught:
        SQLSource("sqlite:\t////db", "SELECT 1")
    check_error(caught.value)


def test_a_configuration_of_null_is_none() -> None:
    with pytest.raises(ConfigError, match="got null"):
        read_plan(None, Settings())


@pytest.mark.parametrize(
    "config", ['{"x-\\ud800": "\\ud800"}', json.dumps({"x-" + "y" * 5000: {"a": [[1], {}]}})]
)
def test_what_is_kept_can_be_given_out(config: str) -> None:
    plan = read_plan(parse(config.encode()), Settings())
    json.dumps(plan.data, ensure_ascii=False).encode()
    assert parse_yaml(as_yaml(plan.data).encode()) == plan.data


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("500 Error", '{"details": true}'),
        ("500 Error", '{"message": 1, "details": [1]}'),
        ("429 Too Many", DEEP),
        ("200 OK", DEEP),
        ("200 OK", "9" * 5000),
        ("200 OK", '{"items": [1], "metadata": {}}'),
    ],
)
def test_what_no_kubernetes_answers(kube: tuple[Answering, Kube], status: str, body: str) -> None:
    server, cluster = kube
    server.answers = answer(body.encode(), status)
    with pytest.raises(Exception) as caught:
        cluster.deployments()
    assert type(caught.value).__module__.startswith("microscaling.")
    check_error(caught.value)


@pytest.mark.parametrize(
    "event", ['{"type": "ERROR", "object": {"code": 1e400}}', DEEP, '{"type": 1, "object": 2}']
)
def test_what_no_watch_tells(kube: tuple[Answering, Kube], event: str) -> None:
    server, cluster = kube
    server.answers = stream(event.encode() + b"\n")
    watch = cluster.watch("7")
    with pytest.raises(TemporaryError):
        list(watch)
    watch.close()


@pytest.fixture
def kube(tmp_path: Path) -> Any:
    with Answering() as server:
        path = tmp_path / "config"
        path.write_text(json.dumps(KUBECONFIG).replace("127.0.0.1:1", server.endpoint))
        cluster = Kube(str(path), "default")
        yield server, cluster
        cluster.close()


@pytest.mark.parametrize("replicas", [2**31, 10**30, -1, True, 1.0, "1"])
def test_numbers_that_no_deployment_has(replicas: Any) -> None:
    with pytest.raises(TemporaryError):
        known_of({**DEPLOYMENT, "spec": {"replicas": replicas}})


def test_a_version_that_is_too_long_is_no_number() -> None:
    assert number("9" * 5000) is None
    view = View()
    view.names = frozenset({"web"})
    view.listed([DEPLOYMENT], "9" * 5000, 1)
    assert view.newest == 7


@pytest.mark.parametrize("instances", [2**31, 10**30, -1, math.inf, True])
def test_numbers_that_no_app_has(answering: Answering, instances: Any) -> None:
    answering.answers = answer(json.dumps({"apps": [{**APP, "instances": instances}]}).encode())
    marathon = Marathon(f"http://{answering.endpoint}")
    with pytest.raises(TemporaryError) as caught:
        marathon.read(["web"])
    marathon.close()
    check_error(caught.value)


def kubeconfig(**cluster: Any) -> dict[str, Any]:
    return {**FULL, "clusters": [{"name": "k", "cluster": cluster}]}


@pytest.mark.parametrize(
    "config",
    [
        {**FULL, "users": [{"name": "u", "User": {"token": SECRET}}]},
        {**FULL, "users": {"u": SECRET}},
        kubeconfig(server="http://["),
        kubeconfig(server=5),
    ],
)
def test_a_bad_kubeconfig_tells_no_secret(tmp_path: Path, config: Any) -> None:
    path = tmp_path / "config"
    path.write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=r"^MSS_KUBE_CONFIG: ") as caught:
        log_in(str(path))
    check_error(caught.value)


def test_yaml_in_a_kubeconfig_tells_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(f"users: *{SECRET}\n")
    with pytest.raises(ConfigError, match="line 1, column 8") as caught:
        log_in(str(path))
    check_error(caught.value)


@pytest.mark.parametrize("entry", [{"username": "\ud800", "password": "\udfff"}, {"identitytoken": "\ud800"}])
def test_a_login_with_half_a_character(tmp_path: Path, entry: dict[str, str]) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"reg.example": entry}}))
    login = find_login("reg.example", {"DOCKER_CONFIG": str(tmp_path)})
    assert login is not None
    name = parse_name("reg.example/a")
    if login.user:
        assert authorization(name, 'Basic realm="x"', login, lambda *_: pytest.fail("asked")).isascii()
    login.identity_token.encode()


def test_the_name_of_a_secret_that_is_two_lines() -> None:
    config = {"image": "a", "networkMode": "bridge", "secrets": {"a\nb": 1}}
    app = {"name": "x", "maxContainers": 3, "ruleType": "Remainder", "config": config}
    with pytest.raises(ConfigError, match=r"config.secrets.a\\nb.file: expected the absolute path") as caught:
        apps_from_parsed({"maxContainers": 3, "apps": [app]})
    check_error(caught.value)
