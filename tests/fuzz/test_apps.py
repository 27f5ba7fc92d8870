"""The description of the tasks, as JSON and as YAML."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, given

from microscaling.api.apps import apps_from_data, apps_from_parsed
from microscaling.api.schema.declared import APP, CONFIG
from microscaling.demand.task import Task
from microscaling.errors import ConfigError
from microscaling.metric.azure_queue import AzureQueueMetric
from microscaling.metric.base import METRICS, Metric
from microscaling.metric.redis_jobs import JobsMetric
from microscaling.plugins import Field
from microscaling.settings import Settings
from microscaling.target.base import RULES, Target
from microscaling.utils.yaml_text import parse as parse_yaml
from tests.fuzz.checks import SECRET, check_error, check_line, fuzz, heard, is_whole
from tests.fuzz.inputs import Dice, dice

MOST = 2**63 - 1
QUEUE = {"ruleType": "Queue", "priority": 1, "minContainers": 1, "maxContainers": 5, "appType": "Docker"}
BOX = {
    "image": "a/b:c", "command": "run it", "publishAllPorts": True, "targetQueueLength": 50,
    "stopGraceSeconds": 2.5,
    "networkMode": "bridge", "memory": "64m", "cpus": 0.5, "ports": [80, "127.0.0.1:8000-8009:80/udp",
    {"target": 80, "published": "8080", "host_ip": "::1", "protocol": "tcp"}], "volumes": ["data:/data:ro",
    "/etc:/e",
    {"type": "tmpfs", "target": "/t"}], "env": {"A": 1, "DB_PASSWORD": SECRET}, "labels": ["a=b"],
    "x-note": 1,
}  # fmt: skip
GPU = {"driver": "nvidia", "count": 1, "capabilities": ["gpu"], "options": {"a": 1}}
CHECK = {"test": ["CMD", "true"], "interval": "30s", "timeout": "1s", "start_period": "5s", "retries": 3}
WORDS = {
    "image": "a/b:c", "command": ["sh", "-c", "a  b"], "networkMode": "bridge", "user": "1000:1000",
    "env_file": [{"path": "/not/there", "required": False}], "entrypoint": ["a", "b"], "working_dir": "/d",
    "secrets": {"s": {"file": "/s", "target": "t"}}, "configs": {"c": {"file": "/c"}}, "group_add": ["a", 7],
    "read_only": True, "privileged": False, "cap_drop": ["ALL"], "cap_add": ["NET_ADMIN"], "init": True,
    "security_opt": ["no-new-privileges:true", "label=type:x"], "ipc": "private", "pid": "host",
    "tmpfs": ["/run", "/t:size=1m"], "ulimits": {"nofile": {"soft": 1, "hard": 2}, "nproc": 7},
    "pids_limit": 9, "cpu_shares": 512, "cpuset": "0-1", "mem_reservation": "1m", "memswap_limit": -1,
    "devices": ["/dev/null:/dev/n:r", {"source": "/dev/zero"}], "gpus": [GPU], "shm_size": "1m",
    "extra_hosts": {"a": "10.0.0.1", "b": ["::1"]}, "dns": ["10.0.0.1"], "dns_search": "a.b",
    "dns_opt": ["ndots:2"], "hostname": "h", "domainname": "d", "healthcheck": CHECK, "stop_signal": "SIGINT",
    "logging": {"driver": "json-file", "options": {"max-size": "1m"}}, "sysctls": ["net.core.somaxconn=1"],
    "deploy": {"resources": {"limits": {"memory": "1m", "cpus": 1}, "reservations": {}}},
    "restart": "no", "directory": "/d", "output": "inherit", "update": {"parallel": 2},
}  # fmt: skip
ASKED = {
    "idleSeconds": 3,
    "stuckSeconds": 9,
    "count": "waiting",
    "intervalSeconds": 1,
    "timeoutSeconds": 0.5,
    "atLeast": 0,
}
JOBS_IN_REDIS = [kind.type_name for kind in METRICS.all() if issubclass(kind, JobsMetric)]
SAMPLES: dict[tuple[str, str], Any] = {
    ("HTTP", "url"): f"http://u:{SECRET}@h/x",
    ("HTTP", "path"): "a[0].b",
    ("HTTP", "headers"): {"X-Token": SECRET, "Authorization": "${TOKEN}"},
    ("HTTP", "header"): "",
    ("Redis", "url"): f"redis://:{SECRET}@h/0",
    ("Redis", "kind"): "group",
    ("Exec", "exec"): "true",
    ("KEDA", "url"): "grpc://h:6000",
    ("KEDA", "metadata"): {"queue": "q", "token": SECRET},
    ("Push", "maxAgeSeconds"): 30,
    ("Beanstalkd", "url"): "beanstalkd://h",
    **{(name, "url"): f"http://u:{SECRET}@h/x" for name in ("HAProxy", "NginxStatus", "Caddy", "Traefik")},
    ("Gearman", "url"): "gearman://h",
    ("Kafka", "bootstrapServers"): "h:9092",
    ("Kafka", "options"): {"sasl.username": "u", "sasl.password": SECRET},
    ("NSQ", "nsqd"): f"u:{SECRET}@h:4151",
    ("NSQ", "nsqlookupd"): "",
    **{(name, "url"): f"redis://:{SECRET}@h/0" for name in JOBS_IN_REDIS},
    ("Celery", "prioritySteps"): "0,5",
    ("Huey", "timeZone"): "UTC",
    ("SQL", "databaseURL"): "sqlite:////db",
    ("SQL", "query"): "SELECT 1",
}
"""Of a type and a key; elsewhere any value of the kind will do."""
OF_KIND = {
    "whole": 7,
    "number": 0.5,
    "flag": True,
    "url": f"http://u:{SECRET}@h/x",
    "headers": {"X-Token": SECRET},
    "params": {"token": SECRET, "list": [1, 2.5, True, "${TOKEN}"]},
    "body": {"password": SECRET, "query": "{ waiting }"},
}


def sample(type_name: str, field: Field) -> Any:
    """A valid value of a field."""
    usual = field.choices[0] if field.choices else OF_KIND.get(field.kind, "t")
    return SAMPLES.get((type_name, field.key), usual)


def samples(type_name: str, fields: tuple[Field, ...]) -> dict[str, Any]:
    return {field.key: sample(type_name, field) for field in fields}


def app_of(kind: type[Metric], config: Mapping[str, Any]) -> dict[str, Any]:
    name = kind.type_name
    missing = {"missing": "held"} if kind.may_be_missing else {}
    config = {**config, **missing, **samples(name, kind.fields)}
    app = {**QUEUE, "name": name, "metricType": name, "config": config}
    if kind.of_containers:  # whose number is no queue's
        app |= {"ruleType": "PerContainer", "config": {**config, "targetPerContainer": 7}}
    return app


def app_by(rule: type[Target]) -> dict[str, Any]:
    metric = app_of(AzureQueueMetric, {}) if rule.measures else {**QUEUE, "config": {"env": [f"P={SECRET}"]}}
    config = {**metric["config"], **samples(rule.type_name, rule.fields)}
    return {**metric, "name": rule.type_name, "ruleType": rule.type_name, "config": config}


OTHERS = {"networks": {"a": None}, **ASKED}
TASKS = [app_of(kind, OTHERS if i else BOX) for i, kind in enumerate(METRICS.all())]
WEB = {"web": True, "unlistSeconds": 3.5, "listAfterSeconds": 2, "webNetworks": ["a"], "networks": ["a"]}
YIELDS = {"yield": "pause", "yieldPaused": 2, "yieldSeconds": 20, "leaseSeconds": 30}
WARM = {"warm": 2, "warmAfter": {"file": "/tmp/ready"}, "go": {"file": "/tmp/go"}}
SEVERAL = {
    **ASKED,
    **WEB,
    **YIELDS,
    **WARM,
    "sources": [{"metricType": "Redis", "url": "redis://h", "key": "a"}],
}
TASKS += [{**QUEUE, "metricType": "Redis", "config": SEVERAL}]
TASKS[-1] |= {"name": "several"}
STOPS = {"warm": 2, "warmAfter": {"signal": "STOP"}, "go": {"signal": "CONT"}}
TASKS += [{**QUEUE, "name": "stops", "metricType": "Redis", "config": {**SEVERAL, **STOPS}}]
OF_NSQ = {"maxWaitSeconds": 9, "topicName": "t", "channelName": "c"}
METRICS_OF_ONE = [
    {"ruleType": "PerContainer", "targetPerContainer": 5, "activation": 2, "count": "waiting"},
    {"ruleType": "Wait", "metricType": "NSQ", "config": OF_NSQ},
    {"ruleType": "SimpleQueue", "targetQueueLength": 9, "sources": [{"key": "a"}, {"key": "b"}]},
]
METRICS_OF_ONE[0] |= {"metricType": "Redis", "url": f"redis://:{SECRET}@h", "key": "a"}
METRICS_OF_ONE[2] |= {"metricType": "Redis", "url": "redis://h"}
TASKS += [{"name": "metrics", "priority": 1, "maxContainers": 5, "metrics": METRICS_OF_ONE, "config": ASKED}]
TASKS[0] |= {"fallback": {"failureThreshold": 3, "containers": 2}, "scaleDownWindowSeconds": 30}
LIMIT = {"step": 4, "percent": 100.0, "seconds": 15}
WINDOWS = [
    {
        "from": "Mon-Fri 08:00",
        "to": "18:00",
        "timezone": "Europe/Berlin",
        "minContainers": 2,
        "maxContainers": 4,
    },
    {"from": "0 8 * * 1-5", "to": "0 18 * * *", "priority": -1},
    {"dates": ["12-24..01-01", "2028-02-29"], "targetQueueLength": 9},
]
TASKS[0]["schedule"] = WINDOWS
TASKS[1] |= {"weight": 2.5, "reserve": 1, "scaleUp": LIMIT, "scaleDown": {**LIMIT, "step": 1}}
TASKS[1]["config"] = {**TASKS[1]["config"], "activation": 3}
TASKS += [app_by(rule) for rule in RULES.all()]
TASKS += [{"name": "words", "maxContainers": 3, "ruleType": "Remainder", "config": WORDS}]
WAYS = (
    {"busyFile": "/var/busy", "busyFileMaxSeconds": 60},
    {"busyProbe": {"exec": ["is-idle", "-q"]}},
    {"busyProbe": {"http": {"port": 8080, "path": "/busy"}}},
    {"busyCpu": 0.05},
)
DRAIN = {
    "signal": "TSTP",
    "seconds": 60,
    "secondsForOthers": 5,
    "holdsPlace": False,
    "resume": {"signal": "CONT"},
}
HOOK = {"hook": {"exec": ["quiet"]}, "resume": {"exec": ["go", "on"]}}
TASKS += [
    {"name": f"w{i}", "maxContainers": 2, "config": {**way, "drain": DRAIN if i else HOOK}}
    for i, way in enumerate(WAYS)
]
TASKS += [
    {
        "name": "by-source",
        "maxContainers": 2,
        "ruleType": "Queue",
        "metricType": "NSQ",
        "config": {"topicName": "t", "channelName": "c", "targetQueueLength": 5, "busy": "source"},
    }
]
APPS = [{"name": "me", "maxContainers": 10, "apps": [task]} for task in TASKS]
APPS += [{"maxContainers": 10, "apps": [TASKS[-3 - len(WAYS)], TASKS[0]]}]


def test_the_words_are_good_and_complete() -> None:
    """Hostile inputs are made of configurations that are accepted, with every key that there is."""
    known: set[str] = set()
    for data in APPS:
        warnings: list[str] = []
        apps_from_parsed(data, Settings(aws_region="r", azure_storage_connection_string=""), warnings.append)
        assert [warning for warning in warnings if "is not known here" in warning] == []
        for task in data["apps"]:
            known |= {*task, *task["config"]}
    fields = [field for kind in METRICS.all() for field in kind.fields]
    fields += [field for rule in RULES.all() for field in rule.fields]
    declared = {field.key for field in (*APP, *CONFIG, *fields)}
    assert declared - known == set()


def check_task(task: Task) -> None:
    assert task.name
    assert is_whole(task.priority, -MOST - 1, MOST)
    assert is_whole(task.min_containers, 0, task.max_containers)
    assert is_whole(task.max_containers, 0, MOST)
    assert task.max_delta == task.max_containers - task.min_containers
    assert is_whole(getattr(task.target, "length", 0), 0, MOST)
    assert type(task.publish_all_ports) is bool
    box = task.container
    assert is_whole(box.memory, 0, MOST)
    assert 0 <= box.cpus <= 4096
    assert 0 <= box.stop_grace_s <= 3600
    assert not math.isnan(box.cpus + box.stop_grace_s)
    assert all(is_whole(port.container, 1, 65535) for port in box.ports)
    for text in _texts(task):
        assert isinstance(text, str)
        text.encode()  # or no engine can be told of it


def _texts(task: Task) -> list[str]:
    box = task.container
    own = [task.name, task.image, task.command, task.network_mode, *task.env, *box.networks]
    mounts = (text for mount in box.mounts for text in (mount.source, mount.target))
    return [*own, *box.labels, *box.labels.values(), *mounts]


def check_apps(data: bytes, read: Any) -> None:
    with heard() as said:
        try:
            tasks, cap = read(data)
        except ConfigError as error:
            check_error(error)
        else:
            assert is_whole(cap, 0, MOST)
            assert len({task.name for task in tasks}) == len(tasks)
            for task in tasks:
                check_task(task)
    for line in said:
        check_line(line)


@fuzz
@given(dice)
def test_json(dice: Dice) -> None:
    check_apps(dice.json(*APPS), lambda data: apps_from_data(data, Settings()))


@fuzz
@given(dice)
def test_yaml(dice: Dice) -> None:
    """JSON is YAML too, and what is no JSON any more may still be YAML."""
    data = dice.json(*APPS)
    assume(len(data) < 2_000)  # it takes long
    check_apps(data, read_yaml)


def read_yaml(data: bytes) -> Any:
    """Names are shown: {"X-Token", "secret"}, with a comma for the colon, makes one of what was none."""
    value = parse_yaml(data)
    assume(not any(SECRET in name for name in names_in(value)))
    return apps_from_parsed(value, Settings())


def names_in(value: Any) -> set[str]:
    """Every key of every object; what refers to itself is looked at to some depth."""
    names: set[str] = set()
    left = [(value, 0)]
    while left:
        inner, depth = left.pop()
        if isinstance(inner, dict) and depth < 9:
            names |= {str(key) for key in inner}
            left += [(entry, depth + 1) for entry in inner.values()]
        elif isinstance(inner, list) and depth < 9:
            left += [(entry, depth + 1) for entry in inner]
    return names


def huge(*values: str) -> bytes:
    return ('{"maxContainers": 1, "apps": [' + ",".join(values) + "]}").encode()


MANY = 200_000
PUBLISHING = '{"name": "%d", "config": {"networkMode": "bridge", "ports": ["1-65535"]}}'
HUGE = {
    "numbers for tasks": huge(*["1"] * MANY),
    "numbers for volumes": huge('{"name": "a", "config": {"volumes": [' + ",".join(["1"] * MANY) + "]}}"),
    "numbers for labels": huge('{"name": "a", "config": {"labels": [' + ",".join(["1"] * MANY) + "]}}"),
    "ranges of ports": huge('{"name": "a", "config": {"ports": [' + ",".join(['"1-65535"'] * MANY) + "]}}"),
    "tasks with ranges of ports": huge(*(PUBLISHING % i for i in range(5_000))),
    "one key": huge("{" + ",".join(['"a": 1'] * MANY) + "}"),
    "keys": huge("{" + ",".join(f'"{i}": 1' for i in range(MANY // 4)) + "}"),
    "one name": huge(*['{"name": "a"}'] * (MANY // 10)),
    "one long key": huge('{"name": 1, "' + "x" * 10**6 + '": 1}'),
    "one long variable": huge('{"name": 1, "config": {"env": {"' + "=" * 10**6 + '": 1}}}'),
    "deep": b"[" * MANY,
    "deep objects": b'{"a":' * MANY,
    "digits": huge('{"name": "a", "priority": ' + "9" * 10**6 + "}"),
}  # fmt: skip


@pytest.mark.parametrize("name", HUGE)
def test_much_of_it(name: str, cpu: Any) -> None:
    """As much as fits into an answer of the server: it takes neither for ever nor all memory."""
    with cpu(20.0):
        check_apps(HUGE[name], lambda data: apps_from_data(data, Settings()))


LAUGHS = b"a0: &a0 {k: 1, l: 2}\n" + b"".join(
    b"a%d: &a%d {<<: [%s]}\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 9)
)


@pytest.mark.parametrize("data", [LAUGHS, b"".join(b"k%d: 1\n" % i for i in range(20_000)), b"[" * 20_000])
def test_much_of_yaml(data: bytes, cpu: Any) -> None:
    with cpu(60.0):
        check_apps(data, lambda data: apps_from_parsed(parse_yaml(data), Settings()))
