"""Labels of a service are read into the same task as a file with the same meaning."""

from __future__ import annotations

from pathlib import Path

import pytest

from microscaling.api.apps import apps_from_parsed
from microscaling.api.schema.declared import APP, CONFIG
from microscaling.clients.docker.copied_files import copied_files
from microscaling.config.services.labels import is_enabled
from microscaling.config.services.names import NOT_LABELS, OF_CONTAINERS, Names, kebab
from microscaling.config.services.summary import summary_of
from microscaling.config.services.task import task_of
from microscaling.demand.drain import Drain, Way
from microscaling.demand.task import Task
from microscaling.errors import ConfigError
from microscaling.metric.base import METRICS
from microscaling.settings import Settings
from microscaling.target.base import RULES

GOOD = {
    "max": "8",
    "rule": "Queue",
    "target": "50",
    "metric": "Redis",
    "metric.url": "redis://redis:6379/0",
    "metric.key": "jobs",
}


def read(*variables: str, **labels: str) -> tuple[Task, list[str]]:
    """`labels` without their prefix; in them __ stands for a dot, and _ for a dash."""
    warnings: list[str] = []
    named = {f"microscaling.{n.replace('__', '.').replace('_', '-')}": text for n, text in labels.items()}
    return task_of("worker", named, 10, Settings(), warnings.append, variables), warnings


def problems(*variables: str, **labels: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read(*variables, **labels)
    return list(refused.value.problems)


def same(a: Task, b: Task) -> bool:
    """Whether two tasks have the same description, the metrics by the keys of their sources."""
    fields = ("name", "priority", "min_containers", "max_containers", "max_delta", "fallback", "container",
              "scale_down_window_s", "idle_s")  # fmt: skip
    keys = [[source.key for source in task.metric.sources] for task in (a, b)]
    targets = [(type(t.target), getattr(t.target, "length", None)) for t in (a, b)]
    return (
        keys[0] == keys[1]
        and targets[0] == targets[1]
        and all(getattr(a, field) == getattr(b, field) for field in fields)
    )


def of_file(**app: object) -> Task:
    tasks, _ = apps_from_parsed({"maxContainers": 10, "apps": [{"name": "worker", **app}]}, strict=True)
    return tasks[0]


def test_labels_mean_what_a_file_means() -> None:
    task, warnings = read(
        enable="True", priority="1", min="1", max="8", rule="queue", target="50", metric="redis",
        metric__url="redis://redis:6379/0", metric__key="jobs", metric__interval_seconds="2",
        fallback__failure_threshold="3", fallback__containers="4", scale_down_window_seconds="30.5",
        idle_seconds="60",
    )  # fmt: skip
    config = {"targetQueueLength": 50, "url": "redis://redis:6379/0", "key": "jobs", "idleSeconds": 60}
    assert same(
        task,
        of_file(
            priority=1, minContainers=1, maxContainers=8, ruleType="Queue", metricType="Redis",
            config=config, fallback={"failureThreshold": 3, "containers": 4}, scaleDownWindowSeconds=30.5,
        ),
    )  # fmt: skip
    assert task.metric.interval_s == 2.0
    assert warnings == []


@pytest.mark.parametrize(
    "label",
    ["scale-down-window-seconds", "scaleDownWindowSeconds", "SCALE-DOWN-WINDOW-SECONDS", "scale-down-window"],
)
def test_spellings_of_a_key(label: str) -> None:
    labels = {f"microscaling.{name}": value for name, value in GOOD.items()}
    task = task_of("w", {**labels, f"microscaling.{label}": "7"}, 10, Settings(), print)
    assert task.scale_down_window_s == 7.0


@pytest.mark.parametrize(
    "fallback",
    [
        {"fallback": '{"failureThreshold": 3, "containers": 4}'},
        {"fallback.failure-threshold": "3", "fallback.containers": "4"},
        {"fallback.threshold": " 3", "fallback.containers": "4 "},
    ],
)
def test_nested_keys_have_dots_or_json(fallback: dict[str, str]) -> None:
    labels = {f"microscaling.{name}": value for name, value in (GOOD | fallback).items()}
    task = task_of("w", labels, 10, Settings(), print)
    assert task.fallback is not None
    assert (task.fallback.failure_threshold, task.fallback.containers) == (3, 4)


def test_a_list_of_maps_is_json_in_one_label() -> None:
    sources = '[{"url": "redis://a:6379/0", "key": "x"}, {"url": "redis://b:6379/0", "key": "y"}]'
    task, _ = read(max="8", rule="Queue", target="50", metric="Redis", metric__sources=sources)
    assert len(task.metric.sources) == 2


def test_target_is_the_number_of_the_rule() -> None:
    rest = {"metric": "Redis", "metric__url": "redis://r:6379/0", "metric__key": "k", "max": "3"}
    task, _ = read(rule="PerContainer", target="7", **rest)
    config = {"targetPerContainer": 7, "url": "redis://r:6379/0", "key": "k"}
    assert same(task, of_file(maxContainers=3, ruleType="PerContainer", metricType="Redis", config=config))


def test_names_of_headers_are_the_other_sides() -> None:
    task, _ = read(
        "TOKEN*", max="3", rule="Queue", target="5", metric="HTTP", metric__url="http://a/count",
        metric__path="n", metric__headers__X__Kind="a"
    )  # fmt: skip
    assert "X.Kind" in str(vars(task.metric.sources[0]))


@pytest.mark.parametrize("text", ["true", "True", "TRUE", "yes", " on ", "1"])
def test_true_in_any_case(text: str) -> None:
    assert is_enabled({"microscaling.enable": text})


@pytest.mark.parametrize("text", ["false", "False", "no", "0"])
def test_false_in_any_case(text: str) -> None:
    assert not is_enabled({"microscaling.enable": text})


def test_enable_is_true_or_false() -> None:
    assert not is_enabled({"other": "true"})
    with pytest.raises(ConfigError, match=r'microscaling\.enable: expected true or false, got "maybe"'):
        is_enabled({"microscaling.enable": "maybe"})


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"mx": "3"}, "microscaling.mx: is not known; did you mean microscaling.max?"),
        ({"metric__ky": "k"}, "microscaling.metric.ky: is not known; did you mean microscaling.metric.key?"),
        ({"zzz": "k"}, "microscaling.zzz: is not known: docs/compose.md lists the labels"),
        ({"min": "x"}, 'microscaling.min: expected a whole number, got "x"'),
        ({"min": "9"}, "microscaling.min: is 9, above maxContainers, which is 8"),
        ({"min-containers": "1", "min": "1"}, "microscaling.min-containers: microscaling.min means the same: "
         "leave one out"),
        ({"rule": "Queu"}, "microscaling.rule: expected PerContainer"),
        ({"metric": "Rediss"}, "microscaling.metric: expected "),
        ({"fallback.containers": "2"}, "microscaling.fallback.failure-threshold: is missing"),
        ({"metric.sources": "[{]"}, "microscaling.metric.sources: is no JSON: "),
        ({"metric.headers": "x"}, "microscaling.metric.headers: is not known"),
        ({"image": "x"}, "microscaling.image: is no label: the service itself has it, in the Compose file"),
        ({"copy-files": "/etc/a"}, "microscaling.copy-files: expected absolute paths as a list in JSON, such "
         'as ["/etc/app.conf"], got "/etc/a"'),
        ({"copyFiles": '["/"]'}, "microscaling.copyFiles: expected absolute paths"),
        ({"copy-file": "x"}, "microscaling.copy-file: is not known; did you mean microscaling.copy-files?"),
        ({"environment.A": "x"}, "microscaling.environment.A: is no label"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_label(labels: dict[str, str], expected: str) -> None:
    named = {name.replace("__", ".").replace("_", "-"): text for name, text in labels.items()}
    with pytest.raises(ConfigError) as refused:
        task_of("w", {f"microscaling.{n}": v for n, v in (GOOD | named).items()}, 10, Settings(), print)
    assert any(problem.startswith(expected) for problem in refused.value.problems), refused.value.problems


def test_every_mistake_is_named_once() -> None:
    found = problems(max="x", rule="Queue", target="y", metric="Redis", metric__url="redis://r", nonsense="1")
    assert [problem.partition(":")[0] for problem in found] == [
        "microscaling.max", "microscaling.nonsense", "microscaling.target", "microscaling.metric.key",
    ]  # fmt: skip


def test_a_target_needs_a_rule_with_a_number() -> None:
    assert problems(max="3", target="5") == [
        "microscaling.target: the rule of this service has no number of its own: leave it out, or name a rule"
    ]


@pytest.mark.parametrize("url", ["unix:///var/run/redis.sock", "UNIX:/x", "redis+unix:///x"])
def test_labels_name_no_socket(url: str) -> None:
    labels = {"max": "3", "rule": "Queue", "target": "1", "metric": "Redis", "metric__key": "k"}
    assert "cannot name a file or socket" in problems(metric__url=url, **labels)[0]


@pytest.mark.parametrize("option", ["ssl_certfile", "ssl_ca_certs", "ssl%5Fkeyfile", "db=1&ssl_ca_path"])
def test_labels_name_no_file_in_the_options_of_a_url(option: str) -> None:
    labels = {"max": "3", "rule": "Queue", "target": "1", "metric": "Redis", "metric__key": "k"}
    (problem,) = problems(metric__url=f"rediss://r:6379/0?{option}=/etc/secret.pem", **labels)
    assert problem.startswith(
        "microscaling.metric.url: a label cannot name a file of the agent's machine (ssl_"
    )


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("postgresql://h/db?sslkey=/etc/key", "a file of the agent's machine (sslkey)"),
        (
            "postgresql://h/db?sslmode=verify-full&sslrootcert=/x",
            "a file of the agent's machine (sslrootcert)",
        ),
        ("postgres://h/db?passfile=/home/app/.pgpass", "a file of the agent's machine (passfile)"),
        ("postgresql://h/db?service=prod", "a file of the agent's machine (service)"),
        ("mysql://h/db?ssl_ca=/etc/ca.pem", "a file of the agent's machine (ssl_ca)"),
        ("mysql://h/db?unix_socket=/run/m.sock", "a file of the agent's machine (unix_socket)"),
        ("postgresql:///db?host=/run/postgresql", "a socket of the agent's machine"),
        ("postgresql://u:p@%2Frun%2Fpostgresql/db", "a socket of the agent's machine"),
        ("postgresql://h/db?connect_timeout=3&host=%2Frun", "a socket of the agent's machine"),
        ("postgresql:///db", "a socket of the agent's machine"),
    ],
)
def test_labels_name_no_file_or_socket_of_a_database(url: str, named: str) -> None:
    labels = {"max": "3", "rule": "Queue", "target": "1", "metric": "SQL", "metric__query": "select 1"}
    found = problems(metric__databaseURL=url, **labels)
    assert any(f"a label cannot name {named}" in problem for problem in found), found


def test_labels_name_a_database_elsewhere() -> None:
    labels = {"max": "3", "rule": "Queue", "target": "1", "metric": "SQL", "metric__query": "select 1"}
    task, _ = read(metric__databaseURL="postgresql://h:5432/db?sslmode=require", **labels)
    assert type(task.metric).__name__ == "SQLMetric"
    other = {"max": "3", "rule": "Queue", "target": "1", "metric": "HTTP"}
    task, _ = read(metric__url="http://h/waiting?service=web", **other)
    assert type(task.metric).__name__ == "HTTPMetric"


def test_labels_name_no_database_file_not_even_in_json() -> None:
    sources = '[{"MetricType": "SQL", "databaseURL": "sqlite:////etc/x.db", "query": "select 1"}]'
    assert problems(max="3", rule="Queue", target="1", metric__sources=sources) == [
        "microscaling.metric.sources: a label cannot name a file or socket of the agent's machine (sqlite): "
        "write the task into a configuration file"
    ]


@pytest.mark.parametrize("labels", [{"metric": "Exec"}, {"metric__sources": '[{"METRICTYPE": "exec"}]'}])
def test_labels_run_no_command(labels: dict[str, str]) -> None:
    assert any(
        "cannot have a command run" in problem for problem in problems(max="3", rule="Queue", **labels)
    )


def test_variables_need_the_consent_of_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_PASSWORD", "s3cret")
    labels = {"max": "3", "rule": "Queue", "target": "1", "metric": "Redis", "metric__key": "k"}
    url = "redis://:${QUEUE_PASSWORD}@r:6379/0"
    assert problems(metric__url=url, **labels) == [
        "microscaling.metric.url: ${QUEUE_PASSWORD} is not among the variables that labels may use: "
        "add QUEUE_PASSWORD to MSS_LABEL_VARIABLES of the agent"
    ]
    task, warnings = read("QUEUE_*", metric__url=url, **labels)
    assert "s3cret" in task.metric.sources[0].secrets
    assert warnings == []


def test_the_file_of_a_variable_needs_the_same_consent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    monkeypatch.setenv("QUEUE_PASSWORD_FILE", str(tmp_path / "password"))
    labels = {"max": "3", "rule": "Queue", "target": "1", "metric": "Redis", "metric__key": "k"}
    url = "redis://:${QUEUE_PASSWORD}@r:6379/0"
    assert "is not among the variables" in problems(metric__url=url, **labels)[0]
    task, _ = read("QUEUE_PASSWORD", metric__url=url, **labels)
    assert "s3cret" in task.metric.sources[0].secrets


def test_variables_are_filled_in_in_urls_and_headers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_PASSWORD", "s3cret")
    found = problems(
        "QUEUE_*", max="3", rule="Queue", target="1", metric="HTTP", metric__url="http://a",
        metric__params='{"a": "${QUEUE_PASSWORD}"}', metric__path="n",
    )  # fmt: skip
    what = "${QUEUE_PASSWORD} is filled in only in the URL and the headers of a metric"
    assert found == [f"microscaling.metric.params: {what}"]


def test_a_password_in_a_label_is_warned_of_and_not_shown() -> None:
    labels = {"max": "3", "rule": "Queue", "target": "1", "metric": "Redis", "metric__key": "k"}
    _, warnings = read(metric__url="redis://:hunter2@r:6379/0", **labels)
    assert len(warnings) == 1
    assert warnings[0].startswith("microscaling.metric.url: holds a password")
    assert "hunter2" not in warnings[0]


def test_every_declared_key_but_those_of_containers_has_a_label() -> None:
    for metric in METRICS.all():
        names = Names((), metric.fields)
        assert all(names.find(f"metric.{kebab(field.key)}") for field in metric.fields), metric.type_name
    for rule in RULES.all():
        names = Names(rule.fields, ())
        assert all(names.find(field.key) for field in rule.fields), rule.type_name
    names = Names((), ())
    keys = [key.key for key in (*APP, *CONFIG) if key.key not in (*OF_CONTAINERS, *NOT_LABELS)]
    assert [key for key in keys if names.find(kebab(key)) is None] == []
    assert [key for key in ("name", "config", "image", "command", "environment") if names.find(key)] == []


@pytest.mark.parametrize("label", ["microscaling.copy-files", "microscaling.copyFiles"])
def test_files_to_copy_are_for_the_scheduler(label: str) -> None:
    labels = {label: '["/etc/app.conf", "/etc/../etc/app.conf", "/srv/x/"]'}
    assert copied_files(labels) == ["/etc/app.conf", "/srv/x"]
    good = {f"microscaling.{name}": value for name, value in GOOD.items()}
    assert same(task_of("w", good | labels, 10, Settings(), print), task_of("w", good, 10, Settings(), print))


NSQ = {"rule": "Queue", "target": "5", "metric": "NSQ", "metric__nsqd": "nsqd:4151", "max": "4"}
NSQ |= {"metric__topic_name": "jobs", "metric__channel_name": "work"}
OF_REDIS = {"rule": "Queue", "target": "5", "metric__url": "redis://redis", "max": "4"}
KINDS = [
    NSQ,
    {**OF_REDIS, "metric": "RQ"},
    {**OF_REDIS, "metric": "Sidekiq"},
    {**OF_REDIS, "metric": "Asynq"},
    {**OF_REDIS, "metric": "RedisStream", "metric__key": "jobs", "metric__group": "workers"},
]


@pytest.mark.parametrize("labels", KINDS, ids=lambda labels: labels["metric"])
def test_where_the_source_shows_who_is_busy_it_is_asked_by_itself(labels: dict[str, str]) -> None:
    task, warnings = read(**labels)
    assert task.busy is not None
    assert task.busy.source is not None
    assert (task.busy.way, task.busy.implied, task.drain) == (Way.SOURCE, True, Drain(seconds=3600.0))
    assert task.drain_keys == ()
    assert warnings == []
    kind = labels["metric"]
    assert summary_of(task, 2).endswith(
        f"; {kind} shows which have a job: the idle go first, and the others have 60 min to end it "
        "(microscaling.busy=none: no difference)"
    )


@pytest.mark.parametrize(
    ("more", "way"),
    [
        ({"busy": "none"}, None),
        ({"busy": "source"}, Way.SOURCE),
        ({"busy_file": "/busy"}, Way.FILE),
        ({"drain__seconds": "5"}, None),
    ],
    ids=str,
)
def test_what_is_configured_comes_first(more: dict[str, str], way: Way | None) -> None:
    task, _ = read(**NSQ, **more)
    assert (task.busy.way if task.busy else None) is way
    assert task.busy is None or not task.busy.implied
    assert "have a job" not in summary_of(task, 2)


@pytest.mark.parametrize(
    "labels",
    [
        GOOD,
        {**OF_REDIS, "metric": "BullMQ", "metric__queue_name": "q"},
        {"rule": "Queue", "target": "5", "max": "4",
         "metric.sources": '[{"metricType":"RQ","url":"redis://a"},{"metricType":"RQ","url":"redis://b"}]'},
        {"max": "4"},
        {"rule": "Queue", "target": "5", "max": "4", "metric": "RabbitMQ", "metric__queue_name": "q",
         "metric__url": "http://r:15672"},
    ],
    ids=["a list of Redis", "BullMQ", "two sources", "no metric", "by address only"],
)  # fmt: skip
def test_where_it_cannot_tell_all_is_as_ever(labels: dict[str, str]) -> None:
    task, _ = read(**labels)
    assert (task.busy, task.drain) == (None, None)
