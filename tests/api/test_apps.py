"""The description of the tasks, made into tasks."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from microscaling.api.apps import apps_from_data, apps_from_parsed
from microscaling.errors import ConfigError
from microscaling.metric.base import METRICS
from microscaling.metric.nsq import NSQMetric
from microscaling.settings import Settings
from microscaling.target.base import RULES
from microscaling.target.queue import QueueLengthTarget
from microscaling.utils.text import alternatives

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "apps.json").read_text("utf-8"))
FIELDS = [
    "name",
    "priority",
    "min_containers",
    "max_containers",
    "max_delta",
    "is_scalable",
    "image",
    "command",
    "network_mode",
    "publish_all_ports",
]


def apps(text: str | dict[str, Any]) -> tuple[list[Any], int]:
    return apps_from_data((text if isinstance(text, str) else json.dumps(text)).encode(), Settings())


def one(**app: Any) -> dict[str, Any]:
    return {"maxContainers": 9, "apps": [{"name": "a", "maxContainers": 2, **app}]}


QUEUE = one(ruleType="Queue", metricType="NSQ", config={"topicName": "t", "targetQueueLength": 50})


def problems(data: str | dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as error:
        apps(data)
    return list(error.value.problems)


def warnings(caplog: pytest.LogCaptureFixture, data: str | dict[str, Any]) -> list[str]:
    with caplog.at_level(logging.WARNING, "mssconfig"):
        apps(data)
    return caplog.messages


@pytest.mark.parametrize("case", [pytest.param(c, id=f"{i}") for i, c in enumerate(VECTORS)])
def test_vectors(case: dict[str, Any]) -> None:
    """Every case of the Go agent's, those it let through by mistake as errors."""
    if case["error"] or case["stricter"]:
        assert problems(case["json"])
    else:
        tasks, cap = apps(case["json"])
        assert cap == case["max_containers"]
        assert [_like_vector(task) for task in tasks] == (case["tasks"] or [])


def _like_vector(task: Any) -> dict[str, Any]:
    kinds = {"target": type(task.target).__name__, "metric": type(task.metric).__name__}
    return {name: getattr(task, name) for name in FIELDS} | kinds


def queue(metric_type: str, /, **config: Any) -> dict[str, Any]:
    """A task whose queue that metric measures."""
    return one(ruleType="Queue", metricType=metric_type, config={"targetQueueLength": 5, **config})


@pytest.mark.parametrize(
    ("app", "problem"),
    [
        ({"maxContainers": "ten"}, 'apps[0].maxContainers: expected a whole number, got "ten"'),
        ({"maxContainers": True}, "apps[0].maxContainers: expected a whole number, got true"),
        ({"maxContainers": 2.0}, "apps[0].maxContainers: expected a whole number, got 2.0"),
        (
            {"maxContainers": 2**63},
            f"apps[0].maxContainers: expected a whole number of at most 64 bits, got {2**63}",
        ),
        ({"minContainers": -1}, "apps[0].minContainers: expected a whole number, 0 or more, got -1"),
        ({"minContainers": 3}, "apps[0].minContainers: is 3, above maxContainers, which is 2"),
        ({"name": ""}, "apps[0].name: is missing"),
        ({"name": []}, "apps[0].name: expected text, got a list"),
        ({"config": 3}, "apps[0].config: expected an object, got 3"),
        (
            {"ruleType": "Queue", "metricType": "x\ny"},
            f'apps[0].metricType: expected {alternatives(METRICS.names())}, got "x\\ny"',
        ),
        (
            {"ruleType": "Queue"},
            f"apps[0].metricType: is missing: expected {alternatives(METRICS.names())}",
        ),
        (
            {"ruleType": "Queue", "metricType": "SQL", "config": {"query": "q"}},
            "apps[0].config.databaseURL: is missing",
        ),
        (
            {"config": {"targetQueueLength": -1}},
            "apps[0].config.targetQueueLength: expected a whole number, 0 or",
        ),
        ({"config": {"command": {"a": 1}}}, "apps[0].config.command: expected text, got an object"),
        (
            {
                "ruleType": "Queue",
                "metricType": "SQL",
                "config": {"query": "q", "databaseURL": "oracle://u:p@h"},
            },
            "apps[0].config.databaseURL: ",
        ),
        (
            {"ruleType": "Queue", "metricType": "SQL", "config": {"query": 3, "databaseURL": "sqlite:////x"}},
            "apps[0].config.query: expected text, got 3",
        ),
    ],
)
def test_problem(app: dict[str, Any], problem: str) -> None:
    found = problems(one(**app))
    assert len(found) == 1
    assert found[0].startswith(problem)


@pytest.mark.parametrize(
    ("app", "place"),
    [
        ({"config": {"command": "sleep \0"}}, "apps[0].config.command"),
        ({"config": {"command": ["sleep", "1\0"]}}, "apps[0].config.command[1]"),
        ({"config": {"env": {"A": "\0"}}}, "apps[0].config.env.A"),
        ({"config": {"env": {"A\0": "b"}}}, r"apps[0].config.env.A\x00"),
        ({"metricType": "NSQ", "metrics": [{"topicName": "a\0"}]}, "apps[0].metrics[0].topicName"),
    ],
)
def test_a_zero_byte(app: dict[str, Any], place: str) -> None:
    data = json.dumps({"maxContainers": 1, "apps": [{"name": "a", "maxContainers": 1, "x-a": "\0", **app}]})
    with pytest.raises(ConfigError) as caught:
        apps_from_data(data.encode())
    line = caught.value.problems[0]
    assert line.startswith(f"{place}: has a zero byte in it")


def test_all_problems_at_once() -> None:
    data = {
        "maxContainers": "x",
        "apps": [{"name": "a", "priority": "1"}, 7, {"name": "a", "maxContainers": 1.5}],
    }
    places = [problem.split(": ")[0] for problem in problems(data)]
    assert places == ["maxContainers", "apps[0].priority", "apps[1]", "apps[2].maxContainers", "apps[2].name"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'{"apps": [}', "not JSON: line 1, column 11: "),
        (b'{"maxContainers": NaN}', "not JSON: there is no number NaN"),
        (b"\xff{}", "not JSON: byte 1 is not UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON: "),
        (b"[" * 1_000_000, "not JSON that can be read: nested too deeply"),
        (b'{"maxContainers": ' + b"9" * 5000 + b"}", "maxContainers: expected a whole number, got inf"),
        (b"3", "expected an object with maxContainers and apps, got 3"),
    ],
    ids=range(7),
)
def test_not_json(data: bytes, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        apps_from_data(data, Settings())
    assert str(error.value).startswith(problem)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("data", "warning"),
    [
        (
            {"apps": [{"name": "a", "maxContainers": 2}]},
            "maxContainers: is 0 or missing: no container will run",
        ),
        (
            one(minContainers=2) | {"maxContainers": 1},
            "maxContainers: is 1, but the minContainers of the tasks add up to 2",
        ),
        ({"maxContainers": 1, "apps": []}, "apps: is empty or missing"),
        (one(maxContainers=0), "apps[0].maxContainers: is 0 or missing"),
        (
            one(ruleType="queue"),
            f'apps[0].ruleType: "queue" is not {alternatives(RULES.names())}',
        ),
        (one(maxContainer=3), "apps[0].maxContainer: is not known here, and ignored; did you mean maxCont"),
        (one(config={"Memmory": 3}), "apps[0].config.Memmory: is not known here, and ignored; did you mea"),
        (
            '{"maxContainers":1,"maxContainers":2,"apps":[{"name":"a","maxContainers":1}]}',
            "maxContainers: is there more",
        ),
    ],
)
def test_warning(caplog: pytest.LogCaptureFixture, data: Any, warning: str) -> None:
    found = warnings(caplog, data)
    assert len(found) == 1
    assert found[0].startswith(warning)


def test_queue_without_length_or_names_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    found = warnings(caplog, one(ruleType="Queue", metricType="NSQ"))
    assert [w.split(": ")[0].rpartition(".")[2] for w in found] == [
        "targetQueueLength",
        "topicName",
        "channelName",
    ]


def test_nothing_to_say_of_a_good_configuration(caplog: pytest.LogCaptureFixture) -> None:
    config = {"topicName": "t", "channelName": "c", "targetQueueLength": 5, "x-note": "mine"}
    assert not warnings(caplog, one(ruleType="Queue", metricType="NSQ", config=config))


def test_last_of_repeated_keys_counts_and_null_changes_nothing() -> None:
    tasks, cap = apps('{"maxContainers":1,"MAXCONTAINERS":2,"apps":[{"name":"a","name":"b","name":null}]}')
    assert (tasks[0].name, cap) == ("b", 2)


def test_half_of_a_character_is_replaced() -> None:
    assert apps('{"apps":[{"name":"a\\ud800b\\ud83d\\ude00"}]}')[0][0].name == "a\ufffdb\U0001f600"


@pytest.mark.parametrize("rule", ["Queue", "SimpleQueue"])
def test_sql(rule: str) -> None:
    config = {"databaseURL": "sqlite:////q.db", "query": "SELECT 1", "targetQueueLength": 5}
    task = apps(one(ruleType=rule, metricType="SQL", config=config))[0][0]
    assert type(task.metric).__name__ == "SQLMetric"
    assert type(task.target).__name__.startswith(rule)


URL = "http://me:${PASSWORD}@h:80/q?n=${NAME}"
SENT = {"Authorization": "Bearer ${NAME}", "X-Number": 3}


def metric_of(metric_type: str, /, **config: Any) -> Any:
    settings = Settings(
        aws_region="eu-west-1", azure_storage_account_name="mine", azure_storage_account_key="k"
    )
    return apps_from_data(json.dumps(queue(metric_type, **config)).encode(), settings)[0][0].metric


def test_what_the_metrics_are_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "a/b@c")
    monkeypatch.setenv("NAME", "n:1")
    assert metric_of("SQS", queueURL="https://sqs/1/q").source.key == ("sqs", "eu-west-1", "https://sqs/1/q")
    kind, account, name, visible = metric_of("AzureQueue", queueName="q").source.key
    assert (kind, account.name, account.key, name, visible) == ("azure", "mine", "k", "q", False)
    http = metric_of("HTTP", url=URL, path="a.b", headers=SENT)
    headers = (("Accept", "application/json"), ("Authorization", "Bearer n:1"), ("X-Number", "3"))
    assert http.source.key == ("http", "http://me:a%2Fb%40c@h:80/q?n=n:1", headers, None, False)
    assert http.path.text == "a.b"
    redis = metric_of("Redis", url="redis://:${PASSWORD}@h", key="k", kind="group", group="g")
    assert redis.source.key == ("redis", "redis://:a%2Fb%40c@h", ("XPENDING", "k", "g"))
    assert metric_of("Redis", url="redis://h", key="k").source.key[2] == ("LLEN", "k")


@pytest.mark.parametrize(
    ("kind", "config", "problem"),
    [
        ("HTTP", {}, "url: is missing: metricType HTTP needs it"),
        ("HTTP", {"url": 3}, "url: expected text, got 3"),
        ("HTTP", {"url": "ftp://u:hunter22@h"}, "url: expected a URL such as http"),
        ("HTTP", {"url": "http://h/${NOT_SET}"}, "url: the variable NOT_SET, which it refers to, is not set"),
        ("HTTP", {"url": "http://h", "path": "a..b"}, "path: has two dots: name every step"),
        ("HTTP", {"url": "http://h", "path": ["a"]}, "path: expected text, got a list"),
        ("HTTP", {"url": "http://h", "headers": "a: b"}, 'headers: expected an object, got "a: b"'),
        ("HTTP", {"url": "http://h", "headers": {"A": None}}, "headers.A: expected text, got null"),
        (
            "HTTP",
            {"url": "http://h", "headers": {"A": "hunter22\n"}},
            "headers.A: the header 'A' cannot be sent",
        ),
        (
            "HTTP",
            {"url": "http://h", "headers": {"A": "${NOT_SET}"}},
            "headers.A: the variable NOT_SET, which",
        ),
        ("Redis", {"key": "k"}, "url: is missing: metricType Redis needs it"),
        ("Redis", {"url": "redis://h"}, "key: is missing: metricType Redis needs it"),
        ("Redis", {"url": "http://:hunter22@h", "key": "k"}, "url: expected redis://"),
        (
            "Redis",
            {"url": "redis://h", "key": "k", "kind": "set"},
            "kind: expected list, stream, group, zset or due, got",
        ),
        (
            "Redis",
            {"url": "redis://h", "key": "k", "kind": "group"},
            "group: is the name of a consumer group",
        ),
        ("Redis", {"url": "redis://h", "key": "k", "group": "g"}, "group: is the name of a consumer group"),
        ("SQS", {"queueURL": 3}, "queueURL: expected text, got 3"),
        ("AzureQueue", {"queueName": []}, "queueName: expected text, got a list"),
    ],
)
def test_problem_of_a_metric(kind: str, config: dict[str, Any], problem: str) -> None:
    found = problems(queue(kind, **config))
    assert len(found) == 1
    assert found[0].startswith(f"apps[0].config.{problem}")
    assert "hunter22" not in found[0]


def test_what_a_missing_queue_and_a_negative_number_count_as(caplog: pytest.LogCaptureFixture) -> None:
    nsq = metric_of("NSQ", topicName="t", channelName="c")
    assert (nsq.missing, nsq.at_least) == ("empty", None)
    assert metric_of("NSQ", topicName="t", channelName="c", missing="held").missing == "held"
    assert metric_of("Redis", url="redis://h", key="k", missing="held", kind="stream").missing == "held"
    assert metric_of("Redis", url="redis://h", key="k", kind="group", group="g").missing == "held"
    assert metric_of("HTTP", url="http://h", atLeast=0).at_least == 0
    assert metric_of("SQL", databaseURL="sqlite:///q", query="SELECT 1", atLeast=3).at_least == 3
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (
            {"missing": "zero"},
            "missing: expected empty (counts as 0 items) or held (the task stays put), got",
        ),
        ({"missing": True}, "missing: expected text, got true"),
        ({"atLeast": -1}, "atLeast: expected a whole number, 0 or more, got -1"),
        ({"atLeast": "0"}, 'atLeast: expected a whole number, got "0"'),
    ],
)
def test_bounds_that_cannot_be(config: dict[str, Any], problem: str) -> None:
    found = problems(queue("NSQ", topicName="t", channelName="c", **config))
    assert [each.startswith(f"apps[0].config.{problem}") for each in found] == [True]


def test_missing_means_nothing_where_that_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    said = warnings(caplog, queue("HTTP", url="http://h", missing="empty"))
    assert said == ["apps[0].config.missing: is not known here, and ignored"]


# Which sources there are decides about the rest.
PLAIN = "variables are filled in only in the body, databaseURL, headers, "
LITERAL = [
    ("NSQ", {"topicName": "${TOPIC}"}, [f"topicName: ${{TOPIC}} is taken literally: {PLAIN}"]),
    ("SQL", {"databaseURL": "sqlite:///q", "query": "SELECT ${A}"}, ["query: ${A} is taken"]),
    ("Redis", {"url": "redis://h", "key": "${X}"}, [f"key: ${{X}} is taken literally: {PLAIN}"]),
    ("Redis", {"url": "redis://h", "key": "k", "env": ["A=${HERE}", "C=$${D}"]}, []),
    (
        "Redis",
        {"url": "redis://h", "key": "k", "environment": {"A": "${HERE:-x}"}},
        ["environment.A: ${HERE...} is taken literally: only the form ${NAME} is"],
    ),
    (
        "HTTP",
        {"url": "http://h/?q=${X:-hunter22}"},
        ["url: ${X...} is taken literally: only the form ${NAME} is"],
    ),
    ("HTTP", {"url": "http://h", "headers": {"A": "${1}"}}, ["headers.A: ${1...} is taken literally: only"]),
    ("HTTP", {"url": "http://h/${HERE}", "headers": {"A": "x${HERE}"}}, []),
    ("HTTP", {"url": "http://h", "image": "a:${HERE}", "x-note": "${A}"}, []),
    ("HTTP", {"url": "http://h", "command": "sh -c 'echo ${A}'"}, []),
    ("HTTP", {"url": "http://h", "command": ["sh", "-c", "echo ${A}"]}, []),
    ("HTTP", {"url": "http://h", "command": ["run", "${A}"]}, ["command[1]: ${A} is taken"]),
    ("HTTP", {"url": "http://h", "entrypoint": ["${A}"]}, ["entrypoint[0]: ${A} is taken"]),
    ("HTTP", {"url": "http://h", "healthcheck": {"test": "test ${A}"}}, []),
    ("HTTP", {"url": "http://h", "healthcheck": {"test": "test $${A}"}}, ["healthcheck.test: $$ is taken"]),
    ("HTTP", {"url": "http://h", "command": "sh -c 'kill $$'"}, []),
    ("HTTP", {"url": "http://h", "image": "a:$HERE"}, ["image: $HERE is taken literally: only the form"]),
    ("HTTP", {"url": "http://h", "env": {"A": "pa$word"}}, []),
    ("HTTP", {"url": "http://h", "healthcheck": {"test": ["CMD", "${A}"]}}, ["healthcheck.test[1]: ${A} is"]),
    ("HTTP", {"url": "http://h", "command": "worker --queue ${A}"}, ["command: ${A} is taken"]),
    ("HTTP", {"url": "http://h", "path": "a.b", "command": "echo $A $(b) {c}"}, []),
]


@pytest.mark.parametrize(("kind", "config", "said"), LITERAL)
def test_a_variable_that_is_not_filled_in(
    caplog: Any, monkeypatch: Any, kind: str, config: dict[str, Any], said: list[str]
) -> None:
    monkeypatch.setenv("HERE", "here")
    found = [each for each in warnings(caplog, queue(kind, **config)) if "literally" in each]
    assert len(found) == len(said)
    assert all(one.startswith(f"apps[0].config.{two}") for one, two in zip(found, said, strict=True))
    assert "hunter22" not in str(found)


@pytest.mark.parametrize(("kind", "key"), [("SQS", "queueURL"), ("AzureQueue", "queueName")])
def test_queue_that_is_not_named_is_a_warning(caplog: pytest.LogCaptureFixture, kind: str, key: str) -> None:
    """The Go agent let it through."""
    found = warnings(caplog, queue(kind))
    assert found == [
        f"apps[0].config.{key}: is missing: with nothing to measure, the task stays put",
    ]


def test_what_only_other_metrics_need_is_not_known(caplog: pytest.LogCaptureFixture) -> None:
    found = warnings(caplog, queue("NSQ", topicName="t", channelName="c", url="http://h", queueURL="u"))
    assert found == ["apps[0].config.url: is not known here, and ignored"]


def test_settings_reach_metric_and_target() -> None:
    settings = Settings(nsq_stats_endpoint="nsq:1", kp=7.5)
    task = apps_from_data(json.dumps(QUEUE).encode(), settings)[0][0]
    assert isinstance(task.metric, NSQMetric)
    assert task.metric.source is not None
    assert "nsq:1" in str(task.metric.source.key)
    assert task.target.delta(60) == QueueLengthTarget(50, settings).delta(60)


def test_environment_is_read_without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    default = apps(QUEUE)[0][0].target.delta(60)
    monkeypatch.setenv("MSS_KP", "7.5")
    task = apps_from_data(json.dumps(QUEUE).encode())[0][0]
    assert task.target.delta(60) == QueueLengthTarget(50, Settings(kp=7.5)).delta(60) != default


KEYS = [
    *("name", "maxContainers", "minContainers", "priority", "ruleType", "metricType", "targetValue", "env"),
    *("networkMode", "networks", "ports", "publishAllPorts", "volumes", "memory", "cpus", "labels", "x"),
    *("stopGraceSeconds", "targetQueueLength", "image", "command", "target", "published", "host_ip"),
    *("protocol", "type", "source", "read_only", "databaseURL", "query", "url", "path", "headers", "key"),
    *("kind", "group", "queueURL", "queueName", "missing", "atLeast"),
]
WORDS = (
    "",
    "a",
    "Queue",
    "NSQ",
    "SQL",
    "HTTP",
    "Redis",
    "SQS",
    "AzureQueue",
    "http://h/${X}",
    "redis://h",
    "group",
    "80",
    "1-2:3-4",
    "/a:/b",
    "a:/b",
    "64m",
    "bridge",
    "A=1",
    "a\nb",
    "\ud800",
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=5)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=8,
)
APPS = st.fixed_dictionaries(
    {"name": st.text()},
    optional={
        "config": st.dictionaries(st.sampled_from(KEYS), VALUES),
        "ruleType": st.just("Queue"),
        "metricType": st.sampled_from(METRICS.names()),
    },
)


@hypothesis.settings(deadline=None)
@hypothesis.given(
    st.fixed_dictionaries({"apps": st.lists(APPS | VALUES, max_size=3), "maxContainers": SCALARS}) | VALUES
)
def test_whatever_it_is_every_problem_is_one_line_with_a_place(data: Any) -> None:
    try:
        apps_from_parsed(data, Settings())
    except ConfigError as error:
        for problem in error.problems:
            assert problem.isprintable()
            assert re.match(r"(apps|maxContainers|name|expected)\b", problem)


@pytest.mark.parametrize(("cap", "warns"), [(7, False), (2, True)])
def test_a_cap_of_the_settings_is_in_place_of_the_configurations(
    cap: int, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    data = json.dumps({"maxContainers": 4, "apps": [{"name": "a", "minContainers": 3, "maxContainers": 5}]})
    _, found = apps_from_data(data.encode(), Settings(max_containers=cap))
    assert found == cap
    assert (
        "MSS_MAX_CONTAINERS: is 2, but the minContainers of the tasks add up to 3" in caplog.text
    ) is warns
