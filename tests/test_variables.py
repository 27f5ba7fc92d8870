"""Variables with a typo, and those that mean nothing by another one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from microscaling.errors import ConfigError
from microscaling.factory import make_monitors
from microscaling.scheduler.base import SCHEDULERS
from microscaling.settings import Settings, files, variables
from microscaling.variables import check_names, ignored

APPS = json.dumps(
    {"maxContainers": 1, "apps": [{"name": "a", "maxContainers": 1, "config": {"command": "true"}}]}
)


def warnings(caplog: pytest.LogCaptureFixture, *names: str) -> list[str]:
    check_names(dict.fromkeys(names, "x"))
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("MSS_DRYRUN", "MSS_DRY_RUN"),
        ("MSS_DRY_RUNS", "MSS_DRY_RUN"),
        ("MSS_SCHEDULR", "MSS_SCHEDULER"),
        ("MSS_SCHEDULLERS", "MSS_SCHEDULER"),
        ("MSS_SCHEDULE", "MSS_SCHEDULER"),
        ("MSS_CONFG", "MSS_CONFIG"),
        ("MSS_CONFIGS", "MSS_CONFIG"),
        ("MSS_ONEXIT", "MSS_ON_EXIT"),
        ("MSS_ON_EXITS", "MSS_ON_EXIT"),
        ("MSS_ORPHAN", "MSS_ORPHANS"),
        ("MSS_MAXCONTAINER", "MSS_MAX_CONTAINERS"),
    ],
)
def test_a_typo_that_would_touch_containers_ends_the_start(typo: str, meant: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_names({typo: "true"})
    assert list(caught.value.problems) == [f"{typo}: is not known; did you mean {meant}?"]


def test_every_one_of_them_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        check_names({"MSS_DRYRUN": "1", "MSS_SCHEDULR": "TOY"})
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("MSS_API_ADRESS", "MSS_API_ADRESS: is not known, and ignored; did you mean MSS_API_ADDRESS?"),
        ("MSS_LOG_DEBUGG", "MSS_LOG_DEBUGG: is not known, and ignored; did you mean MSS_LOG_DEBUG?"),
        ("MSS_USERID", "MSS_USERID: is not known, and ignored; did you mean MSS_USER_ID?"),
        ("MSS_XYZZY_42", "MSS_XYZZY_42: is not known, and ignored"),
    ],
)
def test_any_other_is_a_warning(caplog: pytest.LogCaptureFixture, name: str, warning: str) -> None:
    assert warnings(caplog, name) == [warning]


@pytest.mark.parametrize(
    "name",
    [
        *variables(),
        *files(),
        "MSS_DROP_TO",
        "MSS_IMAGE_ENV",
        "MSS_SERVICE_HOST",
        "MSS_SERVICE_PORT",
        "MSS_SERVICE_PORT_HTTP",
        "MSS_PORT",
        "MSS_PORT_8000_TCP",
        "MSS_PORT_8000_TCP_ADDR",
        "MSS_PORT_8000_TCP_PROTO",
        "MSS_SERVER_SERVICE_HOST",
        "MSS_SERVER_PORT_8000_TCP_PORT",
        "MSSCHEDULER",
        "PATH",
    ],
)
def test_what_is_known_or_of_others_is_no_typo(caplog: pytest.LogCaptureFixture, name: str) -> None:
    assert warnings(caplog, name) == []


def test_variables_of_plugins_are_known(caplog: pytest.LogCaptureFixture) -> None:
    check_names({"MSS_BEANSTALKD_URL": "x"}, lambda: ["MSS_BEANSTALKD_URL"])
    assert not caplog.records


@pytest.mark.parametrize(
    ("environ", "config"),
    [
        ({}, "SERVER"),
        ({"MSS_CONFIG_FILE": "apps.yml"}, "FILE"),
        ({"MSS_CONFIG_DATA": "{}"}, "ENVVAR"),
        ({"MSS_CONFIG": "SERVER", "MSS_CONFIG_FILE": "apps.yml", "MSS_CONFIG_DATA": "{}"}, "SERVER"),
        ({"MSS_CONFIG": "", "MSS_CONFIG_FILE": "apps.yml"}, "FILE"),
    ],
)
def test_the_data_says_where_the_configuration_is(environ: dict[str, str], config: str) -> None:
    assert Settings.from_env(environ).config == config


@pytest.mark.parametrize("value", ["PROCESS", "process", " Process "])
def test_values_match_in_any_case(value: str) -> None:
    settings = Settings.from_env(
        {"MSS_SCHEDULER": value, "MSS_CONFIG": "file", "MSS_DEMAND_ENGINE": "server"}
    )
    assert (settings.scheduler, settings.config, settings.demand_engine) == ("PROCESS", "FILE", "SERVER")
    assert SCHEDULERS.chosen("MSS_SCHEDULER", settings.scheduler).type_name == "PROCESS"


@pytest.mark.parametrize("monitor", ["server", "Server", "SERVER", "toserver"])
def test_a_monitor_in_any_case(monitor: str) -> None:
    environ = {"MSS_MONITOR": monitor, "MSS_API_ADDRESS": "127.0.0.1:9"}
    assert len(make_monitors(Settings.from_env(environ))) == 1


def test_both_need_to_be_chosen_from() -> None:
    with pytest.raises(ConfigError, match="MSS_CONFIG: is not set, but MSS_CONFIG_FILE and"):
        Settings.from_env({"MSS_CONFIG_FILE": "apps.yml", "MSS_CONFIG_DATA": "{}"})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {}),
        ({"MSS_API_ADDRESS": "server:8000"}, {}),
        (
            {"MSS_CONFIG_FILE": "a.yml", "MSS_MONITOR": "none", "MSS_API_ADDRESS": "server:8000"},
            {"no server to talk to": ["MSS_API_ADDRESS"]},
        ),
        (
            {"MSS_CONFIG": "FILE", "MSS_CONFIG_FILE": "a.yml", "MSS_CONFIG_DATA": "{}"},
            {"MSS_CONFIG=FILE": ["MSS_CONFIG_DATA"]},
        ),
        (
            {"MSS_SCHEDULER": "MARATHON", "MSS_KUBE_NAMESPACE": "web", "MSS_ORPHANS": "stop"},
            {"MSS_SCHEDULER=MARATHON": ["MSS_KUBE_NAMESPACE", "MSS_ORPHANS"]},
        ),
        (
            {"MSS_API_ADDRESS": "server:8000", "MSS_NOTIFY_EVENTS": "held", "MSS_NOTIFY_TOKEN": "x"},
            {"no MSS_NOTIFY_URL": ["MSS_NOTIFY_EVENTS", "MSS_NOTIFY_TOKEN"]},
        ),
        # It is in the source of each message.
        (
            {
                "MSS_CONFIG_FILE": "a.yml",
                "MSS_MONITOR": "none",
                "MSS_USER_ID": "x",
                "MSS_NOTIFY_URL": "http://a",
            },
            {},
        ),
        ({"MSS_MARATHON_TOKEN": "x"}, {"MSS_SCHEDULER=DOCKER": ["MSS_MARATHON_TOKEN"]}),
        # What people have paused is kept there.
        ({"MSS_SCHEDULER": "KUBERNETES", "MSS_STATE_DIR": "/state"}, {}),
        (
            {"MSS_SCHEDULER": "COMPOSE", "MSS_CONFIG": "SERVICES", "MSS_PASS_ENV": "none"},
            {"MSS_SCHEDULER=COMPOSE": ["MSS_PASS_ENV"]},
        ),
        (
            {"MSS_CONFIG_FILE": "a.yml", "MSS_COMPOSE_PROJECT": "shop"},
            {"MSS_CONFIG=FILE": ["MSS_COMPOSE_PROJECT"]},
        ),
    ],
)
def test_what_another_one_makes_meaningless(environ: dict[str, str], expected: dict[str, list[str]]) -> None:
    assert ignored(Settings.from_env(environ), environ) == expected


def agent(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs in a dry run of nothing: what is wrong has to end it before."""
    plain = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": os.getcwd()}
    return subprocess.run(
        [sys.executable, "-m", "microscaling"],
        env=plain | {"MSS_CONFIG_DATA": APPS, "MSS_MONITOR": "none"} | environ,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(("typo", "value"), [("MSS_DRYRUN", "true"), ("MSS_SCHEDULR", "TOY")])
def test_the_agent_ends_with_code_2_and_one_line(tmp_path: Path, typo: str, value: str) -> None:
    ended = agent(tmp_path, MSS_SCHEDULER="PROCESS", **{typo: value})
    assert ended.returncode == 2
    assert [line for line in ended.stderr.splitlines() if typo in line and "did you mean MSS_" in line]
    assert not ended.stdout
