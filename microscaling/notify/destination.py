"""The destinations of messages: a webhook, or one of the services that the library apprise knows."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from string import Template
from urllib.parse import urlsplit

from microscaling.clients.http.client import Client, FetchError
from microscaling.errors import ConfigError, PermanentError, TemporaryError
from microscaling.log import keep_secret
from microscaling.notify.message import CONTENT_TYPE, Message, template_of
from microscaling.settings import Settings
from microscaling.utils.text import one_line, quoted

VARIABLE = "MSS_NOTIFY_URL"
DEADLINE_S = 5.0
AGAIN = (408, 425, 429)
"""Statuses of 4xx that another try may change."""
NEEDS_LIBRARY = f"{VARIABLE}: all but http and https needs apprise: pip install '.[notify]' in the clone"


class Destination(ABC):
    """One address."""

    name: str
    """For the log, without credentials."""

    @abstractmethod
    def send(self, message: Message) -> None:
        """Sends it once, within some seconds. Raises TemporaryError, or PermanentError if no further try can
        help."""

    def close(self) -> None:
        """Closes all connections."""


class Webhook(Destination):
    """POSTs CloudEvents."""

    def __init__(self, url: str, token: str, site: str) -> None:
        parts = urlsplit(url)
        # Without scheme and path: those of chats are secret, and the beginning of a secret is masked.
        self.name = one_line(f"{parts.hostname}" + (f":{parts.port}" if parts.port else ""))
        self.url = url
        self.site = site
        self.headers = {"Content-Type": CONTENT_TYPE}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"
        # It keeps credentials to the host, follows no redirect, and heeds Retry-After.
        self.client = Client(DEADLINE_S)

    def send(self, message: Message) -> None:
        try:
            answer = self.client.ask("POST", self.url, self.headers, message.cloud_event(self.site))
        except FetchError as error:
            # Its text has the address, path included.
            why = str(error).rpartition(": ")[2]
            raise TemporaryError(f"{self.name}: {why}") from None
        if 200 <= answer.status < 300:
            return
        told = f"{self.name}: answers with HTTP {answer.status}"
        if answer.status >= 500 or answer.status in AGAIN:
            raise TemporaryError(told)
        raise PermanentError(told)

    def close(self) -> None:
        self.client.close()


class Chat(Destination):
    """One service of apprise, such as slack:// or mailto://."""

    def __init__(self, url: str, template: Template) -> None:
        try:
            import apprise
        except ImportError:
            raise ConfigError(NEEDS_LIBRARY) from None
        self.name = one_line(url.partition(":")[0])
        self.template = template
        # Its own log quotes addresses, and the outcome is logged by the notifier.
        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        self._types = apprise.NotifyType
        self._apprise = apprise.Apprise()
        # The only check of an address that the library offers; a wrong token shows at the first message.
        if not self._apprise.add(url):
            raise ConfigError(
                f"{VARIABLE}: {self.name}://... is no address of a service that apprise knows: see its list, "
                "or give an http or https address of your own"
            )

    def send(self, message: Message) -> None:
        event = message.event
        kind = self._types.SUCCESS if event.active is False else self._types.WARNING
        kind = self._types.INFO if event.active is None else kind
        if not self._apprise.notify(body=message.line(self.template), notify_type=kind):
            raise TemporaryError(f"{self.name}: apprise could not send it")


def destinations(settings: Settings) -> list[Destination]:
    """Returns those that MSS_NOTIFY_URL names, with spaces between. Raises ConfigError."""
    template = template_of(settings.notify_template)
    urls = settings.notify_url.split()
    # One by one, as the setting with all of them is no text that could come up in the log.
    keep_secret(urls)
    made: list[Destination] = []
    for url in urls:
        scheme = url.partition(":")[0].lower()
        if "://" not in url:
            raise ConfigError(
                f"{VARIABLE}: expected addresses such as https://host/path, with spaces between"
            )
        if scheme not in ("http", "https"):
            made.append(Chat(url, template))
            continue
        try:
            parts = urlsplit(url)
            if not (parts.hostname and parts.port != 0):
                raise ValueError
        except ValueError:
            raise ConfigError(f"{VARIABLE}: {quoted(scheme)}://... has no host, or no valid port") from None
        made.append(Webhook(url, settings.notify_token, settings.user_id))
    return made
