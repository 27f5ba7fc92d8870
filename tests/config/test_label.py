"""The labels of an image have the last word about its task."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from microscaling.config.base import Config
from microscaling.config.images.base import Images
from microscaling.config.images.labels import PREFIX, apply_labels
from microscaling.config.label import LabelConfig
from microscaling.demand.fallback import Fallback
from microscaling.demand.task import Task
from microscaling.errors import PermanentError, TemporaryError
from microscaling.target.remainder import RemainderTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget

FIELDS = ("is_scalable", "priority", "max_delta", "min_containers", "max_containers")
SERVER = (True, 1, 9, 1, 10)
"""What the server says of the fields above."""


def a_task(name: str = "a", **fields: Any) -> Task:
    said = (
        dict(zip(FIELDS, SERVER, strict=True)) | {"image": "team/app", "target": RemainderTarget(10)} | fields
    )
    return Task(name, **said)


def after(labels: Mapping[str, object], **fields: Any) -> tuple[object, ...]:
    """The fields of the server's task once these labels (without their prefix) have been applied."""
    task = a_task(**fields)
    apply_labels(task, {f"{PREFIX}{name}": value for name, value in labels.items()}, "team/app")
    return tuple(getattr(task, field) for field in FIELDS)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, SERVER),
        ({"is-scalable": "false"}, (False, 1, 9, 1, 10)),
        ({"is-scalable": " F "}, (False, 1, 9, 1, 10)),
        ({"is-scalable": "TRUE", "priority": "7"}, (True, 7, 9, 1, 10)),
        ({"priority": "-2"}, (True, -2, 9, 1, 10)),
        ({"max-delta": "2"}, (True, 1, 2, 1, 10)),
        ({"max-delta": "0"}, (True, 1, 0, 1, 10)),
        ({"min-containers": "0", "max-containers": "+20"}, (True, 1, 9, 0, 20)),
        ({"min-containers": "12", "max-containers": "12"}, (True, 1, 9, 12, 12)),
        ({"unknown": "1"}, SERVER),
    ],
)
def test_labels_override(labels: dict[str, object], expected: tuple[object, ...]) -> None:
    assert after(labels) == expected


@pytest.mark.parametrize("field", FIELDS)
def test_a_label_that_is_missing_keeps_what_the_server_said(field: str) -> None:
    label = field.replace("_", "-")
    all_of_them = {"is-scalable": "false", "priority": "7", "max-delta": "3", "min-containers": "2"}
    all_of_them["max-containers"] = "5"
    expected = dict(zip(FIELDS, (False, 7, 3, 2, 5), strict=True)) | {field: SERVER[FIELDS.index(field)]}
    assert after({k: v for k, v in all_of_them.items() if k != label}) == tuple(expected.values())


@pytest.mark.parametrize("prefix", ["com.microscaling.", "COM.Microscaling.", "Com.MicroScaling."])
@pytest.mark.parametrize("label", ["priority", "Priority", "PRIORITY"])
def test_any_case(prefix: str, label: str) -> None:
    task = a_task()
    apply_labels(task, {prefix + label: "4"}, "team/app")
    assert task.priority == 4


def test_of_labels_that_differ_in_case_the_lower_counts() -> None:
    for labels in ({"Priority": "3", "priority": "4", "PRIORITY": "5"}, {"priority": "4", "Priority": "3"}):
        assert after(labels)[1] == 4


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("is-scalable", "maybe"), ("is-scalable", ""), ("priority", "high"), ("priority", "1.5"),
        ("priority", "١"), ("priority", "9" * 19), ("priority", "9" * 5000), ("max-delta", "-1"),
        ("min-containers", "-1"), ("max-containers", "ten"), ("max-containers", "1_0"), ("priority", 3),
        ("priority", None), ("priority", "1\n2"),
    ],
)  # fmt: skip
def test_a_bad_label_keeps_what_the_server_said(
    label: str, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert after({label: value}) == SERVER
    (said,) = caplog.messages
    assert said.startswith(f"image team/app: label {PREFIX}{label}: expected ")
    assert len(said) < 300
    assert said.isprintable()


def test_a_bad_label_says_its_value(caplog: pytest.LogCaptureFixture) -> None:
    after({"priority": "high"})
    assert caplog.messages == [
        'image team/app: label com.microscaling.priority: expected a whole number, got "high": '
        "the earlier value stays"
    ]


@pytest.mark.parametrize(
    ("labels", "most"),
    [
        ({"min-containers": "11"}, 10),
        ({"max-containers": "0"}, 0),
        ({"max-containers": "x", "min-containers": "11"}, 10),
    ],
)  # fmt: skip
def test_a_minimum_above_the_maximum_counts_for_nothing(
    labels: dict[str, object], most: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert after({**labels, "priority": "3"}) == (True, 3, 9, 1, 10)
    assert f"above max-containers {most}: both stay as they were, 1 and 10" in caplog.messages[-1]


def test_a_task_that_was_fixed_can_move_when_labels_widen_it() -> None:
    fixed = {"min_containers": 3, "max_containers": 3, "max_delta": 0}
    assert after({"max-containers": "8"}, **fixed) == (True, 1, 5, 3, 8)
    assert after({"max-containers": "8", "max-delta": "0"}, **fixed) == (True, 1, 0, 3, 8)


def test_the_remainder_follows_its_maximum_and_a_queue_its_length() -> None:
    remainder, queue = a_task(), a_task(target=SimpleQueueLengthTarget(5))
    for task in (remainder, queue):
        apply_labels(task, {f"{PREFIX}max-containers": "20"}, "team/app")
    assert remainder.target.delta(0) == 20
    assert isinstance(queue.target, SimpleQueueLengthTarget)


@pytest.mark.parametrize(
    ("before", "labels", "after"),
    [
        (None, {"fallback-failure-threshold": "3", "fallback-containers": "4"}, Fallback(3, 4)),
        (Fallback(3, 4), {"fallback-containers": "7"}, Fallback(3, 7)),
        (Fallback(3, 4), {"Fallback-Failure-Threshold": "1"}, Fallback(1, 4)),
        (Fallback(3, 4), {}, Fallback(3, 4)),
    ],
)
def test_a_fallback_and_a_window(
    before: Fallback | None, labels: dict[str, str], after: Fallback, caplog: pytest.LogCaptureFixture
) -> None:
    task = a_task(fallback=before, scale_down_window_s=9.0)
    with_window = {**labels, "scale-down-window-seconds": "2.5"}
    apply_labels(task, {f"{PREFIX}{name}": value for name, value in with_window.items()}, "team/app")
    assert (task.fallback, task.scale_down_window_s) == (after, 2.5)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"fallback-containers": "4"}, "image team/app: a fallback needs both labels, "),
        ({"fallback-containers": "4", "fallback-failure-threshold": "0"},
         f"image team/app: label {PREFIX}fallback-failure-threshold: expected a whole number, 1 or more, "),
        ({"scale-down-window-seconds": "3601"},
         f"image team/app: label {PREFIX}scale-down-window-seconds: expected a number of seconds from 0 to "),
        ({"scale-down-window-seconds": "nan"}, f"image team/app: label {PREFIX}scale-down-window-seconds: "),
    ],
)  # fmt: skip
def test_a_fallback_or_a_window_that_makes_no_sense(
    labels: dict[str, str], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    task = a_task()
    apply_labels(task, {f"{PREFIX}{name}": value for name, value in labels.items()}, "team/app")
    assert (task.fallback, task.scale_down_window_s) == (None, None)
    assert caplog.messages[0].startswith(said)


class Given(Config):
    def __init__(self, *tasks: Task, cap: int = 10) -> None:
        self.tasks = list(tasks)
        self.cap = cap

    def get_apps(self, user_id: str) -> tuple[list[Task], int]:
        assert user_id == "me"
        return self.tasks, self.cap


class Shelf(Images):
    """Images that are there, or raise, as a list for each says: its last entry is there to stay."""

    def __init__(self, patience_s: float = float("inf"), **answers: list[Any]) -> None:
        self.patience_s = patience_s
        self.answers = answers
        self.asked: list[str] = []
        self.closed = False

    def image_of(self, task: Task) -> str:
        if task.image == "hidden":
            raise PermanentError("forbidden")
        return task.image

    def labels(self, image: str) -> Mapping[str, Any]:
        self.asked.append(image)
        answers = self.answers[image]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return {f"{PREFIX}priority": answer}

    def close(self) -> None:
        self.closed = True


def priorities(images: Shelf, *tasks: Task, cap: int = 10) -> list[int]:
    read, max_containers = LabelConfig(Given(*tasks, cap=cap), images).get_apps("me")
    assert (read, max_containers, images.closed) == (list(tasks), cap, True)
    return [task.priority for task in read]


def test_every_image_is_asked_once(caplog: pytest.LogCaptureFixture) -> None:
    images = Shelf(x=["3"], y=["4"])
    assert priorities(images, a_task(image="x"), a_task(image="y"), a_task(image="x")) == [3, 4, 3]
    assert images.asked == ["x", "y"]
    assert not caplog.messages


@pytest.mark.parametrize(
    ("image", "says"),
    [
        ("", 'task "a": has no image, so there are no labels to read'),
        ("hidden", 'task "a": its image is unknown: forbidden'),
        ("gone", "image gone: its labels cannot be read, so none applies: not there"),
    ],
)
def test_labels_that_cannot_be_had_are_said_and_nobody_else_suffers(
    image: str, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    images = Shelf(gone=[PermanentError("not there")], x=["3"])
    assert priorities(images, a_task(image=image), a_task("b", image="x")) == [1, 3]
    assert caplog.messages == [says]


def test_an_engine_that_is_away_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    away = TemporaryError("away", 0.001)
    assert priorities(Shelf(x=[away, away, away, "3"]), a_task(image="x")) == [3]
    assert caplog.messages == ["waiting: away", "it answers now, the start continues"]


def test_patience_with_registries_is_for_all_images_together(caplog: pytest.LogCaptureFixture) -> None:
    away = TemporaryError("away", 0.05)
    images = Shelf(0.12, x=[away], y=[away], z=["3"])
    assert priorities(images, *(a_task(image=image) for image in "xyz")) == [1, 1, 3]
    assert images.asked.count("x") <= 3
    assert [m for m in caplog.messages if "cannot be read" in m] == [
        f"image {image}: its labels cannot be read, so none applies: away" for image in "xy"
    ]


@pytest.mark.parametrize(
    ("least", "cap", "warned"), [("5", 10, False), ("6", 10, True), ("6", 1, False)], ids=str
)
def test_minimums_that_labels_take_above_the_cap_are_said(
    least: str, cap: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    images = Shelf(x=["1"])
    read: Callable[[str], Mapping[str, Any]] = lambda image: {f"{PREFIX}min-containers": least}  # noqa: E731
    images.labels = read  # type: ignore[method-assign]
    priorities(images, a_task(image="x"), a_task("b", image="x"), cap=cap)
    assert any("the minimums add up to 12" in m for m in caplog.messages) == warned
