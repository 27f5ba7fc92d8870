"""Each invariant of the chaos on a Swarm does fire: histories that break it, and the nearest ones that do
not. No engine."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.swarm.chaos.history import CAP, PARTS, Happening, History, expected
from tests.swarm.chaos.invariants import SETTLES_S, asked, check, late, settlings
from tests.swarm.chaos.plan import LASTS, OF_NODES, make_plan
from tests.swarm.chaos.spy import Spy

ALL = {"high": 2, "mid": 1, "low": 11}


def at(t: float, kind: str, who: str = "", what: str = "", number: int = 0, **numbers: int) -> Happening:
    return Happening(t, kind, who, what, number, numbers)


def listed(t: float, **numbers: int) -> Happening:
    return Happening(t, "listed", numbers={**ALL, **numbers})


def history(*happenings: Happening) -> History:
    """A run of 200 s with an agent `a` that has the lease, and with the cap used up."""
    usual = [at(0, "taken", "a"), listed(1), at(200, "over")]
    return History(sorted([*usual, *happenings], key=lambda h: h.t))


def broken(*happenings: Happening) -> list[str]:
    return [violation.invariant for violation in check(history(*happenings))]


def asks(t: float, what: str, number: int, who: str = "a") -> list[Happening]:
    """An agent asks for a number, and the swarm takes it."""
    return [at(t, "sent", who, what, number), at(t + 0.1, "asked", "", what, number)]


LOWER, HIGHER = asks(50, "low", 9), asks(51, "high", 4)
UNDER_WAY, LANDS = at(50, "sent", "a", "high", 3), at(51, "asked", "", "high", 3)
OTHER, LATE = at(50.5, "taken", "b"), at(51, "sent", "a", "low", 9)
BACK = asks(62, "low", 9)
STEADY = Happening(60, "steady", numbers={"high": 4, "mid": 1, "low": 9})
MOVING = at(60 + SETTLES_S + 1, "moving")


@pytest.mark.parametrize(
    ("about", "happenings", "expected"),
    [
        ("all is well", [*LOWER, *HIGHER], []),
        ("more before less", [*HIGHER], ["cap"]),
        ("in a listing", [listed(50, high=3)], ["cap"]),
        ("while nobody looks", [at(50, "lost"), at(51, "asked", "", "high", 9), listed(52)], []),
        (
            "one from before a take-over lands late, and is mended",
            [UNDER_WAY, OTHER, LANDS, *asks(53, "low", 10, "b")],
            [],
        ),
        (
            "and is not mended",
            [UNDER_WAY, OTHER, LANDS, at(59, "asked", "", "mid", 1)],
            ["cap"],
        ),
        ("after a take-over the new one breaks it", [OTHER, *asks(52, "high", 3, "b")], ["cap"]),
        ("less than a minimum", asks(50, "low", 1), ["minimum"]),
        ("as little as a minimum", asks(50, "low", 2), []),
        ("another one has taken over", [OTHER, *asks(52, "low", 9, "b")], []),
        ("one that was under way", [OTHER, LATE], []),
        ("one for each service", [OTHER, LATE, at(51, "sent", "a", "mid", 1)], []),
        ("a second one", [OTHER, LATE, at(52, "sent", "a", "low", 8)], ["leaders"]),
        (
            "after the lease was given back",
            [at(50, "given back", "a"), at(51, "sent", "b", "low", 9), at(52, "sent", "b", "low", 8)],
            [],
        ),
        (
            "it has come back",
            [OTHER, LATE, at(55, "taken", "a"), *asks(56, "low", 8), *asks(57, "low", 7)],
            [],
        ),
        ("settled in time", [*LOWER, *HIGHER, STEADY, MOVING], []),
        ("settled later", [STEADY, *asks(65, "low", 9), *asks(66, "high", 4), MOVING], []),
        ("not settled", [*LOWER, STEADY, MOVING], ["settling"]),
        ("no time to", [*LOWER, STEADY, at(70, "moving")], []),
        ("on a busy machine", [*LOWER, at(55, "load", number=300), STEADY, MOVING], []),
        (
            "does not stay so",
            [*LOWER, *HIGHER, STEADY, *asks(80, "low", 8), *asks(82, "low", 9), MOVING],
            ["flapping"],
        ),
        ("a late one just after", [*LOWER, *HIGHER, STEADY, *asks(61, "low", 8), *BACK, MOVING], []),
        ("an agent dies", [at(50, "agent died", "a", number=1)], ["life"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_breaks_an_invariant(about: str, happenings: list[Happening], expected: list[str]) -> None:
    assert sorted(set(broken(*happenings))) == expected, about


def test_figures_of_a_history() -> None:
    run = history(OTHER, LATE, STEADY, *asks(64, "low", 9), *asks(65, "high", 4), MOVING)
    assert [h.what for h in late(run)] == ["low", "low", "high"], "of b nothing was sent"
    assert settlings(run) == [pytest.approx(5.1)]
    assert [state.total for state in asked(run)] == [14, 12, 14]


@pytest.mark.parametrize(
    ("waiting", "wanted"),
    [
        ({"high": 0, "mid": 0, "low": 0}, {"high": 2, "mid": 1, "low": 2}),
        ({"high": 14, "mid": 14, "low": 14}, {"high": 9, "mid": 3, "low": 2}),
        ({"high": 4, "mid": 3, "low": 14}, {"high": 4, "mid": 3, "low": 7}),
        ({"high": 0, "mid": 14, "low": 14}, {"high": 2, "mid": 8, "low": 4}),
    ],
)
def test_what_each_service_is_to_have(waiting: dict[str, int], wanted: dict[str, int]) -> None:
    assert expected(waiting) == wanted
    assert sum(wanted.values()) <= CAP


def test_a_plan_is_the_same_for_the_same_seed_and_has_every_kind() -> None:
    rounds = list(itertools.islice(make_plan(1), 40))
    assert rounds == list(itertools.islice(make_plan(1), 40))
    assert rounds != list(itertools.islice(make_plan(2), 40))
    assert {fault.kind for round in rounds for fault in round.faults} == set(LASTS)
    for round in rounds:
        assert sum(fault.kind in OF_NODES for fault in round.faults) <= 1, "two managers have to be left"
        assert round.jumps[-1][0] >= round.lasts
        assert set(round.steady) == {part.name for part in PARTS}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Path]:
    """Answers every request with what stands in its path."""
    path = tmp_path / "engine.sock"
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()

    def serve() -> None:
        connection, _ = listening.accept()
        asked = b""  # it may come in parts
        with connection:
            while data := connection.recv(65536):
                asked += data
                if asked.endswith((b"}", b"\r\n\r\n")):
                    status = b"500 No" if b"/configs/b/" in asked else b"200 OK"
                    connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n{}")
                    asked = b""

    thread = threading.Thread(target=serve)
    thread.start()
    yield path
    listening.close()
    thread.join()


def test_what_comes_by_a_link_is_written_down(engine: Path, tmp_path: Path) -> None:
    seen = History()
    spy = Spy(tmp_path / "spy.sock", engine, "a", seen, "chaos_")

    def body(name: str, **more: str) -> bytes:
        labels = ", ".join(f'"com.microscaling.lease.{key}": "{text}"' for key, text in more.items())
        mode = '{"Replicated": {"Replicas": 7}}'
        return f'{{"Name": "{name}", "Labels": {{{labels}}}, "Mode": {mode}}}'.encode()

    def post(path: bytes, sent: bytes) -> bytes:
        head = b"POST /v1.41/%b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path, len(sent))
        return head + sent

    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(spy.path))
        for request in (
            b"GET /v1.41/services/a HTTP/1.1\r\nHost: x\r\n\r\n",
            post(b"services/a/update?version=3", body("chaos_low")),
            post(b"services/b/update?version=3", body("other")),
            post(b"configs/create", body("microscaling-lease-x", holder="me")),
            post(b"configs/b/update?version=9", body("microscaling-lease-x", holder="me")),
            post(b"configs/a/update?version=9", body("microscaling-lease-x", holder="")),
        ):
            half = len(request) // 2
            sock.sendall(request[:half])
            sock.sendall(request[half:])
            assert sock.recv(65536).endswith(b"{}")
    spy.stop()
    told = [(h.kind, h.who, h.what, h.number) for h in seen.happenings]
    assert told == [("sent", "a", "low", 7), ("taken", "a", "", 0), ("given back", "a", "", 0)]
