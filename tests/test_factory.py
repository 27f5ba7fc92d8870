"""Settings become objects, and what is not there is said to be so."""

from __future__ import annotations

import json
import logging

import pytest

from microscaling import factory
from microscaling.errors import ConfigError
from microscaling.scheduler.dry_run import DryRunScheduler
from microscaling.scheduler.toy import ToyScheduler
from microscaling.settings import Settings

APPS = json.dumps(
    {"maxContainers": 5, "apps": [{"name": "a", "config": {"image": "x", "env": {"B": "own"}}}]}
)


def settings(**environ: str) -> Settings:
    return Settings.from_env(environ)


@pytest.mark.parametrize("value", ["NOMAD", "docker", "ECS"])
def test_an_unknown_scheduler_says_which_there_are(value: str) -> None:
    with pytest.raises(ConfigError, match=f"MSS_SCHEDULER={value} .*DOCKER.*PROCESS, TOY"):
        factory.make_scheduler(settings(MSS_SCHEDULER=value), {})


def test_an_unknown_engine_and_configuration_too() -> None:
    with pytest.raises(ConfigError, match=r"MSS_DEMAND_ENGINE=REMOTE .*LOCAL"):
        factory.make_engine(settings(MSS_DEMAND_ENGINE="REMOTE"))
    with pytest.raises(ConfigError, match=r"MSS_CONFIG=ETCD .*ENVVAR, FILE, HARDCODED"):
        factory.make_tasks(settings(MSS_CONFIG="ETCD"), {})


def test_containers_get_the_environment_and_their_own_wins() -> None:
    made = factory.make_tasks(
        settings(MSS_CONFIG="ENVVAR", MSS_CONFIG_DATA=APPS), {"A": "1", "B": "2", "PATH": "/"}
    )
    assert made.max_containers == 5
    assert made.tasks[0].env == ["A=1", "B=own"]


def test_credentials_that_are_passed_on_are_named_but_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    environ = {"AWS_SECRET_ACCESS_KEY": "hunter2", "MY_TOKEN": "hunter3"}
    factory.make_tasks(settings(MSS_CONFIG="ENVVAR", MSS_CONFIG_DATA=APPS), environ)
    assert "AWS_SECRET_ACCESS_KEY, MY_TOKEN" in caplog.text
    assert "MSS_PASS_ENV" in caplog.text
    assert "hunter" not in caplog.text


def test_a_dry_run_is_possible_with_any_scheduler() -> None:
    made = factory.make_scheduler(settings(MSS_SCHEDULER="TOY", MSS_DRY_RUN="true"), {})
    assert isinstance(made, DryRunScheduler)
    assert isinstance(made.real, ToyScheduler)


def test_no_monitor_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert factory.make_monitors(settings(MSS_MONITOR="none")) == []
    assert not caplog.text
