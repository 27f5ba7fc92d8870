"""What the server wants, as it says it."""

from __future__ import annotations

import json

import pytest

from microscaling.api.demand import BadMessage, read_demand


def message(*entries: object) -> bytes:
    return json.dumps({"demand": {"tasks": entries}}).encode()


def test_the_message_of_the_design() -> None:
    assert read_demand(b'{"demand":{"tasks":[{"app":"p1","demandCount":7}]}}') == {"p1": 7}


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b'{"DEMAND":{"Tasks":[{"App":"p1","demandcount":7,"more":[]}],"x":1},"y":2}', {"p1": 7}),
        (message({"app": "a", "demandCount": 0}, {"app": "b", "demandCount": 10**6}), {"a": 0, "b": 10**6}),
        (message({"app": "a", "demandCount": 1}, {"app": "a", "demandCount": 2}), {"a": 2}),
        (message(), {}),
        (b'{"demand":{"tasks":null}}', {}),
        (b'{"demand":{}}', {}),
        (b'{"demand":null}', {}),
        (b'{"hello":"agent"}', {}),
        (b"{}", {}),
        (b"null", {}),
    ],
)
def test_good(data: bytes, wanted: dict[str, int]) -> None:
    assert read_demand(data) == wanted


COUNT = "demand.tasks[1].demandCount: expected a whole number from 0 to 1000000, got "
BAD_COUNTS = [(-1, "-1"), (7.0, "7.0"), (1e300, "1e+300"), ("7", '"7"'), (True, "true"), (None, "null"),
              ([], "a list"), (10**6 + 1, "1000001"), (2**64, str(2**64)), (10**30, "1e+30")]  # fmt: skip


@pytest.mark.parametrize(("count", "shown"), BAD_COUNTS)
def test_one_bad_count_spoils_the_message(count: object, shown: str) -> None:
    with pytest.raises(BadMessage) as caught:
        read_demand(message({"app": "a", "demandCount": 1}, {"app": "b", "demandCount": count}))
    assert str(caught.value) == COUNT + shown


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not JSON: it is empty"),
        (b"\xff", "not JSON: byte 1 is not UTF-8"),
        (b"{", "not JSON: line 1, column 2"),
        (b'{"demand":{"tasks":[{"app":"a","demandCount":NaN}]}}', "there is no number NaN"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"demand":{"tasks":[{"app":"a","demandCount":' + b"9" * 100_000 + b"}]}}", "got inf"),
        (b"[]", "the message: expected an object, got a list"),
        (b'"text"', 'the message: expected an object, got "text"'),
        (b'{"demand":7}', "demand: expected an object, got 7"),
        (b'{"demand":{"tasks":{}}}', "demand.tasks: expected a list, got an object"),
        (message(7), "demand.tasks[0]: expected an object, got 7"),
        (message(None), "demand.tasks[0].app: expected text, got null"),
        (message({"app": 7, "demandCount": 1}), "demand.tasks[0].app: expected text, got 7"),
        (message({"app": "a"}), "demand.tasks[0].demandCount: expected"),
    ],
)
def test_nonsense(data: bytes, said: str) -> None:
    with pytest.raises(BadMessage) as caught:
        read_demand(data)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()
