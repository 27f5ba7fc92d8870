"""The invariant about warm containers does fire: histories that break it, and the nearest that do not."""

from __future__ import annotations

from tests.chaos.history import Happening, History
from tests.chaos.warm.invariants import handshakes_of, told_ones_are_not_frozen
from tests.chaos.warm.scene import SCENE


def of(t: float, kind: str, detail: object = None, task: str = "alpha", id: str = "a") -> Happening:
    return Happening(t, kind, task, id, detail)


def history(*happenings: Happening) -> History:
    return History([*happenings, of(100, "end")], [], SCENE)


WARM, THAW, GO = of(10, "pause"), of(20, "unpause"), of(21, "kill", "18")


def test_what_was_told_go_is_not_frozen() -> None:
    assert not told_ones_are_not_frozen(history(WARM, THAW, GO))
    (violation,) = told_ones_are_not_frozen(history(WARM, THAW, GO, of(31, "pause")))
    assert violation.what == "alpha a was frozen 10.0 s after it was told go"


def test_another_signal_another_container_and_another_hand() -> None:
    assert not told_ones_are_not_frozen(history(WARM, THAW, of(21, "kill", "15"), of(31, "pause")))
    assert not told_ones_are_not_frozen(history(GO, of(31, "pause", id="b")))
    assert not told_ones_are_not_frozen(history(GO, of(30, "by hand", "pause"), of(31, "pause")))
    yields = [of(21, "kill", "18", "beta"), of(31, "pause", None, "beta")]
    assert not told_ones_are_not_frozen(history(*yields))


def test_what_is_counted() -> None:
    found = handshakes_of(history(WARM, THAW, GO, of(31, "pause", None, "beta")))
    assert found == {"made warm": 1, "went on": 1, "told go": 1}
