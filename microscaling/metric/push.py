"""The metric of a measurement that the application itself has pushed to our server."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from microscaling.clients.http.client import Client, FetchError
from microscaling.clients.server_address import ServerAddress, gone
from microscaling.errors import ConfigError, MetricError
from microscaling.metric import counts
from microscaling.metric.base import Measurement, Metric, Source
from microscaling.plugins import Field
from microscaling.settings import Settings
from microscaling.utils.text import quoted

DEADLINE_S = 2.0
MAX_BYTES = 2**20
MAX_AGE_S = 30.0
"""Three times the pause between two pushes that Judoscale's libraries make."""
ENTRY_KEYS = ("at", "seconds")
"""In the server's answer beside the counts: the time of the push (Unix seconds), and its age."""


class PushSource(Source):
    """The measurements of all tasks of one site (docs/server.md)."""

    def __init__(self, address: ServerAddress, user_id: str) -> None:
        self.key = ("push", address, user_id)
        self.name = f"measurements at {address.base}"
        self.secrets = [address.token] if address.token else []
        self._address = address
        self._url = f"{address.base}/api/users/{quote(user_id, safe='')}/measurements"
        self._client = Client(DEADLINE_S, MAX_BYTES, self.secrets)

    def check(self) -> None:
        # Not in the constructor: the server, too, makes one, to check a configuration.
        if self._address.is_gone:
            raise ConfigError(gone("metricType Push needs MSS_API_ADDRESS to be a server of your own"))

    def fetch(self) -> Mapping[str, Any]:
        """Returns the server's entries by task. Raises MetricError."""
        try:
            tasks = json.loads(self._client.fetch(self._url, self._address.headers))["tasks"]
        except FetchError as error:
            raise MetricError(str(error)) from None
        except (ValueError, LookupError, TypeError, RecursionError):
            tasks = None
        if not isinstance(tasks, dict):
            raise MetricError(f"{self.name}: not an answer of our server")
        return tasks

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._client.deadline_s = seconds

    def close(self) -> None:
        self._client.close()


class PushMetric(Metric):
    """The last measurement that was pushed for the task (items). One that is older than `max_age_s` seconds
    is an error: the application that knows better may be gone."""

    type_name, summary = "Push", "the numbers that your application pushes to our server"
    fields = (
        Field(
            "maxAgeSeconds",
            "Oldest",
            kind="number",
            default=MAX_AGE_S,
            least=1,
            most=3600,
            hint="seconds for which a pushed number counts; after that there is none",
        ),
    )

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> PushMetric:
        return cls(ServerAddress.of(settings), settings.user_id, values["maxAgeSeconds"])

    def __init__(self, address: ServerAddress, user_id: str, max_age_s: float = MAX_AGE_S) -> None:
        self.max_age_s = max_age_s
        self.source = PushSource(address, user_id)

    def read(self, answer: Mapping[str, Any]) -> Measurement:
        entry = answer.get(self.task)
        if not isinstance(entry, Mapping):
            raise MetricError(f"nothing has been pushed for {quoted(self.task)} since the server was started")
        found = {key: value for key, value in entry.items() if key not in ENTRY_KEYS}
        measured = counts.measurement(found, f"pushed for {quoted(self.task)}", self.at_least)
        at, age_s = (entry.get(key) for key in ENTRY_KEYS)
        if not isinstance(at, (int, float)) or not isinstance(age_s, (int, float)):
            raise MetricError(f"pushed for {quoted(self.task)}: has no time")
        # The server's word for the age, as its clock may differ from ours.
        if age_s > self.max_age_s:
            raise MetricError(
                f"the last number for {quoted(self.task)} was pushed {age_s:.0f} s ago, and counts for "
                f"{self.max_age_s:g} s (maxAgeSeconds)"
            )
        # Until the next push it is the same measurement, however often it is read.
        self.stamp = float(at)
        return dataclasses.replace(measured, age_s=max(0.0, age_s))


TYPE = PushMetric
