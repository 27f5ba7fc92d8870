"""Monitoring endpoints as people have them: answers in the form that each system documents, made by hand,
and the configuration that reads the right number out of each."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from microscaling.api.apps import apps_from_parsed
from microscaling.errors import MetricError
from tests.metric.faulty import Server, response


@dataclass(frozen=True)
class Endpoint:
    """What a system answers at a path, what a task's `config` says of it, and the number that is right."""

    system: str
    path: str
    answer: Any
    config: dict[str, Any]
    number: int
    headers: tuple[str, ...] = ()
    metric: str = "HTTP"
    sent: dict[str, Any] = field(default_factory=dict)
    """What has to arrive: a query's words, a body."""


def queue(name: str, messages: int, **more: Any) -> dict[str, Any]:
    return {"name": name, "messages": messages, **more}


RABBIT = [
    queue("celery", 12, vhost="/", messages_ready=9, messages_unacknowledged=3),
    queue("mail", 4, vhost="/", messages_ready=4, messages_unacknowledged=0),
    queue("celery", 1, vhost="test", messages_ready=1, messages_unacknowledged=0),
]
JENKINS = {
    "_class": "hudson.model.Queue",
    "items": [
        {"id": 11, "buildable": True, "stuck": False, "why": "Waiting for next available executor"},
        {"id": 12, "buildable": False, "blocked": True, "why": "Build #3 is already in progress"},
        {"id": 13, "buildable": True, "stuck": True, "why": "Waiting for next available executor"},
    ],
}
JSZ = {
    "account_details": [
        {"name": "OTHER", "stream_detail": []},
        {
            "name": "$G",
            "stream_detail": [
                {
                    "name": "JOBS",
                    "state": {"messages": 90, "bytes": 1234},
                    "consumer_detail": [
                        {"name": "workers", "num_pending": 25, "num_ack_pending": 3},
                        {"name": "audit", "num_pending": 0, "num_ack_pending": 0},
                    ],
                }
            ],
        },
    ]
}
HORIZON = [
    {"name": "default", "length": 12, "wait": 3, "processes": 2, "split_queues": None},
    {"name": "mails", "length": 30, "wait": 9, "processes": 1, "split_queues": None},
]
AIRFLOW_POOLS = {
    "pools": [
        {"name": "default_pool", "slots": 128, "occupied_slots": 5, "running_slots": 2, "queued_slots": 3},
        {"name": "gpu", "slots": 2, "occupied_slots": 2, "running_slots": 2, "queued_slots": 14},
    ],
    "total_entries": 2,
}
ACTIONS = {
    "total_count": 4,
    "workflow_runs": [
        {"id": 30433642, "name": "Build", "status": "queued"},
        {"id": 30433643, "name": "Build", "status": "in_progress"},
        {"id": 30433644, "name": "Test", "status": "queued"},
    ],
}
GRAPHITE = [
    {"target": "stats.gauges.jobs", "datapoints": [[4.0, 1311836008], [None, 1311836068], [7.5, 1311836128]]}
]
INFLUX = {
    "results": [
        {
            "statement_id": 0,
            "series": [
                {
                    "name": "jobs",
                    "columns": ["time", "last"],
                    "values": [["2015-06-11T20:46:02Z", 6], ["2015-06-11T20:47:02Z", 8]],
                }
            ],
        }
    ]
}
PROMETHEUS = {
    "status": "success",
    "data": {
        "resultType": "vector",
        "result": [
            {"metric": {"queue": "mail"}, "value": [1435781451.781, "3"]},
            {"metric": {"queue": "jobs"}, "value": [1435781451.781, "5.2"]},
        ],
    },
}
REDIS_EXPORTER = b"""# HELP redis_key_size The length or size of "key"
# TYPE redis_key_size gauge
redis_key_size{db="db0",key="celery"} 21
redis_key_size{db="db0",key="mails"} 4
# TYPE redis_up gauge
redis_up 1
"""
RABBIT_EXPORTER = b"""# TYPE rabbitmq_queue_messages_ready gauge
# HELP rabbitmq_queue_messages_ready Messages ready to be delivered to consumers
rabbitmq_queue_messages_ready{vhost="/",queue="jobs"} 5
rabbitmq_queue_messages_ready{vhost="/",queue="mails"} 9
"""
ENDPOINTS = [
    Endpoint(
        "Flower, length of a queue",
        "/api/queues/length",
        {"active_queues": [queue("celery", 7), queue("b", 2)]},
        {"path": "active_queues[name=celery].messages"},
        7,
    ),
    Endpoint(
        "Flower, all queues",
        "/api/queues/length",
        {"active_queues": [queue("celery", 7), queue("b", 2)]},
        {"path": "active_queues[*].messages"},
        9,
    ),
    Endpoint(
        "Flower, received tasks",
        "/api/tasks",
        {"e42ceb2d": {"state": "RECEIVED"}, "f67ea225": {"state": "RECEIVED"}},
        {"params": {"state": "RECEIVED"}, "path": "length()"},
        2,
        sent={"state": ["RECEIVED"]},
    ),
    Endpoint("Horizon, one queue", "/horizon/api/workload", HORIZON, {"path": "[name=mails].length"}, 30),
    Endpoint("Horizon, all queues", "/horizon/api/workload", HORIZON, {"path": "[*].length"}, 42),
    Endpoint(
        "Horizon, waiting time",
        "/horizon/api/stats",
        {"jobsPerMinute": 3, "wait": {"redis:default": 17}},
        {"path": 'wait["redis:default"]'},
        17,
    ),
    Endpoint("RabbitMQ, one queue", "/api/queues/%2F/celery", RABBIT[0], {"path": "messages_ready"}, 9),
    Endpoint("RabbitMQ, a list", "/api/queues", RABBIT, {"path": "[name=mail].messages"}, 4),
    Endpoint("RabbitMQ, a virtual host", "/api/queues", RABBIT, {"path": "[vhost=/][*].messages_ready"}, 13),
    Endpoint(
        "RabbitMQ, per object in Prometheus' text",
        "/metrics/per-object",
        RABBIT_EXPORTER,
        {"series": 'rabbitmq_queue_messages_ready{queue="jobs"}'},
        5,
        metric="Exporter",
    ),
    Endpoint("Jenkins, all that waits", "/queue/api/json", JENKINS, {"path": "items.length"}, 3),
    Endpoint(
        "Jenkins, what an agent could build",
        "/queue/api/json",
        JENKINS,
        {"path": "length(items[buildable=true][*])"},
        2,
    ),
    Endpoint(
        "Jenkins, busy executors",
        "/computer/api/json",
        {"busyExecutors": 2, "totalExecutors": 5},
        {"path": "busyExecutors"},
        2,
    ),
    Endpoint(
        "Graphite, the last point",
        "/render",
        GRAPHITE,
        {
            "params": {"target": "keepLastValue(stats.gauges.jobs)", "format": "json", "from": "-5min"},
            "path": "[0].datapoints[-1][0]",
        },
        8,
        sent={"target": ["keepLastValue(stats.gauges.jobs)"]},
    ),
    Endpoint(
        "NATS JetStream",
        "/jsz",
        JSZ,
        {
            "params": {"acc": "$G", "consumers": True},
            "path": "account_details[name=$G].stream_detail[name=JOBS]"
            ".consumer_detail[name=workers].num_pending",
        },
        25,
        sent={"acc": ["$G"], "consumers": ["true"]},
    ),
    Endpoint(
        "NATS, connections", "/connz", {"num_connections": 3, "total": 3}, {"path": "num_connections"}, 3
    ),
    Endpoint("GitHub Actions, as it counts", "/repos/o/r/actions/runs", ACTIONS, {"path": "total_count"}, 4),
    Endpoint(
        "GitHub Actions, queued of a page",
        "/repos/o/r/actions/runs",
        ACTIONS,
        {"path": "length(workflow_runs[status=queued][*])"},
        2,
    ),
    Endpoint(
        "GitLab, pending jobs",
        "/api/v4/projects/1/jobs",
        [{"id": 7}],
        {"header": "x-total"},
        57,
        headers=("X-Total: 57", "X-Per-Page: 1"),
    ),
    Endpoint(
        "Gitea, open issues",
        "/api/v1/repos/o/r/issues",
        [],
        {"header": "X-Total-Count"},
        0,
        headers=("X-Total-Count: 0",),
    ),
    Endpoint("Airflow, a pool", "/api/v1/pools", AIRFLOW_POOLS, {"path": "pools[name=gpu].queued_slots"}, 14),
    Endpoint(
        "Airflow, queued tasks",
        "/api/v1/dags/~/dagRuns/~/taskInstances",
        {"task_instances": [{"task_id": "a", "state": "queued"}], "total_entries": 9},
        {"params": {"state": ["queued", "scheduled"], "limit": 1}, "path": "total_entries"},
        9,
        sent={"state": ["queued", "scheduled"], "limit": ["1"]},
    ),
    Endpoint(
        "Elasticsearch, a count by a query",
        "/jobs/_count",
        {"count": 42, "_shards": {"total": 1}},
        {"body": {"query": {"term": {"state": "waiting"}}}, "path": "count"},
        42,
        sent={"body": {"query": {"term": {"state": "waiting"}}}},
    ),
    Endpoint(
        "Hasura and other GraphQL",
        "/v1/graphql",
        {"data": {"jobs_aggregate": {"aggregate": {"count": 6}}}},
        {
            "body": {"query": "{jobs_aggregate{aggregate{count}}}"},
            "path": "data.jobs_aggregate.aggregate.count",
        },
        6,
        sent={"body": {"query": "{jobs_aggregate{aggregate{count}}}"}},
    ),
    Endpoint(
        "Burrow",
        "/v3/kafka/local/consumer/workers/lag",
        {"error": False, "status": {"totallag": 120}},
        {"path": "status.totallag"},
        120,
    ),
    Endpoint(
        "ActiveMQ by Jolokia",
        "/api/jolokia/",
        {"value": 5, "status": 200},
        {
            "body": '{"type": "read", "mbean": "org.apache.activemq:x=y", "attribute": "QueueSize"}',
            "path": "value",
        },
        5,
        sent={"body": {"type": "read", "mbean": "org.apache.activemq:x=y", "attribute": "QueueSize"}},
    ),
    Endpoint(
        "Sidekiq",
        "/sidekiq/stats",
        {"sidekiq": {"enqueued": 12, "busy": 3}, "redis": {}},
        {"path": "sidekiq.enqueued"},
        12,
    ),
    Endpoint(
        "RQ dashboard",
        "/0/data/queues.json",
        {"queues": [{"name": "default", "count": 5}]},
        {"path": "queues[name=default].count"},
        5,
    ),
    Endpoint(
        "Bull Board",
        "/admin/queues/api/queues",
        {"queues": [{"name": "mail", "counts": {"waiting": 5, "prioritized": 2, "active": 1}}]},
        {"path": "queues[name=mail].counts.waiting"},
        5,
    ),
    Endpoint(
        "Pulsar",
        "/admin/v2/persistent/public/default/jobs/stats",
        {"subscriptions": {"workers": {"msgBacklog": 31}}},
        {"path": "subscriptions.workers.msgBacklog"},
        31,
    ),
    Endpoint(
        "InfluxDB 1",
        "/query",
        INFLUX,
        {
            "params": {"db": "jobs", "q": 'SELECT last("n") FROM "jobs"'},
            "path": "results[0].series[0].values[-1][1]",
        },
        8,
        sent={"q": ['SELECT last("n") FROM "jobs"']},
    ),
    Endpoint(
        "Prometheus, a query as it was written",
        "/api/v1/query",
        PROMETHEUS,
        {
            "params": {"query": 'rate(a{b="c&d"}[5m]) + 1 # x'},
            "path": "data.result[metric.queue=jobs].value[1]",
        },
        6,
        sent={"query": ['rate(a{b="c&d"}[5m]) + 1 # x']},
    ),
    Endpoint(
        "Prometheus, the sum of all series",
        "/api/v1/query",
        PROMETHEUS,
        {"params": {"query": "waiting"}, "path": "data.result[*].value[1]"},
        9,
    ),
    Endpoint(
        "redis_exporter",
        "/scrape",
        REDIS_EXPORTER,
        {"series": 'redis_key_size{key="celery"}', "params": {"check-single-keys": "celery"}},
        21,
        metric="Exporter",
        sent={"check-single-keys": ["celery"]},
    ),
]


class Recorder:
    """Answers every request alike, and keeps the last one."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.body: Any = None

    def __call__(self, server: Server, sock: Any) -> bool:
        head, _, rest = server.heads[-1].partition(b"\r\n\r\n")
        for line in head.decode().split("\r\n"):
            name, _, value = line.partition(": ")
            if name.lower() == "content-length":
                while len(rest) < int(value):
                    rest += sock.recv(65536)
                self.body = json.loads(rest)
        answer = self.endpoint.answer
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        sock.sendall(response(body, "200 OK", *self.endpoint.headers))
        return True


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.system)
def test_the_right_number(endpoint: Endpoint) -> None:
    if endpoint.metric == "Exporter":
        pytest.importorskip(
            "prometheus_client", reason="prometheus-client is not here: pip install '.[exporter]'"
        )
    recorder = Recorder(endpoint)
    with Server(recorder) as server:
        config = {"url": server.url(endpoint.path), "targetQueueLength": 20, **endpoint.config}
        app = {
            "name": "a",
            "maxContainers": 1,
            "ruleType": "Queue",
            "metricType": endpoint.metric,
            "config": config,
        }
        warnings: list[str] = []
        task = apps_from_parsed(
            {"maxContainers": 1, "apps": [app | {"config": config}]}, warn=warnings.append, strict=True
        )[0][0]
        assert warnings == []
        try:
            task.metric.update()
        finally:
            for source in task.metric.sources:
                source.close()
    assert task.metric.current == endpoint.number
    method, target = server.heads[0].decode().split()[:2]
    sent = dict(endpoint.sent)
    if "body" in sent:
        assert (method, recorder.body) == ("POST", sent.pop("body"))
        assert b"content-type: application/json" in server.heads[0].lower()
    else:
        assert method == "GET"
    assert urlsplit(target).path == endpoint.path
    assert sent.items() <= parse_qs(urlsplit(target).query).items()


WRONG = [
    (
        "Flower without the queue",
        {"active_queues": [queue("celery", 7)]},
        "active_queues[name=mail].messages",
        "'active_queues' has no entry with name=mail: it is a list of 1",
    ),
    ("a field of a list", RABBIT, "messages", r"[*].messages adds up all"),
    ("two queues of one name", RABBIT, "[name=celery].messages", "[name=celery][*] adds them up"),
    (
        "one of all has no number",
        [queue("a", 1), {"name": "b"}],
        "[*].messages",
        "entry 1 of the answer has no 'messages'",
    ),
    (
        "one of all is no number",
        [queue("a", 1), {"messages": None}],
        "[*].messages",
        "entry 1: expected a whole number, got null",
    ),
    ("one of all is unknown", [queue("a", 5), queue("b", -1)], "[*].messages", "-1 is out of range"),
    ("a gap at the end", [{"datapoints": [[4.0, 1], [None, 2]]}], "[0].datapoints[-1][0]", "got null"),
    ("an error in place of a list", {"error": "not authorized"}, "items.length", "has no 'items'"),
]


@pytest.mark.parametrize(
    ("answer", "path", "said"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG]
)
def test_no_number_rather_than_a_wrong_one(answer: Any, path: str, said: str) -> None:
    endpoint = Endpoint("", "/", answer, {"path": path}, 0)
    with Server(Recorder(endpoint)) as server:
        config = {"url": server.url(), "targetQueueLength": 20, "path": path}
        app = {"name": "a", "maxContainers": 1, "ruleType": "Queue", "metricType": "HTTP"}
        task = apps_from_parsed(
            {"maxContainers": 1, "apps": [app | {"config": config}]}, warn=lambda warning: None
        )[0][0]
        with pytest.raises(MetricError) as error:
            task.metric.update()
        for source in task.metric.sources:
            source.close()
    assert said in str(error.value)
