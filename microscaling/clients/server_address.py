"""The address of the server, and the URLs and headers of requests to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from microscaling.errors import ConfigError
from microscaling.settings import Settings
from microscaling.utils.text import quoted
from microscaling.utils.urls import check_url, cut

PUBLIC_HOST = "app.microscaling.com"
"""The host of the Go agent's server, which is gone, and still the default."""
ORIGIN = "http://localhost/"
"""The header Origin that the Go agent sent when it opened the websocket."""
VARIABLE = "MSS_API_ADDRESS"


@dataclass(frozen=True)
class ServerAddress:
    """One server: `base` is its URL without a slash at the end."""

    base: str
    token: str = field(default="", repr=False)

    @classmethod
    def of(cls, settings: Settings) -> ServerAddress:
        """Reads MSS_API_ADDRESS (host:port, http://… or https://…) and MSS_API_TOKEN. Raises ConfigError."""
        text = settings.api_address.strip()
        url = text if "://" in text else f"http://{text}"
        good = _is_address(url)
        if "@" in (text if not good else cut(url)[1]):  # not to be shown: there is a password in it
            raise ConfigError(f"{VARIABLE}: has no room for a user or password; use MSS_API_TOKEN")
        if not good:
            raise ConfigError(f"{VARIABLE}: expected host:port, http://… or https://…, got {quoted(text)}")
        scheme, rest = url.split("://", 1)
        return cls(f"{scheme.lower()}://{rest.rstrip('/')}", settings.api_token)

    @property
    def is_gone(self) -> bool:
        """Whether it is the former public server."""
        # A dot at the end is the same name for DNS.
        return (urlsplit(self.base).hostname or "").rstrip(".") == PUBLIC_HOST

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every request, the handshake of the websocket included."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    @property
    def websocket_url(self) -> str:
        """The URL of the websocket: ws: for http:, wss: for https:."""
        return f"ws{self.base[len('http') :]}/"

    def apps_url(self, user_id: str) -> str:
        """The URL of the configuration of a user."""
        return f"{self.base}/apps/{quote(user_id, safe='')}"


def needed_server(settings: Settings, instead: Mapping[str, str]) -> ServerAddress:
    """Returns the server, for a part of the agent that cannot do without. Raises ConfigError, also if it is
    the former public one; `instead` are the variables that could be set instead of its address, and their
    values."""
    address = ServerAddress.of(settings)
    if address.is_gone:
        others = "".join(f", or {variable} to {value}" for variable, value in instead.items())
        raise ConfigError(gone(f"set {VARIABLE} to a server of your own{others}"))
    return address


def gone(way_out: str) -> str:
    """Returns one line about the former public server, with the remedy."""
    return f"{VARIABLE}: the public server {PUBLIC_HOST} is gone; {way_out}"


def _is_address(url: str) -> bool:
    try:
        check_url(url, ("http", "https"), "")
    except ConfigError:
        return False
    return not set(url) & set('?"<>')
