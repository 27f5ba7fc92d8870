"""Who may do what, with a token and without."""

from __future__ import annotations

import pytest
import requests
import websocket

from microscaling.server.http.auth import Guard
from microscaling.server.limits import Refusals
from tests.server.conftest import TOKEN, Start
from tests.server.running import PLAN, Running

NO_TOKEN = {"Authorization": ""}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 303),
        ("/apps/5k5gk", 401),
        ("/live?user=a", 401),
        ("/api/users", 401),
        ("/api/schema", 401),
        ("/api/nothing", 401),
        ("/login", 200),
        ("/healthz", 200),
        ("/static/nothing", 404),
    ],
)
def test_without_the_token(guarded: Running, path: str, status: int) -> None:
    answer = guarded.ask("GET", path, headers=NO_TOKEN, allow_redirects=False)
    assert answer.status_code == status
    if status == 303:
        assert answer.headers["Location"] == "/login"


def test_agent_with_and_without_the_token(guarded: Running) -> None:
    with guarded.agent("a"):
        pass
    with (
        pytest.raises(websocket.WebSocketBadStatusException, match="401"),
        guarded.agent("a", Authorization="x"),
    ):
        pass
    assert guarded.ask("GET", "/apps/5k5gk").status_code == 200


def test_agents_with_an_old_token_do_not_delay_one_with_the_right_one(start: Start) -> None:
    server = start(MSS_SERVER_TOKEN=TOKEN)
    for number in range(30):
        with (
            pytest.raises(websocket.WebSocketBadStatusException, match=r"401|429"),
            server.agent(Authorization=f"Bearer old-{number}"),
        ):
            pass
    with server.agent("a"):  # at the first try
        pass
    assert server.ask("GET", "/apps/5k5gk").status_code == 200
    # ... and no error about an application that has not completed the handshake.
    assert all(line.startswith("refused, from 127.0.0.1: ") for line in server.warnings)


def test_person_logs_in_and_out(guarded: Running) -> None:
    with requests.Session() as session:
        session.trust_env = False
        wrong = session.post(guarded.url + "/login", data={"token": "wrong"}, allow_redirects=False)
        assert wrong.headers["Location"] == "/login?failed=1"
        right = session.post(guarded.url + "/login", data={"token": TOKEN}, allow_redirects=False)
        assert (right.status_code, right.headers["Location"]) == (303, "/")
        said = right.headers["Set-Cookie"].lower()
        assert "httponly" in said
        assert "samesite=strict" in said
        assert session.get(guarded.url + "/api/users").status_code == 200
        session.post(guarded.url + "/logout")
        assert session.get(guarded.url + "/api/users").status_code == 401


ELSEWHERE = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost/"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
def test_other_sites_change_nothing(server: Running, headers: dict[str, str]) -> None:
    answer = server.ask("PUT", "/api/users/csrf/config", {"version": 0, "config": PLAN}, headers=headers)
    assert answer.status_code == 403
    assert server.get("/api/users/csrf/config")["version"] == 0


@pytest.mark.parametrize("path", ["/api/users", "/live?user=a", "/apps/5k5gk"])
def test_other_sites_read_nothing(server: Running, path: str) -> None:
    assert server.ask("GET", path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert server.ask("GET", path, headers={"Host": "rebound.example"}).status_code == 421


def test_a_form_is_not_json(server: Running) -> None:
    answer = server.ask("PUT", "/api/users/a/config", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


def test_own_page_and_links_from_elsewhere(server: Running) -> None:
    own = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
    assert server.ask("PUT", "/api/users/own/config", {"version": 0, "config": PLAN}, headers=own).ok
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert server.ask("GET", "/", headers=link).status_code == 200


def make(clock: list[float], token: str = TOKEN, secret: str = "s") -> Guard:
    return Guard(token, secret, Refusals(), lambda: clock[0])


def test_wrong_tokens_are_few() -> None:
    clock = [0.0]
    guard = make(clock)
    assert [guard.is_token("wrong", "a") for _ in range(12)] == [False] * 10 + [None] * 2
    assert guard.is_token(TOKEN, "a") is True
    clock[0] += 1
    assert guard.is_token("wrong", "a") is False


def test_a_short_token_cannot_be_guessed_quickly() -> None:
    clock = [0.0]
    guard = make(clock, "short")
    for _ in range(100):
        guard.is_token("an old one", "a")  # again and again: one guess
    assert guard.is_token("short", "a") is True
    for number in range(9):
        guard.is_token(str(number), "a")
    assert guard.is_token("short", "a") is None  # not looked at, or guessing would go on
    assert guard.is_token("short", "b") is True
    clock[0] += 1
    assert guard.is_token("short", "a") is True


def test_addresses_that_are_remembered_are_bounded() -> None:
    guard = make([0.0])
    for i in range(3000):
        guard.is_token("wrong", str(i))
    assert len(guard._tries) == 1000


@pytest.mark.parametrize(
    ("cookie", "good"),
    [
        (lambda guard: guard.session(0), True),
        (lambda guard: guard.session(0) + "x", False),
        (lambda guard: "9" + guard.session(0), False),
        (lambda guard: guard.session(-40 * 86400), False),
        (lambda guard: make([0.0], "another token").session(0), False),
        (lambda guard: make([0.0], secret="another store").session(0), False),
        (lambda guard: "", False),
        (lambda guard: "٣.x", False),
    ],
)
def test_cookie(cookie: object, good: bool) -> None:
    guard = make([0.0])
    assert guard.is_session(cookie(guard), 1) is good  # type: ignore[operator]
