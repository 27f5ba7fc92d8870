"""The metric of an external scaler of KEDA, which needs no Kubernetes."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from microscaling.clients.external_scaler import ExternalScaler, ScalerError, metric_of, reference
from microscaling.clients.http.proxies import is_loopback
from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Metric, Source
from microscaling.metric.number import items
from microscaling.plugins import Field
from microscaling.secrets.credentials import secrets_of
from microscaling.settings import Settings
from microscaling.utils import urls
from microscaling.utils.small_file import read_small
from microscaling.utils.text import few, quoted, short

log = logging.getLogger("mssmetric")

DEADLINE_S = 2.0
FORM = "grpc://host:6000, or grpcs://host:6000?ssl_ca_certs=FILE for TLS"
FILES = ("ssl_ca_certs", "ssl_keyfile", "ssl_certfile")
"""The files of TLS, as in a URL of Redis: root certificates (default: those of gRPC), our key, our
certificates."""
MAX_OF_FILE = 2**20
NEEDS_LIBRARY = "metricType KEDA needs grpcio: pip install '.[keda]' in the clone"


def check_url(url: str) -> None:
    """Raises ConfigError for anything but the URL of a gRPC server."""
    urls.check_url(url, ("grpc", "grpcs"), FORM)
    parts = urlsplit(url)
    options = parse_qs(parts.query, keep_blank_values=True)
    if parts.path.strip("/") or parts.port is None or parts.username is not None:
        raise ConfigError(f"expected {FORM}")
    if unknown := [name for name in options if name not in FILES or parts.scheme != "grpcs"]:
        raise ConfigError(f"{few(unknown)}: expected {FORM}")


def check_metadata(metadata: Mapping[str, Any]) -> None:
    """Raises ConfigError for a list, which KEDA's metadata cannot hold."""
    # A field of this kind has a list of values for each name.
    if lists := [name for name, values in metadata.items() if isinstance(values, list) and len(values) != 1]:
        raise ConfigError(f"{few(lists)}: expected one value")


class KEDASource(Source):
    """The scaler of one scaled object. KEDA asks IsActive for the step between no container and one, and
    GetMetrics for all others."""

    def __init__(self, url: str, name: str, namespace: str, metadata: Mapping[str, str], metric: str) -> None:
        parts = urlsplit(url)
        self.key = ("keda", url, name, namespace, tuple(sorted(metadata.items())), metric)
        self.name = f"external scaler {parts.netloc}"
        self.secrets = [secret for key, value in metadata.items() for secret in secrets_of(key, value)]
        self._url = url
        self._of = (name, namespace, metadata)
        self._metric = metric
        self._scaler: ExternalScaler | None = None
        self._chosen = ""
        self._deadline_s = DEADLINE_S

    def check(self) -> None:
        try:
            import grpc  # noqa: F401
            from google.protobuf import message_factory  # noqa: F401
        except ImportError:
            raise ConfigError(NEEDS_LIBRARY) from None
        self._files()

    def fetch(self) -> float:
        """Returns the value of the metric; 0 while the scaler is not active. Raises MetricError."""
        until = time.monotonic() + self._deadline_s
        try:
            return self._value(until)
        except ImportError:
            raise MetricError(NEEDS_LIBRARY) from None
        except ScalerError as error:
            self._chosen = ""  # after a restart its metric may have another name
            raise MetricError(f"{self.name}: {error}") from None
        except ConfigError as error:
            raise MetricError(f"{self.name}: {error}") from None

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._deadline_s = seconds

    def close(self) -> None:
        if self._scaler is not None:
            self._scaler.close()
            self._scaler = None

    def _value(self, until: float) -> float:
        if self._scaler is None:
            parts = urlsplit(self._url)
            proxied = not is_loopback(parts.hostname or "")
            self._scaler = ExternalScaler(parts.netloc, self._files(), proxied)
        scaler, of = self._scaler, reference(*self._of)
        active = scaler.call("IsActive", until, of).result
        # Its name stays the same while the scaler runs, so this is asked once.
        if not self._chosen:
            self._chosen = self._choose(list(scaler.call("GetMetricSpec", until, of).metricSpecs))
        answer = scaler.call("GetMetrics", until, metric_of(of, self._chosen))
        values = [value for value in answer.metricValues if value.metricName in (self._chosen, "")]
        if len(values) != 1:
            raise MetricError(f"{self.name}: {len(values)} values of {quoted(self._chosen)}; expected one")
        # Scalers from before KEDA 2.8 or so know whole numbers only.
        value = values[0].metricValueFloat or float(values[0].metricValue)
        # While it is active KEDA keeps one, though nothing may wait behind the job that runs.
        # Below 0, and NaN, is left for the one rule for numbers.
        return (max(1.0, value) if value >= 0 else value) if active else 0.0

    def _choose(self, specs: list[Any]) -> str:
        """Returns the name of the metric to ask for. Raises MetricError if it is not clear."""
        names = [spec.metricName for spec in specs]
        found = [spec for spec in specs if spec.metricName == (self._metric or spec.metricName)]
        if len(found) != 1:
            there = f"there {'is' if len(names) == 1 else 'are'} {few([short(name) for name in names])}"
            why = f"no metric {quoted(self._metric)}" if self._metric else f"{len(names)} metrics"
            raise MetricError(f"{self.name}: {why}: {there if names else 'there is none'} (metricName)")
        target = found[0].targetSizeFloat or float(found[0].targetSize)
        log.info("%s: metric %s, by itself for %g a container", self.name, short(found[0].metricName), target)
        return str(found[0].metricName)

    def _files(self) -> tuple[bytes | None, ...] | None:
        """Returns the contents of the files of TLS; None without TLS. Raises ConfigError."""
        parts = urlsplit(self._url)
        if parts.scheme != "grpcs":
            return None
        paths = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        try:
            return tuple(read_small(paths[key], MAX_OF_FILE) if key in paths else None for key in FILES)
        except ValueError as error:
            raise ConfigError(f"a file of TLS in its URL {error}") from None


class KEDAMetric(Metric):
    """The value that an external scaler has for KEDA (items), rounded up: of all containers together. Raises
    ConfigError."""

    type_name, summary = "KEDA", "the value of an external scaler of KEDA, over gRPC"
    fields = (
        Field("url", "URL", kind="url", required=True, wide=True, check=check_url, hint="grpc://host:6000"),
        Field(
            "metadata",
            "Metadata",
            kind="params",
            secret=True,
            check=check_metadata,
            hint="that of the trigger, as the scaler's own documentation says",
        ),
        Field("metricName", "Metric", hint="needed only if the scaler has several"),
        Field("scaledObject", "Scaled object", hint="its name for the scaler; empty: the task's name"),
        Field("namespace", "Namespace", default="default"),
    )

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> KEDAMetric:
        name = values["scaledObject"] or values["task"]
        metadata = {key: texts[0] for key, texts in values["metadata"].items()}
        return cls(values["url"], metadata, name, values["namespace"], values["metricName"])

    def __init__(
        self,
        url: str,
        metadata: Mapping[str, str],
        name: str = "",
        namespace: str = "default",
        metric: str = "",
    ) -> None:
        check_url(url)
        check_metadata(metadata)
        self.source = KEDASource(url, name, namespace, metadata, metric)

    def read(self, answer: float) -> int:
        return items(answer, self.source.name if self.source else "", self.at_least)


TYPE = KEDAMetric
