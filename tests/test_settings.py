"""Every setting, its default and its variable."""

from __future__ import annotations

import dataclasses
import logging
import os
import pwd
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from microscaling.config.services.plugin import TYPE as SERVICES
from microscaling.errors import ConfigError
from microscaling.scheduler.swarm.plugin import TYPE as SWARM
from microscaling.settings import Settings, files, variables
from tests.pages import DOCS

VARIABLES = DOCS / "variables.md"

DEFAULTS = {
    "scheduler": "DOCKER",
    "api_address": "app.microscaling.com",
    "api_token": "",
    "user_id": "5k5gk",
    "send_metrics_to_api": True,
    "monitor": "SERVER",
    "pull_images": True,
    "docker_host": "unix:///var/run/docker.sock",
    "docker_tls_verify": False,
    "docker_cert_path": "",
    "docker_chosen": "",
    "max_containers": None,
    "demand_engine": "LOCAL",
    "marathon_api": "http://localhost:8080",
    "marathon_token": "",
    "config": "SERVER",
    "config_data": "",
    "config_file": "",
    "kube_config": "",
    "kube_namespace": "default",
    "log_debug": "none",
    "log_format": "plain",
    "ku": 0.05,
    "tu": 10.0,
    "kp": 0.8 * 0.05,
    "ki": 0.0,
    "kd": 1.25,
    "early_looks": True,
    "vel_samples": 1,
    "scale_down_window_s": 0.0,
    "nsq_stats_endpoint": "127.0.0.1:4151",
    "aws_region": "",
    "azure_storage_account_name": "",
    "azure_storage_account_key": "",
    "azure_storage_connection_string": "",
    "pass_env": "",
    "reload": "ask",
    "on_exit": "stop",
    "exit_timeout_s": 30.0,
    "dry_run": False,
    "state_dir": "",
    "orphans": "keep",
    "warm_memory": None,
    "health_file": "",
    "warn_after_s": 600.0,
    "notify_url": "",
    "notify_events": "",
    "notify_token": "",
    "notify_template": "",
    "metrics_address": "",
    "server_address": "127.0.0.1:8000",
    "server_token": "",
    "server_open": False,
    "server_store": "",
}
OF_THE_IMAGE = {"MSS_DROP_TO": "65532 in the image"}
"""Read before there are any settings, and only there."""
IN_FILES = [
    "MSS_API_TOKEN",
    "MSS_MARATHON_API",
    "MSS_MARATHON_TOKEN",
    "MSS_CONFIG_DATA",
    "NSQ_STATS_ENDPOINT",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_CONNECTION_STRING",
    "MSS_NOTIFY_URL",
    "MSS_NOTIFY_TOKEN",
    "MSS_SERVER_TOKEN",
]
"""Secrets, and what may hold one."""
NOT_MSS = [
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "NSQ_STATS_ENDPOINT",
    "AWS_REGION",
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_CONNECTION_STRING",
]


@pytest.mark.parametrize("environ", [{}, dict.fromkeys(variables(), "")], ids=["unset", "empty"])
def test_defaults(environ: dict[str, str]) -> None:
    assert dataclasses.asdict(Settings.from_env(environ)) == DEFAULTS
    assert Settings.from_env(environ) == Settings()


def test_variables() -> None:
    assert [name for name in variables() if not name.startswith("MSS_")] == NOT_MSS
    assert {f"MSS_{name.upper()}" for name in DEFAULTS if name != "docker_chosen"} - set(variables()) == {
        f"MSS_{name}" for name in NOT_MSS
    }


def test_the_docs_list_exactly_these() -> None:
    rows = re.findall(r"^\| `([A-Z0-9]+_[A-Z0-9_]+)` \| (.*?) \|", VARIABLES.read_text("utf-8"), re.MULTILINE)
    listed = {name: default.replace("`", "") for name, default in rows}
    ours = {name: default for name, (default, _) in variables().items()}
    of_plugins = {v.name: v.default or "empty" for v in (*SERVICES.variables, *SWARM.variables)}
    assert listed == ours | of_plugins | OF_THE_IMAGE
    assert len(rows) == len(listed)


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("MSS_SCHEDULER", "TOY", "scheduler", "TOY"),
        ("MSS_PULL_IMAGES", "false", "pull_images", False),
        ("MSS_PULL_IMAGES", "No", "pull_images", False),
        ("MSS_DRY_RUN", "1", "dry_run", True),
        ("DOCKER_TLS_VERIFY", "0", "docker_tls_verify", True),
        ("MSS_KI", "-.5e-1", "ki", -0.05),
        ("MSS_VEL_SAMPLES", "7", "vel_samples", 7),
        ("MSS_EARLY_LOOKS", "false", "early_looks", False),
        ("MSS_ON_EXIT", "LEAVE", "on_exit", "leave"),
        ("MSS_EXIT_TIMEOUT_S", "2.5", "exit_timeout_s", 2.5),
        ("MSS_SCALE_DOWN_WINDOW_S", "0", "scale_down_window_s", 0.0),
        ("MSS_SCALE_DOWN_WINDOW_S", "2.5", "scale_down_window_s", 2.5),
        ("NSQ_STATS_ENDPOINT", "nsq:1", "nsq_stats_endpoint", "nsq:1"),
    ],
)
def test_value(variable: str, value: str, field: str, expected: object) -> None:
    assert getattr(Settings.from_env({variable: value}), field) == expected


@pytest.mark.parametrize(
    ("environ", "kp", "kd"),
    [
        ({"MSS_KU": "0.1", "MSS_TU": "4"}, 0.8 * 0.1, 0.5),
        ({"MSS_KU": "0.1", "MSS_KP": "3", "MSS_KD": "0"}, 3.0, 0.0),
        ({"MSS_KU": "0.1", "MSS_KP": "oops"}, 0.8 * 0.1, 1.25),
    ],
)
def test_gains(environ: dict[str, str], kp: float, kd: float) -> None:
    settings = Settings.from_env(environ)
    assert (settings.kp, settings.kd) == (kp, kd)


@pytest.mark.parametrize("name", ["ku", "tu", "kp", "ki", "kd", "vel_samples"])
@pytest.mark.parametrize("value", ["oops", "nan", "inf", "1e999", "1_0", "0x1"])
def test_bad_number_is_a_warning(name: str, value: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "msstarget"):
        assert getattr(Settings.from_env({f"MSS_{name.upper()}": value}), name) == DEFAULTS[name]
    assert caplog.messages[0].startswith(f"MSS_{name.upper()}: expected a")


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "9" * 30])
def test_bad_number_of_samples_is_one(value: str) -> None:
    assert Settings.from_env({"MSS_VEL_SAMPLES": value}).vel_samples == 1


@pytest.mark.parametrize("value", ["-1", "3601", "nan", "1m"])
def test_a_bad_window_is_named(value: str) -> None:
    problem = f'MSS_SCALE_DOWN_WINDOW_S: expected a number of seconds from 0 to 3600, got "{value}"'
    with pytest.raises(ConfigError) as error:
        Settings.from_env({"MSS_SCALE_DOWN_WINDOW_S": value})
    assert error.value.problems == (problem,)


def test_every_bad_variable_at_once() -> None:
    bad = {
        "MSS_PULL_IMAGES": "ma\nybe",
        "MSS_ON_EXIT": "x",
        "MSS_EXIT_TIMEOUT_S": "nan",
        "MSS_LOG_FORMAT": "xml",
    }
    with pytest.raises(ConfigError) as error:
        Settings.from_env(bad)
    assert sorted(error.value.problems) == [
        'MSS_EXIT_TIMEOUT_S: expected a number of seconds above 0, at most 86400, got "nan"',
        'MSS_LOG_FORMAT: expected plain or json, got "xml"',
        'MSS_ON_EXIT: expected stop or leave, got "x"',
        'MSS_PULL_IMAGES: expected true or false, got "ma\\nybe"',
    ]


PATHS = ["MSS_CONFIG_FILE", "MSS_STATE_DIR", "MSS_HEALTH_FILE", "MSS_SERVER_STORE", "MSS_KUBE_CONFIG"]


@pytest.mark.parametrize("variable", [*PATHS, "DOCKER_CERT_PATH"])
def test_a_path_may_begin_with_the_home_folder(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a unit, a Compose file or a file of variables has it, which no shell expands."""

    def read(value: str) -> str:
        return str(getattr(Settings.from_env({variable: value}), variable.removeprefix("MSS_").lower()))

    monkeypatch.setenv("HOME", "/home/of")
    assert [read(text) for text in ("~/x", "~", "./~", "a~/b")] == ["/home/of/x", "/home/of", "./~", "a~/b"]
    assert read("~root/x") == f"{pwd.getpwuid(0).pw_dir}/x"
    assert read("~backup.yml") == "~backup.yml", "a file with such a name"
    with pytest.raises(ConfigError, match=f'^{variable}: there is no such home folder, got "~no-such/x"$'):
        read("~no-such/x")


def test_bytes_that_are_no_text_are_only_in_paths() -> None:
    """The environment of a process may have any bytes but zero."""
    with pytest.raises(ConfigError) as caught:
        Settings.from_env({"MSS_USER_ID": "\udcff", "MSS_NOTIFY_TEMPLATE": "\udcff$text"})
    assert [problem.partition(", got")[0] for problem in caught.value.problems] == [
        "MSS_USER_ID: expected text in UTF-8", "MSS_NOTIFY_TEMPLATE: expected text in UTF-8",
    ]  # fmt: skip
    assert Settings.from_env({"MSS_STATE_DIR": "/srv/\udcff"}).state_dir == "/srv/\udcff"


@pytest.mark.parametrize("token", ["a b", "a\nb", "é", "\x7f", " "])
def test_a_token_that_does_not_fit_into_a_header_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(ConfigError, match=r"^MSS_API_TOKEN: expected .* got a value that is not shown$"):
        Settings.from_env({"MSS_API_TOKEN": token})


def test_a_token_may_come_with_a_line_feed_at_its_end() -> None:
    assert Settings.from_env({"MSS_API_TOKEN": "t0ken\n"}).api_token == "t0ken"


@pytest.mark.parametrize("variable", [*IN_FILES, "MSS_API_ADDRESS"])
def test_secrets_are_not_shown(variable: str) -> None:
    value = "http://me:hunter22@h"
    settings = Settings.from_env({variable: value})
    assert settings.secrets()[0] in (value, "hunter22")
    assert "hunter22" not in repr(settings)


def test_harmless_values_are_not_secret() -> None:
    assert not Settings().secrets()
    assert Settings.from_env({"NSQ_STATS_ENDPOINT": "me:hunter22@nsqd:4151"}).secrets()[0] == "hunter22"


# Secrets in files


@pytest.mark.parametrize("variable", IN_FILES)
@pytest.mark.parametrize("data", [b"s3cr3t", b"s3cr3t\n", b"\xef\xbb\xbfs3cr3t\r\n"])
def test_a_secret_may_be_in_a_file(variable: str, data: bytes, tmp_path: Path) -> None:
    """Also behind a link, as Kubernetes mounts them."""
    (tmp_path / "target").write_bytes(data)
    (tmp_path / "secret").symlink_to("target")
    environ = {variable: "", f"{variable}_FILE": str(tmp_path / "secret")}
    assert Settings.from_env(environ) == Settings.from_env({variable: "s3cr3t"})


def test_the_file_of_a_secret_may_be_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("s3cr3t")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Settings.from_env({"MSS_API_TOKEN_FILE": "~/token"}).api_token == "s3cr3t"
    with pytest.raises(ConfigError, match=r"^MSS_API_TOKEN_FILE: ~no-such/x: there is no such home folder$"):
        Settings.from_env({"MSS_API_TOKEN_FILE": "~no-such/x"})


def test_these_may_be_in_files() -> None:
    assert sorted(files()) == sorted(f"{variable}_FILE" for variable in IN_FILES)
    text = VARIABLES.read_text("utf-8")
    assert [name for name in files() if f"`{name}`" not in text] == []


@pytest.mark.parametrize("variable", IN_FILES)
def test_an_empty_name_of_a_file_counts_as_unset(variable: str) -> None:
    assert Settings.from_env({f"{variable}_FILE": ""}) == Settings()
    assert Settings.from_env({f"{variable}_FILE": "", variable: "x"}) == Settings.from_env({variable: "x"})


def test_what_is_no_secret_has_no_file() -> None:
    """MSS_CONFIG_FILE is a setting of its own, and so is MSS_HEALTH_FILE."""
    settings = Settings.from_env({"MSS_CONFIG_FILE": "/no/such", "MSS_USER_ID_FILE": "/no/such"})
    assert (settings.config_file, settings.user_id) == ("/no/such", "5k5gk")


@pytest.mark.parametrize("variable", IN_FILES)
def test_variable_and_file_at_once_are_refused(variable: str) -> None:
    with pytest.raises(ConfigError) as error:
        Settings.from_env({variable: "s3cr3t", f"{variable}_FILE": "/run/secrets/x"})
    assert error.value.problems == (f"{variable} and {variable}_FILE: both are set: take one of them away",)


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "cannot be read: No such file or directory"),
    "a folder": (Path.mkdir, "cannot be read: Is a directory"),
    "a pipe": (os.mkfifo, "is not a regular file"),
    "empty": (Path.touch, "is empty; leave MSS_API_TOKEN_FILE empty if there is no such secret"),
    "blank": (lambda path: path.write_text(" \n\n"), "is empty; leave MSS_API_TOKEN_FILE empty if"),
    "too big": (lambda path: path.write_text("s3cr3t" * 200_000), "is longer than 1048576 bytes"),
    "not UTF-8": (lambda path: path.write_bytes(b"s3cr3t\xff"), "is not text in UTF-8"),
    "with a NUL": (lambda path: path.write_bytes(b"s3cr3t\0"), "is not text: there is a NUL in it"),
    "not what it should be": (
        lambda path: path.write_text("s3cr3t s3cr3t"),
        "expected printable ASCII characters without spaces, got a value that is not shown",
    ),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_one_line_that_shows_nothing_of_it(kind: str, tmp_path: Path) -> None:
    make, says = BAD_FILES[kind]
    make(path := tmp_path / "to\nken")
    with pytest.raises(ConfigError) as error:
        Settings.from_env({"MSS_API_TOKEN_FILE": str(path)})
    (problem,) = error.value.problems
    assert problem.startswith(f"MSS_API_TOKEN_FILE: {tmp_path}/to\\nken: {says}")
    assert "s3cr3t" not in problem


def test_a_file_that_may_not_be_read_says_who_cannot(tmp_path: Path) -> None:
    (tmp_path / "token").touch(mode=0)
    me = os.geteuid()
    if me == 0:  # who may read everything
        os.seteuid(65534)
    try:
        with pytest.raises(ConfigError, match=rf"Permission denied \(this runs as user {os.geteuid()}\)$"):
            Settings.from_env({"MSS_API_TOKEN_FILE": str(tmp_path / "token")})
    finally:
        os.seteuid(me)
