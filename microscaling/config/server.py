"""A user's configuration, from the server."""

from __future__ import annotations

import logging

from microscaling.api.apps import apps_from_data
from microscaling.clients.http.client import Answer, Client, FetchError
from microscaling.clients.http.retry_after import pause_s
from microscaling.clients.server_address import ServerAddress, needed_server
from microscaling.config.base import Config, ConfigPlugin, problems_of
from microscaling.demand.task import Task
from microscaling.errors import ConfigError, ServerError
from microscaling.settings import Settings
from microscaling.utils.patience import Patience
from microscaling.utils.text import quoted

log = logging.getLogger("mssconfig")

MAX_BYTES = 4 * 2**20
MAX_RETRY_S = 2.0
LATER = (408, 425, 429)
"""The statuses below 500 that are temporary (RFC 9110, 8470, 6585)."""
HEADERS = {"Content-Type": "application/json"}
"""The header that the Go agent sends, though a GET has no content."""


class ServerConfig(Config):
    """`GET /apps/USER` at the server that MSS_API_ADDRESS names.

    Retries while the server is away (refuses, hangs, breaks off, or answers 5xx) or busy (408, 425, 429),
    with the pauses of its Retry-After. For any other answer than a configuration it raises ServerError
    with the URL and the answer.
    """

    def __init__(self, settings: Settings, address: ServerAddress | None = None) -> None:
        self.settings = settings
        self.address = ServerAddress.of(settings) if address is None else address
        self._patience = Patience(log, MAX_RETRY_S)

    def get_apps(self, user_id: str) -> tuple[list[Task], int]:
        url = self.address.apps_url(user_id)
        body = self._answer(url)
        try:
            with problems_of(url):
                return apps_from_data(body, self.settings)
        except ConfigError as error:
            came = f"; it answers {quoted(body.decode('utf-8', 'replace'))}" if _is_no_json(error) else ""
            raise ServerError(*(problem + came for problem in error.problems)) from None

    def _answer(self, url: str) -> bytes:
        """Returns the body of the server's answer, after waiting for the server."""
        client = Client(max_bytes=MAX_BYTES)
        try:
            return self._patience.run(lambda: self._ask(client, url))
        finally:
            client.close()

    def _ask(self, client: Client, url: str) -> bytes:
        """Asks once. Raises FetchError if a retry may help, else ServerError."""
        try:
            answer = client.ask("GET", url, {**HEADERS, **self.address.headers})
        except FetchError as error:
            if error.hopeless:
                raise ServerError(str(error)) from None
            raise
        if answer.status == 200:
            return answer.body
        told = f"{url}: {_told(answer)}"
        if answer.status >= 500 or answer.status in LATER:
            raise Busy(told, answer)
        raise ServerError(told)


class Busy(FetchError):
    """The server is busy; `delay_s` is the pause that it asks for."""

    def __init__(self, message: str, answer: Answer) -> None:
        # 429 for every status: `pause_s` knows the header with 429 and 503 only, and all of LATER mean it.
        pause = pause_s(429, answer.headers)
        asks = f"; it asks for a pause of {pause:.0f} s" if pause else ""
        super().__init__(message + asks, answer.status)
        self.delay_s = pause


def _told(answer: Answer) -> str:
    text = " ".join(answer.body.decode("utf-8", "replace").split())
    where = answer.headers.get("Location", "")
    about = f", which redirects to {quoted(where)}" if where and 300 <= answer.status < 400 else ""
    return f"answers with HTTP {answer.status}{about}{': ' + quoted(text) if text else ''}"


def _is_no_json(error: ConfigError) -> bool:
    return "not JSON" in error.problems[0]


def make(settings: Settings) -> ServerConfig:
    """Returns the source. Raises ConfigError if there is no server to ask."""
    return ServerConfig(
        settings, needed_server(settings, {"MSS_CONFIG": "FILE (microscaling -f FILE), ENVVAR or HARDCODED"})
    )


TYPE = ConfigPlugin("SERVER", "the server", make)
