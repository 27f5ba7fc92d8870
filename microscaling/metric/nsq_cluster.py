"""Several nsqd, listed or found by nsqlookupd, as one source."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from microscaling.clients.http.client import Client, FetchError, public_url
from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Source
from microscaling.metric.missing import Hint, alike
from microscaling.metric.nsq_stats import DEADLINE_S, FORM, MAX_BYTES, Depths, NSQSource, base_of
from microscaling.metric.several_urls import secrets_of_urls, split
from microscaling.utils.urls import check_url

LOOKUP_S = 5.0
"""Seconds between two looks for nsqd: a new one is registered within a few seconds, too."""


def check_endpoints(endpoints: str) -> None:
    """Raises ConfigError for anything but endpoints with commas between them."""
    for endpoint in split(endpoints):
        base = base_of(endpoint)
        check_url(base, ("http", "https"), FORM)
        if "?" in base:
            raise ConfigError(f"expected {FORM}")


class NSQClusterSource(Source):
    """Each nsqd of a list, or each that nsqlookupd knows to have one of the topics, is asked once."""

    def __init__(self, nsqd: str = "", nsqlookupd: str = "", queues: Iterable[tuple[str, str]] = ()) -> None:
        self.key = ("nsq", nsqd, nsqlookupd)
        names = ", ".join(public_url(base_of(one)) for one in split(nsqd or nsqlookupd))
        self.name = f"NSQ at {names}"
        self.secrets = secrets_of_urls(",".join(map(base_of, split(nsqd or nsqlookupd))))
        self._listed = split(nsqd) if nsqd else []
        self._lookup = Lookup(split(nsqlookupd), self.secrets) if nsqlookupd else None
        self._nsqd: dict[str, NSQSource] = {}
        self._deadline_s = DEADLINE_S
        self.queues: dict[tuple[str, str], Hint] = {}
        self._add(queues)

    def check(self) -> None:
        try:
            if self._listed:
                check_endpoints(",".join(self._listed))
        except ConfigError as error:
            raise ConfigError(f"NSQ_STATS_ENDPOINT: {error}") from None

    def also(self, other: Source) -> None:
        if isinstance(other, NSQClusterSource):
            self._add(other.queues)

    def fetch(self) -> list[Depths]:
        """Returns the depths in each nsqd. Raises MetricError if one of them does not answer: a part of the
        sum would pass for less work."""
        until = time.monotonic() + self._deadline_s
        endpoints = self._endpoints(until)
        self._keep_only(endpoints)
        found = []
        # One after the other: each takes about a millisecond.
        for number, endpoint in enumerate(endpoints):
            nsqd = self._nsqd.setdefault(endpoint, NSQSource(endpoint, hints=False))
            nsqd.ask_for(self.queues)
            left_s = (until - time.monotonic()) / (len(endpoints) - number)
            nsqd.limit_to(max(0.01, left_s))
            found.append(nsqd.fetch())
        self._look_for_others(found)
        return found

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._deadline_s = seconds

    def close(self) -> None:
        self._keep_only([])
        if self._lookup is not None:
            self._lookup.close()

    def _add(self, queues: Iterable[tuple[str, str]]) -> None:
        hints = {queue: Hint(f"{self.name}: the topic", queue[0]) for queue in queues}
        self.queues = {**hints, **self.queues}  # a new one, as `fetch` may be under way

    def _endpoints(self, until: float) -> Sequence[str]:
        if self._lookup is None:
            return self._listed
        return self._lookup.nsqd_with({topic for topic, _ in self.queues}, until)

    def _keep_only(self, endpoints: Iterable[str]) -> None:
        for gone in self._nsqd.keys() - set(endpoints):
            self._nsqd.pop(gone).close()

    def _look_for_others(self, found: Sequence[Depths]) -> None:
        """Looks, once for each topic that no nsqd has, for one with a similar name."""
        for (topic, _), hint in self.queues.items():
            if hint.is_due(any(topic in depths.topics for depths in found)):
                everything = [depths for nsqd in self._nsqd.values() if (depths := nsqd.everything())]
                topics = {name for depths in everything for name in depths.topics}
                hint.give(alike(topic, topics | (self._lookup.topics if self._lookup else set())))


class Lookup:
    """The nsqd that are registered at any of some nsqlookupd (its documentation, "/nodes")."""

    def __init__(self, endpoints: Sequence[str], secrets: Sequence[str]) -> None:
        self._clients = {
            base_of(one).rstrip("/"): Client(DEADLINE_S, MAX_BYTES, secrets) for one in endpoints
        }
        self._nodes: dict[str, set[str]] = {}
        self._asked: float | None = None

    @property
    def topics(self) -> set[str]:
        """The topics of all nsqd."""
        return {topic for topics in self._nodes.values() for topic in topics}

    def nsqd_with(self, topics: set[str], until: float) -> list[str]:
        """Returns the HTTP endpoints of the nsqd that have one of the topics. Asks nsqlookupd if its last
        answer is old, until `until` (monotonic seconds). Raises MetricError if none answers."""
        now = time.monotonic()
        if self._asked is None or now - self._asked >= LOOKUP_S:
            self._nodes = self._ask(until)
            self._asked = now
        return sorted(endpoint for endpoint, known in self._nodes.items() if known & topics)

    def close(self) -> None:
        """Closes the connections."""
        for client in self._clients.values():
            client.close()

    def _ask(self, until: float) -> dict[str, set[str]]:
        """Each nsqd registers at every nsqlookupd, so one answer is enough; all of them are more up to
        date."""
        nodes: dict[str, set[str]] = {}
        failed: list[MetricError] = []
        for number, (url, client) in enumerate(self._clients.items()):
            # Half of the time is for the nsqd themselves.
            left_s = (until - time.monotonic()) / 2 / (len(self._clients) - number)
            client.deadline_s = max(0.01, round(left_s, 2))
            try:
                for endpoint, topics in _nodes_in(url, client.fetch(f"{url}/nodes")):
                    nodes.setdefault(endpoint, set()).update(topics)
            except FetchError as error:
                failed.append(MetricError(str(error)))
            except MetricError as error:
                failed.append(error)
        if len(failed) == len(self._clients):
            raise failed[0]
        return nodes


def _nodes_in(url: str, body: bytes) -> list[tuple[str, set[str]]]:
    """Returns each nsqd in an answer of nsqlookupd, with the topics that it serves. Raises MetricError."""
    try:
        answer = json.loads(body)
        answer = answer["data"] if "producers" not in answer else answer  # nsqlookupd before 1.0
        return [_node(producer) for producer in answer["producers"] or ()]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise MetricError(f"{public_url(url)}: not an answer of nsqlookupd") from None


def _node(producer: Mapping[str, Any]) -> tuple[str, set[str]]:
    host, port = producer["broadcast_address"], producer["http_port"]
    topics = producer["topics"] or []
    # A tombstone says that the nsqd is about to lose the topic; consumers do not connect to it any more.
    gone = producer.get("tombstones") or [False] * len(topics)
    served = {topic for topic, tombstone in zip(topics, gone, strict=True) if not tombstone}
    return (f"[{host}]:{port:d}" if ":" in host else f"{host}:{port:d}"), served
