"""The metric of a queue's length in Azure Queue Storage."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from microscaling.clients.http.client import Client, FetchError
from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Measurement, Metric, Source, whole_number
from microscaling.plugins import Field
from microscaling.settings import Settings
from microscaling.utils.text import cause_of, short

DEADLINE_S = 2.0
MAX_BYTES = 4 * 2**20
"""Above 32 messages of 64 KiB."""
ALL, VISIBLE = "all", "visible"
MOST_PEEKED = 32
NEEDS_LIBRARY = "metricType AzureQueue needs azure-storage-queue: pip install '.[azure]' in the clone"
NEEDS_ACCOUNT = (
    "is not set; metricType AzureQueue needs it, or AZURE_STORAGE_CONNECTION_STRING in place of name and key"
)


@dataclass(frozen=True)
class Account:
    """A storage account and its credentials; a connection string takes precedence over name and key."""

    name: str = ""
    key: str = field(default="", repr=False)
    connection_string: str = field(default="", repr=False)

    @classmethod
    def of(cls, settings: Settings) -> Account:
        """Returns the account in the settings."""
        return cls(
            settings.azure_storage_account_name,
            settings.azure_storage_account_key,
            settings.azure_storage_connection_string,
        )

    def check(self) -> None:
        """Raises ConfigError if a part of the account is missing or invalid."""
        if self.connection_string:
            return
        wanted = {"AZURE_STORAGE_ACCOUNT_NAME": self.name, "AZURE_STORAGE_ACCOUNT_KEY": self.key}
        missing = [f"{variable}: {NEEDS_ACCOUNT}" for variable, value in wanted.items() if not value]
        if missing:
            raise ConfigError(*missing)
        try:
            base64.b64decode(self.key)
        except ValueError:
            raise ConfigError("AZURE_STORAGE_ACCOUNT_KEY: is not in base64, as Azure's keys are") from None

    def queue(self, name: str, connection: Client) -> Any:
        """Returns a client of one queue that sends through the connection; makes no request. Raises
        ValueError."""
        from azure.storage.queue import QueueClient

        # No retries: the next beat is the retry.
        options = {"transport": _transport(connection), "retry_total": 0, "permit_redirects": False}
        if self.connection_string:
            return QueueClient.from_connection_string(self.connection_string, name, **options)
        url = f"https://{self.name}.queue.core.windows.net"
        return QueueClient(url, name, {"account_name": self.name, "account_key": self.key}, **options)


class AzureQueueSource(Source):
    """One queue: its properties, with the approximate number of messages; with `visible`, a look at up to 32
    messages that a worker could get, and the properties only if there are so many."""

    def __init__(
        self, queue_name: str, account: Account, deadline_s: float = DEADLINE_S, visible: bool = False
    ) -> None:
        self.key = ("azure", account, queue_name, visible)
        self.name = f"Azure queue {queue_name}"
        self._queue_name = queue_name
        self._account = account
        self._visible = visible
        self._deadline_s = deadline_s
        self._connection = Client(deadline_s, MAX_BYTES)
        self._queue: Any = None

    def check(self) -> None:
        self._account.check()
        try:
            if self._queue_name:  # the configuration warns of an empty name
                self._client()
        except ImportError:
            raise ConfigError(NEEDS_LIBRARY) from None
        except Exception:  # its text is dropped: it may contain the key
            form = "CONNECTION_STRING" if self._account.connection_string else "ACCOUNT_NAME"
            what = f"Azure's client cannot use it for the queue {self._queue_name!r:.80}"
            raise ConfigError(f"AZURE_STORAGE_{form}: {what}") from None

    def fetch(self) -> object:
        """Returns the number of messages, not yet validated, or a Measurement."""
        until = time.monotonic() + self._deadline_s
        self._connection.deadline_s = self._deadline_s
        try:
            if self._visible:
                # A look takes no message, and does not count as a delivery (REST API, Peek Messages).
                peek = self._client().peek_messages
                waiting = len(peek(max_messages=MOST_PEEKED, raw_response_hook=_check_answer))
                if waiting < MOST_PEEKED:
                    return Measurement(waiting)
                self._connection.deadline_s = max(0.01, round(until - time.monotonic(), 2))
            return self._client().get_queue_properties().approximate_message_count
        except FetchError as error:
            raise MetricError(f"{self.name}: {error}") from None
        except ImportError:
            raise MetricError(NEEDS_LIBRARY) from None
        except Exception as error:  # the library raises many types of error
            raise MetricError(f"{self.name}: {_reason(error)}") from None

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._deadline_s = seconds

    def close(self) -> None:
        self._connection.close()

    def _client(self) -> Any:
        if self._queue is None:
            self._queue = self._account.queue(self._queue_name, self._connection)
        return self._queue


def _transport(connection: Client) -> Any:
    """Returns a transport for Azure's client that sends through our connection."""
    # The library's own transport has a timeout per read only, which a server defeats by sending single
    # bytes, and reads bodies of any length.
    import requests
    from azure.core.pipeline.transport import HttpTransport, RequestsTransportResponse

    class Transport(HttpTransport):  # type: ignore[misc]
        def send(self, request: Any, **_: Any) -> Any:
            """Sends one request within the connection's deadline. Raises FetchError."""
            answer = connection.ask(request.method, request.url, _plain(request.headers), request.data)
            response = requests.Response()
            response.status_code, response.url = answer.status, request.url
            response.headers.update(answer.headers)
            response._content = answer.body
            return RequestsTransportResponse(request, response)

        def open(self) -> None:
            """Does nothing: the connection opens itself when it is first used."""

        def close(self) -> None:
            """Does nothing: the source closes the connection."""

        def __exit__(self, *_: object) -> None: ...

    return Transport()


def _check_answer(response: Any) -> None:
    """Raises MetricError for an answer that is none of Azure Storage."""
    # The library takes a page of something else, such as a proxy's, for a list without messages.
    if "x-ms-request-id" not in response.http_response.headers:
        raise MetricError("not an answer of Azure Storage")


def _plain(headers: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in headers.items()}


def _reason(error: Exception) -> str:
    """Returns the cause in one line: Azure's own code and status if it answered."""
    status, code = getattr(error, "status_code", None), getattr(error, "error_code", None)
    if status is not None:
        named = f", {short(str(getattr(code, 'value', code)))}" if code else ""
        return f"answers with HTTP {status}{named}"
    return cause_of(error, (str(error).splitlines() or [""])[0])


class AzureQueueMetric(Metric):
    """The approximate number of messages in a queue (items), those in flight and those for later included;
    or the exact number of visible ones, if they are few. `account` None: the one in the environment now."""

    type_name, summary = "AzureQueue", "about how many messages are in a queue of Azure Storage"
    fields = (
        Field("queueName", "Name of the queue", expected=True),
        Field(
            "messages",
            "Messages",
            kind="choice",
            default=ALL,
            choices=(ALL, VISIBLE),
            hint="visible: without those in flight and for later, exact below 32; all of them from there on",
        ),
    )

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> AzureQueueMetric:
        return cls(values["queueName"], Account.of(settings), values["messages"] == VISIBLE)

    def __init__(self, queue_name: str, account: Account | None = None, visible: bool = False) -> None:
        self.queue_name = queue_name
        account = account or Account.of(Settings.from_env(os.environ))
        self.source = AzureQueueSource(queue_name, account, visible=visible)

    def read(self, answer: object) -> int | Measurement:
        if isinstance(answer, Measurement):
            return answer
        return whole_number(answer, f"approximate message count of {self.queue_name}")


TYPE = AzureQueueMetric
