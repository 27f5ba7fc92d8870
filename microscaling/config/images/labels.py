"""Labels of an image that configure its task.

The Go agent's com.microscaling.is-scalable, .priority, .max-delta, .min-containers and .max-containers,
and .fallback-failure-threshold, .fallback-containers and .scale-down-window-seconds of our own, in upper
or lower case. Most are numbers of containers.
"""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Callable, Mapping

from microscaling.api.schema.policies import MAX_WINDOW_S
from microscaling.api.schema.section import DECIMAL
from microscaling.demand.fallback import Fallback
from microscaling.demand.task import Task
from microscaling.target.remainder import RemainderTarget
from microscaling.utils.text import quoted, short

log = logging.getLogger("mssconfig")

PREFIX = "com.microscaling."
YES = ("true", "t", "1", "yes", "on")
NO = ("false", "f", "0", "no", "off")
WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
INT64 = range(-(2**63), 2**63)
OF_FALLBACK = ("failure_threshold", "containers")


def apply_labels(task: Task, labels: Mapping[str, object], image: str) -> None:
    """Overrides the fields of the task with the labels of `image`. Without a label, a field stays; with an
    invalid one too, with a warning that names image, label and value."""
    wanted = _wanted(labels, image)
    least = wanted.get("min_containers", task.min_containers)
    most = wanted.get("max_containers", task.max_containers)
    if least > most:
        log.warning(
            "image %s: with its labels the task %s would have min-containers %d, above max-containers %d: "
            "both stay as they were, %d and %d",
            short(image), quoted(task.name), least, most, task.min_containers, task.max_containers,
        )  # fmt: skip
        wanted = {k: v for k, v in wanted.items() if k not in ("min_containers", "max_containers")}
    fixed_before = task.max_delta == 0
    _apply_fallback(task, {k: int(wanted.pop(k)) for k in OF_FALLBACK if k in wanted}, image)
    for field, value in wanted.items():
        setattr(task, field, value)
    if fixed_before and "max_delta" not in wanted:
        # It had one possible number of containers, so its delta came out as 0: now it would never move.
        task.max_delta = task.max_containers - task.min_containers
    if "max_containers" in wanted and task.is_remainder():
        task.target = RemainderTarget(task.max_containers)


def _apply_fallback(task: Task, wanted: Mapping[str, int], image: str) -> None:
    """Overrides the threshold, the containers or both; a task without a fallback needs both labels."""
    if task.fallback is not None:
        task.fallback = dataclasses.replace(task.fallback, **wanted)
    elif len(wanted) == len(OF_FALLBACK):
        task.fallback = Fallback(**wanted)
    elif wanted:
        log.warning(
            "image %s: a fallback needs both labels, %sfallback-failure-threshold and "
            "%sfallback-containers: the task %s has none",
            short(image), PREFIX, PREFIX, quoted(task.name),
        )  # fmt: skip


def _wanted(labels: Mapping[str, object], image: str) -> dict[str, float]:
    """Returns the fields of a task that valid labels set, with their values."""
    found = _by_lower_case(labels)
    wanted: dict[str, float] = {}
    for label, (field, read, expected) in READERS.items():
        if label not in found:
            continue
        value = found[label]
        meant = read(value.strip()) if isinstance(value, str) else None
        if meant is None:
            got = quoted(value) if isinstance(value, str) else f"a {type(value).__name__}"
            log.warning(
                "image %s: label %s: expected %s, got %s: the earlier value stays",
                short(image), label, expected, got,
            )  # fmt: skip
        else:
            wanted[field] = meant
    return wanted


def _by_lower_case(labels: Mapping[str, object]) -> dict[str, object]:
    """Maps labels by their names in lower case. Of several that differ only in case, the one in lower case
    counts, else the last by name."""
    # The names are sorted so that the same labels give the same result, in any order of the engine's answer.
    return {name.lower(): labels[name] for name in sorted(labels, key=lambda name: (name.islower(), name))}


def _flag(text: str) -> bool | None:
    return True if text.lower() in YES else False if text.lower() in NO else None


def _whole(text: str) -> int | None:
    return int(text) if WHOLE.fullmatch(text) and int(text) in INT64 else None


def _count(text: str, least: int = 0) -> int | None:
    number = _whole(text)
    return None if number is None or number < least else number


def _threshold(text: str) -> int | None:
    return _count(text, 1)


def _window(text: str) -> float | None:
    return float(text) if DECIMAL.fullmatch(text) and float(text) <= MAX_WINDOW_S else None


WINDOW = f"a number of seconds from 0 to {MAX_WINDOW_S:g}"
READERS: dict[str, tuple[str, Callable[[str], float | None], str]] = {
    f"{PREFIX}is-scalable": ("is_scalable", _flag, "true or false"),
    f"{PREFIX}priority": ("priority", _whole, "a whole number"),
    f"{PREFIX}max-delta": ("max_delta", _count, "a whole number, 0 or more"),
    f"{PREFIX}min-containers": ("min_containers", _count, "a whole number, 0 or more"),
    f"{PREFIX}max-containers": ("max_containers", _count, "a whole number, 0 or more"),
    f"{PREFIX}fallback-failure-threshold": ("failure_threshold", _threshold, "a whole number, 1 or more"),
    f"{PREFIX}fallback-containers": ("containers", _count, "a whole number, 0 or more"),
    f"{PREFIX}scale-down-window-seconds": ("scale_down_window_s", _window, WINDOW),
}
