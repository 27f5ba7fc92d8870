"""The metric of an external scaler, with a real gRPC server."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.api.apps import apps_from_parsed
from microscaling.errors import ConfigError, MetricError
from microscaling.metric.keda import KEDAMetric
from microscaling.settings import Settings

pytest.importorskip("grpc", reason="grpcio is not here: pip install '.[keda]'")

from microscaling.clients.external_scaler import messages, metric_of, reference
from tests.services.keda import Scaler


@pytest.fixture
def scaler() -> Iterator[Scaler]:
    with Scaler() as scaler:
        yield scaler


@pytest.fixture
def made() -> Iterator[Any]:
    """Returns a function that makes metrics, which are closed at the end."""
    metrics: list[KEDAMetric] = []

    def make(url: str, *args: Any, **more: Any) -> KEDAMetric:
        metrics.append(KEDAMetric(url, *(args or ({},)), **more))
        return metrics[-1]

    yield make
    for metric in metrics:
        metric.source.close()  # type: ignore[union-attr]


def measured(metric: KEDAMetric) -> int:
    metric.update()
    return metric.current


def test_the_value_of_an_active_scaler(scaler: Scaler, made: Any, caplog: pytest.LogCaptureFixture) -> None:
    metric = made(f"grpc://{scaler.address}", {"queue": "mails"}, name="mailer", namespace="shop")
    scaler.value = 12
    with caplog.at_level(logging.INFO):
        assert measured(metric) == 12
    scaler.value = 0
    assert measured(metric) == 1, "it is active: KEDA keeps one"
    scaler.active, scaler.value = False, 7
    assert measured(metric) == 0
    scaler.active, scaler.in_floats, scaler.value = True, True, 7.2
    assert measured(metric) == 8
    assert [name for name, _ in scaler.asked] == ["IsActive", "GetMetricSpec", "GetMetrics"] + 3 * [
        "IsActive",
        "GetMetrics",
    ]
    for name, request in scaler.asked:
        of = request.scaledObjectRef if name == "GetMetrics" else request
        assert (of.name, of.namespace, dict(of.scalerMetadata)) == ("mailer", "shop", {"queue": "mails"})
    assert scaler.asked[2][1].metricName == "queue-length"
    said = f"external scaler {scaler.address}: metric queue-length, by itself for 5 a container"
    assert said in caplog.messages


def test_one_of_several_metrics_is_chosen_by_its_name(scaler: Scaler, made: Any) -> None:
    scaler.specs, scaler.value = [("a", 5.0), ("b", 1.0)], 3
    with pytest.raises(MetricError, match=r"2 metrics: there are a, b \(metricName\)"):
        measured(made(f"grpc://{scaler.address}"))
    assert measured(made(f"grpc://{scaler.address}", metric="b")) == 3
    assert scaler.asked[-1][1].metricName == "b"
    with pytest.raises(MetricError, match='no metric "c": there are a, b'):
        measured(made(f"grpc://{scaler.address}", metric="c"))
    scaler.specs = []
    with pytest.raises(MetricError, match="0 metrics: there is none"):
        measured(made(f"grpc://{scaler.address}"))


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), 2.0**60])
def test_a_value_that_is_no_number_of_items(scaler: Scaler, made: Any, value: float) -> None:
    scaler.in_floats, scaler.value = True, value
    with pytest.raises(MetricError):
        measured(made(f"grpc://{scaler.address}"))


def test_an_error_of_the_scaler(scaler: Scaler, made: Any) -> None:
    metric = made(f"grpc://{scaler.address}")
    scaler.value = None  # type: ignore[assignment]
    with pytest.raises(MetricError, match=r"internal: no such queue\\nat all$") as caught:
        measured(metric)
    assert str(caught.value).isprintable()
    scaler.value, scaler.values = 4, 2
    with pytest.raises(MetricError, match='2 values of "queue-length"; expected one'):
        measured(metric)
    scaler.values = 1
    assert measured(metric) == 4


def test_a_scaler_that_comes_back_with_another_metric(made: Any) -> None:
    with Scaler() as first:
        first.value = 3
        metric = made(f"grpc://{first.address}")
        assert measured(metric) == 3
    with pytest.raises(MetricError, match=r"external scaler .*: unavailable"):
        measured(metric)
    assert metric.current == 3


def pem(folder: Path, name: str) -> tuple[bytes, bytes]:
    """A key and a certificate that is signed by itself, for this machine."""
    paths = [folder / f"{name}.{kind}" for kind in ("key", "crt")]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(paths[0]), "-out", str(paths[1])],
        check=True, capture_output=True,
    )  # fmt: skip
    return paths[0].read_bytes(), paths[1].read_bytes()


def test_tls_both_ways(tmp_path: Path, made: Any) -> None:
    key, certificate = pem(tmp_path, "scaler")
    _, of_agent = pem(tmp_path, "agent")
    with Scaler(key=key, certificate=certificate, clients=of_agent) as scaler:
        scaler.value = 9
        url = f"grpcs://{scaler.address}?ssl_ca_certs={tmp_path}/scaler.crt"
        ours = f"&ssl_keyfile={tmp_path}/agent.key&ssl_certfile={tmp_path}/agent.crt"
        assert measured(made(url + ours)) == 9
        for other in (url, f"grpcs://{scaler.address}", f"grpc://{scaler.address}"):
            with pytest.raises(MetricError, match="unavailable"):
                measured(made(other))
    missing = made(f"grpcs://{scaler.address}?ssl_ca_certs={tmp_path}/none.crt")
    with pytest.raises(ConfigError, match="a file of TLS in its URL cannot be read: No such file"):
        missing.source.check()


@pytest.mark.parametrize(
    ("url", "metadata", "why"),
    [
        ("http://h:1", {}, "expected grpc://host:6000"),
        ("grpc://h", {}, "expected grpc://host:6000"),
        ("grpc://h:1/path", {}, "expected grpc://host:6000"),
        ("grpc://h:1?ssl_ca_certs=x", {}, "ssl_ca_certs: expected grpc"),
        ("grpcs://h:1?ca=x", {}, "ca: expected grpc"),
        ("grpc://h:1", {"a": ["b", "c"]}, "a: expected one value"),
    ],
)
def test_mistakes(url: str, metadata: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        KEDAMetric(url, metadata)


def test_the_messages_on_the_wire() -> None:
    """By the numbers of their fields: name 1, namespace 2, scalerMetadata 3, and so on."""
    of = reference("mailer", "shop", {"queue": "mails"})
    in_bytes = b"\x0a\x06mailer\x12\x04shop\x1a\x0e\x0a\x05queue\x12\x05mails"
    assert of.SerializeToString() == in_bytes
    asked = metric_of(of, "q").SerializeToString()
    assert asked == b"\x0a" + bytes([len(in_bytes)]) + in_bytes + b"\x12\x01q"
    spec = (
        messages()["GetMetricSpecResponse"]
        .FromString(b"\x0a\x0e\x0a\x01q\x10\x05\x19\0\0\0\0\0\0\x04\x40")
        .metricSpecs[0]
    )
    assert (spec.metricName, spec.targetSize, spec.targetSizeFloat) == ("q", 5, 2.5)
    value = (
        messages()["GetMetricsResponse"]
        .FromString(b"\x0a\x0e\x0a\x01q\x10\x07\x19\0\0\0\0\0\0\x04\x40")
        .metricValues[0]
    )
    assert (value.metricName, value.metricValue, value.metricValueFloat) == ("q", 7, 2.5)
    assert messages()["IsActiveResponse"].FromString(b"\x08\x01").result is True


def test_a_configuration(scaler: Scaler) -> None:
    config = {"url": f"grpc://{scaler.address}", "metadata": {"queue": "mails", "size": 5}, "image": "a",
              "targetPerContainer": 5}  # fmt: skip
    app = {"name": "mailer", "maxContainers": 3, "ruleType": "PerContainer", "metricType": "KEDA"}
    app |= {"config": config}
    [task], _ = apps_from_parsed({"maxContainers": 3, "apps": [app]}, Settings())
    scaler.value = 7
    task.metric.update()
    task.metric.source.close()  # type: ignore[union-attr]
    assert task.metric.current == 7
    request = scaler.asked[0][1]
    assert (request.name, request.namespace) == ("mailer", "default")
    assert dict(request.scalerMetadata) == {"queue": "mails", "size": "5"}
