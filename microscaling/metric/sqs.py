"""The metric of a queue's length in Amazon SQS."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Hashable, Mapping
from functools import partial
from typing import Any

from microscaling.clients.http.client import Answer, Client, FetchError, public_url
from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Measurement, Metric, Source, whole_number
from microscaling.plugins import Field
from microscaling.settings import Settings
from microscaling.utils.deadline_call import DeadlineCaller
from microscaling.utils.text import cause_of

DEADLINE_S = 2.0
MAX_BYTES = 2**20
VISIBLE = "ApproximateNumberOfMessages"
NOT_VISIBLE = "ApproximateNumberOfMessagesNotVisible"
DELAYED = "ApproximateNumberOfMessagesDelayed"
NEEDS_BOTO3 = "metricType SQS needs boto3: pip install '.[sqs]' in the clone"
NEEDS_REGION = "AWS_REGION: is not set; metricType SQS needs it, the region of the queues, such as eu-west-1"


class Account:
    """One client of boto3, with its usual chain of credentials, shared by all queues of a region.

    boto3 finds credentials and endpoint, signs, and parses the answer; our own client sends the request. Any
    number of threads may ask, each through a connection of its own.
    """

    def __init__(self, region: str) -> None:
        self.region = region
        self._boto: Any = None
        self._lock = threading.Lock()
        self._sender = threading.local()

    def lengths(self, queue_url: str, connection: Client) -> Mapping[str, object]:
        """Returns the queue's lengths (items) by attribute as SQS reports them, not yet validated. Raises
        FetchError, or boto3's errors."""
        with self._lock:  # boto3's clients are safe to share between threads, but not to create
            if self._boto is None:
                self._boto = self._client()
        self._sender.connection = connection
        asked = [VISIBLE, NOT_VISIBLE, DELAYED]
        answer = self._boto.get_queue_attributes(QueueUrl=queue_url, AttributeNames=asked)
        found: Mapping[str, object] = answer.get("Attributes", {})
        return found

    def check(self) -> None:
        """Raises ConfigError if boto3 or the region is missing. Makes no request."""
        try:
            import boto3  # noqa: F401
            import botocore.session
        except ImportError:
            raise ConfigError(NEEDS_BOTO3) from None
        if not (self.region or botocore.session.get_session().get_config_variable("region")):
            raise ConfigError(NEEDS_REGION)

    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        once = Config(retries={"total_max_attempts": 1, "mode": "standard"})
        client = boto3.session.Session(region_name=self.region or None).client("sqs", config=once)
        # An answer of this event's handler replaces the request (botocore, endpoint.py). boto3's own
        # timeouts are per read, so a server that sends single bytes would defeat them.
        client.meta.events.register("before-send.sqs", partial(_send, self._sender))
        return client


def _send(sender: threading.local, request: Any, **_: Any) -> Any:
    from botocore.awsrequest import AWSResponse

    headers = {name: _text(value) for name, value in request.headers.items()}
    body = request.body.encode() if isinstance(request.body, str) else request.body
    answer: Answer = sender.connection.ask(request.method, request.url, headers, body)
    return AWSResponse(request.url, answer.status, dict(answer.headers), _Body(answer.body))


class _Body:
    """The part of a urllib3 response that botocore uses."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self) -> list[bytes]:
        """Returns the chunks of the body."""
        return [self.body]


def _text(value: str | bytes) -> str:
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else value


_accounts: weakref.WeakValueDictionary[Hashable, Account] = weakref.WeakValueDictionary()
"""The accounts in use, by region and by boto3's environment variables."""


def _account(region: str) -> Account:
    said = tuple(sorted(pair for pair in os.environ.items() if pair[0].startswith("AWS_")))
    return _accounts.setdefault((region, said), Account(region))


class SQSSource(Source):
    """One queue: `GetQueueAttributes`, at the endpoint from boto3's configuration."""

    def __init__(self, queue_url: str, region: str = "", deadline_s: float = DEADLINE_S) -> None:
        self.key = ("sqs", region, queue_url)
        self.name = f"SQS queue {public_url(queue_url)}"
        self._url = queue_url
        self._deadline_s = deadline_s
        self._account = _account(region)
        self._connection = Client(deadline_s, MAX_BYTES)
        self._calls = DeadlineCaller(self.name)

    def check(self) -> None:
        self._account.check()

    def fetch(self) -> Mapping[str, object]:
        # In a thread of its own: boto3 requests credentials (a role, the machine's metadata service) by
        # itself, with timeouts of a minute.
        try:
            return self._calls.call(self._ask, self._deadline_s)
        except TimeoutError:
            raise MetricError(f"{self.name}: no answer within {self._deadline_s:g} s") from None

    def _ask(self) -> Mapping[str, object]:
        try:
            return self._account.lengths(self._url, self._connection)
        except FetchError as error:
            raise MetricError(f"{self.name}: {error}") from None
        except ImportError:
            raise MetricError(NEEDS_BOTO3) from None
        except Exception as error:  # boto3 raises many types of error
            raise MetricError(f"{self.name}: {_reason(error)}") from None

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._deadline_s = self._connection.deadline_s = seconds

    def close(self) -> None:
        self._connection.close()


def _reason(error: Exception) -> str:
    """Returns boto3's error in one line; the code and message of AWS if it answered."""
    said = getattr(error, "response", {}).get("Error", {})
    if said:
        return cause_of(error, f"{said.get('Code', 'error')}: {said.get('Message', '')}")
    return cause_of(error)


class SQSMetric(Metric):
    """The approximate number of messages in a queue (items): visible ones wait, those in flight run.

    `region` None: the value of AWS_REGION now; if that is empty, the region of boto3's configuration.
    """

    type_name, summary = "SQS", "about how many messages are in a queue of Amazon SQS"
    fields = (Field("queueURL", "URL of the queue", expected=True, wide=True),)

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> SQSMetric:
        return cls(values["queueURL"], settings.aws_region)

    def __init__(self, queue_url: str, region: str | None = None) -> None:
        self.queue_url = queue_url
        self.source = SQSSource(queue_url, os.environ.get("AWS_REGION", "") if region is None else region)

    def read(self, answer: Mapping[str, object]) -> int | Measurement:
        waiting = self._count(answer, VISIBLE)
        # Other services with the same interface may lack these.
        running = self._count(answer, NOT_VISIBLE) if NOT_VISIBLE in answer else None
        future = self._count(answer, DELAYED) if DELAYED in answer else 0
        return Measurement(waiting, running, future=future, exact=False)

    def _count(self, answer: Mapping[str, object], attribute: str) -> int:
        # In JSON as in XML the value is text.
        value = answer.get(attribute)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
            value = int(value)
        return whole_number(value, f"{attribute} of {public_url(self.queue_url)}")


TYPE = SQSMetric
