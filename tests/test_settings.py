"""Every setting, its default and its variable."""

from __future__ import annotations

import dataclasses
import logging
import re
from pathlib import Path

import pytest

from microscaling.errors import ConfigError
from microscaling.settings import Settings, variables

README = Path(__file__).parent.parent / "README.md"
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
    "vel_samples": 1,
    "nsq_stats_endpoint": "127.0.0.1:4151",
    "aws_region": "",
    "azure_storage_account_name": "",
    "azure_storage_account_key": "",
    "azure_storage_connection_string": "",
    "pass_env": "",
    "on_exit": "stop",
    "exit_timeout_s": 30.0,
    "dry_run": False,
    "state_dir": "",
    "server_address": "127.0.0.1:8000",
    "server_token": "",
    "server_open": False,
    "server_store": "",
}
OF_THE_IMAGE = {"MSS_DROP_TO": "65532 in the image"}
"""Read before there are any settings, and only there."""
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
    assert {f"MSS_{name.upper()}" for name in DEFAULTS} - set(variables()) == {
        f"MSS_{name}" for name in NOT_MSS
    }


def test_readme_lists_exactly_these() -> None:
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| (.*?) \|", README.read_text("utf-8"), re.MULTILINE)
    listed = {name: default.replace("`", "") for name, default in rows}
    assert listed == {name: default for name, (default, _) in variables().items()} | OF_THE_IMAGE
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
        ("MSS_ON_EXIT", "LEAVE", "on_exit", "leave"),
        ("MSS_EXIT_TIMEOUT_S", "2.5", "exit_timeout_s", 2.5),
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


@pytest.mark.parametrize("token", ["a b", "a\nb", "é", "\x7f", " "])
def test_a_token_that_does_not_fit_into_a_header_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(ConfigError, match=r"^MSS_API_TOKEN: expected .* got a value that is not shown$"):
        Settings.from_env({"MSS_API_TOKEN": token})


def test_a_token_may_come_with_a_line_feed_at_its_end() -> None:
    assert Settings.from_env({"MSS_API_TOKEN": "t0ken\n"}).api_token == "t0ken"


def test_secrets_are_not_shown() -> None:
    settings = Settings.from_env({"AZURE_STORAGE_ACCOUNT_KEY": "hunter22", "MSS_CONFIG_DATA": "hunter22"})
    assert settings.secrets() == ["hunter22"]
    assert "hunter22" not in repr(settings)
