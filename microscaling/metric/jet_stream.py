"""The metric of a consumer of NATS JetStream, by the monitoring port ("/jsz" of nats-server)."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from microscaling.clients.http.client import Client, FetchError, public_url
from microscaling.errors import MetricError
from microscaling.metric.base import Measurement, Metric, Source, count_or_none, whole_number
from microscaling.metric.counter import Counter
from microscaling.metric.missing import HELD
from microscaling.metric.several_urls import check_urls, public_urls, secrets_of_urls, split
from microscaling.plugins import Field
from microscaling.settings import Settings
from microscaling.utils.text import few, short

DEADLINE_S = 2.0
MAX_BYTES = 16 * 2**20
GLOBAL = "$G"
"""The account of those who name none."""
FORM = "the URL of the monitoring port, such as http://nats:8222; of a cluster all, with commas between them"

Path = tuple[str, str, str]
"""An account, a stream and a consumer."""


def check_url(urls: str) -> None:
    """Raises ConfigError for an invalid URL."""
    check_urls(urls, FORM)


@dataclass
class Found:
    """The parts of JetStream that the servers know."""

    accounts: set[str] = field(default_factory=set)
    streams: dict[str, set[str]] = field(default_factory=dict)
    """The streams of each account."""
    consumers: dict[Path, Mapping[str, Any]] = field(default_factory=dict)
    """Consumers, as the server describes them that leads them."""
    led_by: dict[Path, str] = field(default_factory=dict)
    """The leader of each consumer, as any server says; empty: there is none at present."""

    def add(self, answer: Mapping[str, Any]) -> None:
        """Adds the answer of one server. Raises LookupError or TypeError."""
        for account in answer.get("account_details") or ():
            # With an operator, the account that is asked for by its key has another name.
            names = {account["name"], account.get("id", account["name"])}
            self.accounts |= names
            for stream in account.get("stream_detail") or ():
                for name in names:
                    self.streams.setdefault(name, set()).add(stream["name"])
                    for consumer in stream.get("consumer_detail") or ():
                        self._add((name, stream["name"], consumer["name"]), consumer)

    def _add(self, path: Path, consumer: Mapping[str, Any]) -> None:
        cluster = consumer.get("cluster") or {}
        others = {replica["name"] for replica in cluster.get("replicas") or ()}
        leader = cluster.get("leader", "")
        # A server lists all but itself. Those that follow know nothing of what is pending.
        if leader not in others and (leader or not others):
            self.consumers[path] = consumer
        self.led_by[path] = leader


class JetStreamSource(Source):
    """The servers of one NATS, asked one after the other until the leaders of all consumers have answered."""

    def __init__(self, urls: str, path: Path, deadline_s: float = DEADLINE_S) -> None:
        self.key = ("jetstream", urls)
        self.name = f"NATS at {public_urls(urls)}"
        self.secrets = secrets_of_urls(urls)
        self.paths = {path}
        self._deadline_s = deadline_s
        self._clients = {url: Client(deadline_s, MAX_BYTES, self.secrets) for url in split(urls)}

    def also(self, other: Source) -> None:
        if isinstance(other, JetStreamSource):
            self.paths = self.paths | other.paths

    def fetch(self) -> Found:
        """Returns the consumers that are led by one of the servers. Raises MetricError if one is missing
        that a server which does not answer could have."""
        until = time.monotonic() + self._deadline_s
        found, paths = Found(), self.paths
        failed: dict[str, MetricError] = {}
        useful: list[str] = []
        for number, url in enumerate(self._clients):
            if paths <= found.consumers.keys():
                break
            known = len(found.consumers)
            # One that does not answer must leave time for those behind it.
            left_s = (until - time.monotonic()) / (len(self._clients) - number)
            try:
                self._ask(url, found, paths, left_s)
            except MetricError as error:
                failed[url] = error
            if len(found.consumers) > known:
                useful.append(url)
        # Those that lead something are asked first the next time: mostly it is one.
        order = dict.fromkeys([*useful, *(url for url in self._clients if url not in failed), *failed])
        self._clients = {url: self._clients[url] for url in order}
        if failed and not paths <= found.consumers.keys():
            raise next(iter(failed.values()))
        return found

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._deadline_s = seconds

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def _ask(self, url: str, found: Found, paths: set[Path], left_s: float) -> None:
        # Of one account only, as others may have thousands of streams.
        accounts = {account for account, _, _ in paths}
        asked = {"consumers": "true"} | ({"acc": accounts.pop()} if len(accounts) == 1 else {})
        client = self._clients[url]
        client.deadline_s = max(0.01, round(left_s, 2))
        try:
            answer = json.loads(client.fetch(f"{url}/jsz?{urlencode(asked)}"))
            if answer.get("disabled"):
                raise MetricError(f"{public_url(url)}: JetStream is not enabled")
            if "server_id" not in answer:
                raise LookupError
            found.add(answer)
        except FetchError as error:
            raise MetricError(str(error)) from None
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise MetricError(f"{public_url(url)}: not an answer of NATS' /jsz") from None


class JetStreamMetric(Metric):
    """The messages of a consumer of a stream (items): pending ones wait, and those that were delivered and
    not acknowledged run. Raises ConfigError."""

    type_name, summary = "JetStream", "the messages of a consumer of NATS JetStream"
    fields = (
        Field(
            "url",
            "URL of the monitoring port",
            kind="url",
            required=True,
            secret=True,
            wide=True,
            check=check_url,
            hint="http://nats:8222; of a cluster those of all servers, with commas between them",
        ),
        Field("stream", "Stream", required=True),
        Field("consumer", "Consumer", required=True, hint="its durable name"),
        Field("account", "Account", default=GLOBAL),
    )
    may_be_missing = True
    missing = HELD  # what nobody subscribes to is in no number, and may even be dropped

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> JetStreamMetric:
        return cls(values["url"], values["stream"], values["consumer"], values["account"])

    def __init__(self, urls: str, stream: str, consumer: str, account: str = GLOBAL) -> None:
        check_url(urls)
        self.path = account, stream, consumer
        self.source = JetStreamSource(urls, self.path)
        self._what = f"consumer {short(consumer)} of the stream {short(stream)} of NATS"
        self._counter = Counter()

    def read(self, answer: Found) -> int | Measurement:
        account, stream, _ = self.path
        if account not in answer.accounts:
            raise MetricError(f"{self._what}: there is no account {short(account)} with JetStream")
        consumer = answer.consumers.get(self.path)
        if consumer is not None:
            pending, taken = (
                whole_number(consumer.get(name), f"{self._what}: {name}")
                for name in ("num_pending", "num_ack_pending")
            )
            arrived = self._counter.total({consumer.get("created"): _arrived(consumer, pending)})
            return Measurement(pending, taken, paused=consumer.get("paused") is True, arrived=arrived)
        if leader := answer.led_by.get(self.path):
            raise MetricError(
                f"{self._what} is led by the server {short(leader)}, which is not among those in url"
            )
        if self.path in answer.led_by:
            raise MetricError(f"{self._what} has no leader at present")
        streams = answer.streams.get(account, set())
        if stream not in streams:
            return self.absent(f"{self._what}: there is no such stream{_there(streams)}")
        there = {path[2] for path in answer.led_by if path[:2] == self.path[:2]}
        return self.absent(f"{self._what} does not exist{_there(there)}")


def _arrived(consumer: Mapping[str, Any], pending: int) -> int | None:
    """Returns the messages for a consumer since it was created: those that it has got, and those that it will
    get. One that is delivered again is work again."""
    delivered = consumer.get("delivered")
    got = count_or_none(delivered.get("consumer_seq")) if isinstance(delivered, Mapping) else None
    return None if got is None else got + pending


def _there(names: set[str]) -> str:
    """Names those that exist."""
    return f"; there {'is' if len(names) == 1 else 'are'} {few(sorted(map(short, names)))}" if names else ""


TYPE = JetStreamMetric
