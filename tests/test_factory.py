"""Settings become objects, and what is not there is said to be so."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from microscaling import factory
from microscaling.engine.local import LocalEngine
from microscaling.errors import ConfigError
from microscaling.scheduler.dry_run import DryRunScheduler
from microscaling.scheduler.toy import ToyScheduler
from microscaling.settings import Settings

APPS = json.dumps(
    {"maxContainers": 5, "apps": [{"name": "a", "config": {"image": "x", "env": {"B": "own"}}}]}
)


def settings(**environ: str) -> Settings:
    return Settings.from_env(environ)


@pytest.mark.parametrize("value", ["NOMAD", "DOCKERS", "ECS"])
def test_an_unknown_scheduler_says_which_there_are(value: str) -> None:
    with pytest.raises(ConfigError, match=f"MSS_SCHEDULER={value} .*DOCKER.*PROCESS, SWARM, TOY"):
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


@pytest.mark.parametrize(
    ("scheduler", "word", "line"),
    [
        ("DOCKER", "output", "a: config.output: MSS_SCHEDULER=DOCKER cannot do it: leave it out"),
        ("DOCKER", "read_only", ""),
        ("PROCESS", "read_only", "a: config.read_only: MSS_SCHEDULER=PROCESS cannot do it: leave it out"),
        ("PROCESS", "output", ""),
        ("KUBERNETES", "read_only", "a: config.read_only: MSS_SCHEDULER=KUBERNETES cannot do it: leave it "
         "out, and set it in the definition of deployments"),
        ("MARATHON", "user", "a: config.user: MSS_SCHEDULER=MARATHON cannot do it"),
    ],
)  # fmt: skip
def test_a_word_that_the_scheduler_cannot_do_is_refused(scheduler: str, word: str, line: str) -> None:
    value = True if word == "read_only" else "inherit"
    app = {"name": "a", "maxContainers": 1, "config": {"image": "x", "command": "run", word: value}}
    chosen = settings(
        MSS_SCHEDULER=scheduler, MSS_CONFIG="ENVVAR", MSS_CONFIG_DATA=json.dumps({"apps": [app]})
    )
    if not line:
        factory.make_tasks(chosen, {})
        return
    with pytest.raises(ConfigError) as error:
        factory.make_tasks(chosen, {})
    assert str(error.value).startswith(line)


OLDER = {
    "memory": "64m",
    "cpus": 1,
    "networkMode": "bridge",
    "volumes": ["a:/a"],
    "ports": [{"target": 80}],
    "labels": {"a": "b"},
    "publishAllPorts": False,
}


@pytest.mark.parametrize("scheduler", ["PROCESS", "KUBERNETES", "MARATHON", "DOCKER"])
def test_older_words_that_the_scheduler_cannot_do(
    scheduler: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """JSON, which the Go agent may read too, gets warnings; in YAML what weakens a container is refused."""
    app = {"name": "a", "priority": 1, "ruleType": "Remainder", "maxContainers": 1}
    data = {"maxContainers": 1, "apps": [{**app, "config": {"image": "x", "command": "true", **OLDER}}]}
    from_json = {"MSS_CONFIG": "ENVVAR", "MSS_CONFIG_DATA": json.dumps(data)}
    factory.make_tasks(settings(MSS_SCHEDULER=scheduler, **from_json), {})
    said = f"MSS_SCHEDULER={scheduler} cannot do it"
    ignored = [line for line in caplog.messages if said in line]
    able = scheduler == "DOCKER"
    expected = [] if able else [f"a: config.{word}: {said}, and ignores it" for word in OLDER]
    assert sorted(ignored) == sorted(expected)
    file = tmp_path / "tasks.yaml"
    file.write_text(json.dumps(data))
    from_yaml = {"MSS_CONFIG": "FILE", "MSS_CONFIG_FILE": str(file)}
    if able:
        factory.make_tasks(settings(MSS_SCHEDULER=scheduler, **from_yaml), {})
        return
    with pytest.raises(ConfigError) as error:
        factory.make_tasks(settings(MSS_SCHEDULER=scheduler, **from_yaml), {})
    refused = {problem.partition(": MSS_")[0] for problem in error.value.problems}
    assert refused == {f"a: config.{word}" for word in OLDER} - {
        "a: config.labels",
        "a: config.publishAllPorts",
    }


def test_the_host_s_network_is_that_of_processes_too(caplog: pytest.LogCaptureFixture) -> None:
    config = {"command": "true", "networkMode": "host", "publishAllPorts": True}
    app = {"name": "a", "priority": 1, "ruleType": "Remainder", "maxContainers": 1, "config": config}
    data = json.dumps({"maxContainers": 1, "apps": [app]})
    factory.make_tasks(settings(MSS_SCHEDULER="PROCESS", MSS_CONFIG="ENVVAR", MSS_CONFIG_DATA=data), {})
    assert "cannot do it" not in caplog.text


def test_what_is_missing_to_measure_is_said_at_once_and_once() -> None:
    queue = {"ruleType": "Queue", "maxContainers": 1}
    config = {"targetQueueLength": 1, "queueURL": "https://sqs/1/q", "queueName": "q"}
    kinds = ["SQS", "AzureQueue", "AzureQueue", "SQS"]
    apps = [{"name": f"{i}", "metricType": k, "config": config, **queue} for i, k in enumerate(kinds)]
    data = json.dumps({"maxContainers": 4, "apps": apps})
    with pytest.raises(ConfigError) as error:
        factory.make_tasks(settings(MSS_CONFIG="ENVVAR", MSS_CONFIG_DATA=data), {})
    named = [problem.partition(":")[0] for problem in error.value.problems]
    assert named == ["AWS_REGION", "AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY"]


def test_a_dry_run_is_possible_with_any_scheduler() -> None:
    made = factory.make_scheduler(settings(MSS_SCHEDULER="TOY", MSS_DRY_RUN="true"), {})
    assert isinstance(made, DryRunScheduler)
    assert isinstance(made.real, ToyScheduler)


def test_the_window_goes_to_the_engine_that_decides(caplog: pytest.LogCaptureFixture) -> None:
    local = factory.make_engine(Settings(scale_down_window_s=7.0))
    assert isinstance(local, LocalEngine)
    assert local.scale_down_window_s == 7.0
    assert caplog.messages == []
    factory.make_engine(Settings(demand_engine="SERVER", api_address="127.0.0.1:1", scale_down_window_s=7.0))
    assert caplog.messages[0].startswith(
        "MSS_SCALE_DOWN_WINDOW_S has no effect with MSS_DEMAND_ENGINE=SERVER"
    )


def test_no_monitor_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert factory.make_monitors(settings(MSS_MONITOR="none")) == []
    assert not caplog.text


SERVER = {"MSS_API_ADDRESS": "127.0.0.1:1", "MSS_DEMAND_ENGINE": "SERVER", "MSS_CONFIG": "ENVVAR"}


def test_engine_and_monitor_share_one_websocket() -> None:
    chosen = settings(**SERVER, MSS_API_TOKEN="t0ken")
    connection = factory.make_connection(chosen)
    assert connection is not None
    assert (connection.url, connection.origin) == ("ws://127.0.0.1:1/", "http://localhost/")
    assert connection.headers == {"Authorization": "Bearer t0ken"}
    engine = factory.make_engine(chosen, connection)
    (monitor,) = factory.make_monitors(chosen, connection)
    assert (engine.connection, monitor.connection) == (connection, connection)  # type: ignore[attr-defined]


@pytest.mark.parametrize("environ", [{"MSS_MONITOR": "none"}, {"MSS_SEND_METRICS_TO_API": "false"}])
def test_who_tells_nobody_connects_to_nobody(environ: dict[str, str]) -> None:
    chosen = settings(MSS_API_ADDRESS="127.0.0.1:1", **environ)
    assert factory.make_connection(chosen) is None
    assert factory.make_monitors(chosen) == []


def test_the_public_server_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert factory.make_connection(settings()) is None
    assert factory.make_monitors(settings()) == []
    (told,) = caplog.messages
    assert "app.microscaling.com is gone; no metrics are sent" in told
    with pytest.raises(
        ConfigError, match=r"or MSS_CONFIG to FILE \(microscaling -f FILE\), ENVVAR or HARDCODED"
    ):
        factory.make_tasks(settings(), {})
    with pytest.raises(ConfigError, match="or MSS_DEMAND_ENGINE to LOCAL"):
        factory.make_engine(settings(MSS_DEMAND_ENGINE="SERVER"))


@pytest.mark.parametrize("make", [factory.make_connection, factory.make_engine, factory.make_monitors])
def test_a_bad_address_is_named(make: Callable[[Settings], object]) -> None:
    with pytest.raises(ConfigError, match=r"^MSS_API_ADDRESS: expected host:port"):
        make(settings(MSS_API_ADDRESS="ftp://x", MSS_DEMAND_ENGINE="SERVER"))


@pytest.mark.parametrize("scheduler", ["KUBERNETES", "MARATHON", "TOY"])
@pytest.mark.parametrize(
    ("config", "keys"),
    [
        ('"busyFile":"/busy"', "busyFile"),
        ('"busyProbe":{"exec":["x"]}', "busyProbe"),
        ('"busyCpu":0.1', "busyCpu"),
        ('"drain":{"seconds":5}', "drain"),
        ('"busyFile":"/busy","busyFileMaxSeconds":60,"drain":{}', "busyFile, busyFileMaxSeconds, drain"),
    ],
)
def test_where_nobody_can_choose_the_container_the_keys_of_long_jobs_are_one_error(
    scheduler: str, config: str, keys: str
) -> None:
    data = (
        f'{{"maxContainers":2,"apps":[{{"name":"a","maxContainers":2,"config":{{"image":"i",{config}}}}}]}}'
    )
    with pytest.raises(ConfigError) as error:
        factory.make_tasks(settings(MSS_SCHEDULER=scheduler, MSS_CONFIG="ENVVAR", MSS_CONFIG_DATA=data), {})
    assert error.value.problems == (
        f"a: config.{keys}: MSS_SCHEDULER={scheduler} cannot choose the container that goes: leave out the "
        "keys for busy containers",
    )
