"""Where the server is."""

from __future__ import annotations

import pytest

from microscaling.clients.server_address import ServerAddress, needed_server
from microscaling.errors import ConfigError
from microscaling.settings import Settings

GOOD = [
    ("localhost:8000", "http://localhost:8000/apps/me", "ws://localhost:8000/"),
    ("server", "http://server/apps/me", "ws://server/"),
    (" http://server:80/ ", "http://server:80/apps/me", "ws://server:80/"),
    ("https://server", "https://server/apps/me", "wss://server/"),
    ("HTTPS://Server:8443", "https://Server:8443/apps/me", "wss://Server:8443/"),
    (
        "https://server/behind/a/proxy/",
        "https://server/behind/a/proxy/apps/me",
        "wss://server/behind/a/proxy/",
    ),
    ("http://server/te@m", "http://server/te@m/apps/me", "ws://server/te@m/"),
    ("[::1]:8000", "http://[::1]:8000/apps/me", "ws://[::1]:8000/"),
]


@pytest.mark.parametrize(("address", "apps", "websocket"), GOOD)
def test_forms(address: str, apps: str, websocket: str) -> None:
    made = ServerAddress.of(Settings(api_address=address))
    assert (made.apps_url("me"), made.websocket_url) == (apps, websocket)
    assert not made.is_gone


BAD = ["ws://server", "ftp://server", "http://", "server:x", "server:99999", "server:0", "a b", "a\nb",
       "server?x", "server#x", "http://[::1"]  # fmt: skip


@pytest.mark.parametrize("address", BAD)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^MSS_API_ADDRESS: expected host:port, http://… or https://…, got"
    ):
        ServerAddress.of(Settings(api_address=address))


@pytest.mark.parametrize(
    "password", ["hunter2", "hunter2/x", "hunter2?x", "hunter2#x", "hunter2@x", "1/hunter2"]
)
def test_a_password_is_refused_and_not_shown(password: str) -> None:
    with pytest.raises(ConfigError, match="use MSS_API_TOKEN") as caught:
        ServerAddress.of(Settings(api_address=f"https://me:{password}@server"))
    assert "hunter2" not in str(caught.value)


def test_the_user_is_a_part_of_the_path_whatever_is_in_it() -> None:
    address = ServerAddress.of(Settings(api_address="server"))
    assert address.apps_url("me & you/../é?#") == "http://server/apps/me%20%26%20you%2F..%2F%C3%A9%3F%23"


@pytest.mark.parametrize(("token", "headers"), [("", {}), ("t0ken", {"Authorization": "Bearer t0ken"})])
def test_token(token: str, headers: dict[str, str]) -> None:
    address = ServerAddress.of(Settings(api_address="server", api_token=token))
    assert address.headers == headers
    assert "t0ken" not in repr(address)


@pytest.mark.parametrize("address", ["", "http://app.microscaling.com", "https://APP.microscaling.com:443"])
def test_the_public_server_is_gone(address: str) -> None:
    settings = Settings.from_env({"MSS_API_ADDRESS": address})
    with pytest.raises(ConfigError) as caught:
        needed_server(settings, {"MSS_DEMAND_ENGINE": "LOCAL"})
    assert caught.value.problems == (
        "MSS_API_ADDRESS: the public server app.microscaling.com is gone; set MSS_API_ADDRESS to a server of "
        "your own, or MSS_DEMAND_ENGINE to LOCAL",
    )
