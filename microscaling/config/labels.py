"""What the labels of an image say of its task: com.microscaling.is-scalable, .priority, .max-delta,
.min-containers and .max-containers, in any case. Numbers are containers, but for the priority."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping

from microscaling.demand.task import Task
from microscaling.target.remainder import RemainderTarget
from microscaling.utils.text import one_line, quoted

log = logging.getLogger("mssconfig")

PREFIX = "com.microscaling."
YES = ("true", "t", "1", "yes", "on")
NO = ("false", "f", "0", "no", "off")
WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
INT64 = range(-(2**63), 2**63)


def apply_labels(task: Task, labels: Mapping[str, object], image: str) -> None:
    """Has the labels of `image` override what the task has. What is missing stays; what cannot be used
    stays as well, with one warning that names image, label and value."""
    wanted = _wanted(labels, image)
    least = wanted.get("min_containers", task.min_containers)
    most = wanted.get("max_containers", task.max_containers)
    if least > most:
        log.warning(
            "image %s: with its labels the task %s would have min-containers %d, above max-containers %d: "
            "both stay as they were, %d and %d",
            one_line(image), quoted(task.name), least, most, task.min_containers, task.max_containers,
        )  # fmt: skip
        wanted = {k: v for k, v in wanted.items() if k not in ("min_containers", "max_containers")}
    fixed_before = task.max_delta == 0
    for field, value in wanted.items():
        setattr(task, field, value)
    if fixed_before and "max_delta" not in wanted:
        # It had one possible number of containers, so its delta came out as 0: now it would never move.
        task.max_delta = task.max_containers - task.min_containers
    if "max_containers" in wanted and task.is_remainder():
        task.target = RemainderTarget(task.max_containers)


def _wanted(labels: Mapping[str, object], image: str) -> dict[str, int]:
    """The fields of a task that the labels set, with their values."""
    found = _by_lower_case(labels)
    wanted = {}
    for label, (field, read, expected) in READERS.items():
        if label not in found:
            continue
        value = found[label]
        meant = read(value.strip()) if isinstance(value, str) else None
        if meant is None:
            got = quoted(value) if isinstance(value, str) else f"a {type(value).__name__}"
            log.warning(
                "image %s: label %s: expected %s, got %s: what was there before stays",
                one_line(image), label, expected, got,
            )  # fmt: skip
        else:
            wanted[field] = meant
    return wanted


def _by_lower_case(labels: Mapping[str, object]) -> dict[str, object]:
    """Of labels that differ only in case, the one in lower case counts, else the last by name."""
    return {name.lower(): labels[name] for name in sorted(labels, key=lambda name: (name.islower(), name))}


def _flag(text: str) -> bool | None:
    return True if text.lower() in YES else False if text.lower() in NO else None


def _whole(text: str) -> int | None:
    return int(text) if WHOLE.fullmatch(text) and int(text) in INT64 else None


def _count(text: str) -> int | None:
    number = _whole(text)
    return None if number is None or number < 0 else number


READERS: dict[str, tuple[str, Callable[[str], int | None], str]] = {
    f"{PREFIX}is-scalable": ("is_scalable", _flag, "true or false"),
    f"{PREFIX}priority": ("priority", _whole, "a whole number"),
    f"{PREFIX}max-delta": ("max_delta", _count, "a whole number, 0 or more"),
    f"{PREFIX}min-containers": ("min_containers", _count, "a whole number, 0 or more"),
    f"{PREFIX}max-containers": ("max_containers", _count, "a whole number, 0 or more"),
}
