"""Reads a task's policies: the fallback without readings, and the conditions of a scale-down."""

from __future__ import annotations

from collections.abc import Mapping

from microscaling.api.schema.key import Key
from microscaling.api.schema.section import Section
from microscaling.demand.fallback import Fallback
from microscaling.demand.step_limit import StepLimit
from microscaling.demand.task import IDLE_S, STUCK_S

MAX_WINDOW_S = 3600.0
"""The limit of Kubernetes (HPA, stabilizationWindowSeconds)."""
MAX_IDLE_S = MAX_STUCK_S = 86400.0
MAX_PARALLEL = 1000
MAX_PERCENT = 10_000.0
MAX_PERIOD_S = 1800.0
"""The limit of Kubernetes (HPA, periodSeconds)."""
KEYS = (
    Key(
        "fallback",
        "Fallback",
        kind="shape",
        default_in_words="none: held",
        meaning="`{failureThreshold: 20, containers: 6}`: so many containers after so many failed "
        "measurements in a row",
        shape={
            "type": "object",
            "properties": {
                "failureThreshold": {"type": "integer", "minimum": 1},
                "containers": {"type": "integer", "minimum": 0},
            },
            "required": ["failureThreshold", "containers"],
            "additionalProperties": False,
        },
    ),
    Key(
        "scaleDownWindowSeconds",
        "Scale-down window",
        kind="number",
        most=MAX_WINDOW_S,
        default_in_words="`MSS_SCALE_DOWN_WINDOW_S`",
        meaning="it gives back only containers that it has not needed for so long; 0 to 3600",
    ),
    *(
        Key(
            key,
            title,
            kind="shape",
            default_in_words="no limit",
            meaning=f"`{{step: 4, percent: 100, seconds: 15}}`: in so many seconds it {does} at most "
            "`step` containers, or `percent` of what it had, the larger of the two",
            shape={
                "type": "object",
                "properties": {
                    "step": {"type": "integer", "minimum": 1},
                    "percent": {"type": "number", "minimum": 0, "maximum": MAX_PERCENT},
                    "seconds": {"type": "number", "minimum": 1, "maximum": MAX_PERIOD_S},
                },
                "required": ["seconds"],
                "additionalProperties": False,
            },
        )
        for key, title, does in (
            ("scaleUp", "Scale-up limit", "adds"),
            ("scaleDown", "Scale-down limit", "gives back"),
        )
    ),
)
"""Keys of an app for its policies."""
IDLE = Key(
    "idleSeconds",
    "Idle",
    kind="number",
    default=IDLE_S,
    most=MAX_IDLE_S,
    meaning="once its queue has been empty for so long, it gives back one container at each beat, "
    "down to its minimum",
)
"""The key of `config` for the time until an empty queue gives back its containers."""
STUCK = Key(
    "stuckSeconds",
    "Stuck",
    kind="number",
    default=STUCK_S,
    most=MAX_STUCK_S,
    meaning="jobs of workers that are gone keep one container for so long without a change of their number",
)
"""The key of `config` for the time until stuck jobs keep no container any longer."""
ACTIVATION = Key(
    "activation",
    "Activation",
    kind="whole",
    least=0,
    default=0,
    meaning="items up to which a task without containers stays so; one that has some counts as idle",
)
"""The key of `config` for the items that are worth a first container."""


UPDATE = Key(
    "update",
    "Update",
    kind="shape",
    default_in_words="`{parallel: 1}`",
    meaning="`{parallel: 2}`: so many containers of an earlier configuration are replaced at a time",
    shape={
        "type": "object",
        "properties": {"parallel": {"type": "integer", "minimum": 1, "maximum": MAX_PARALLEL}},
        "additionalProperties": False,
    },
)
"""The key of `config` for the replacement of containers by those of a new configuration."""


def read_update(config: Section) -> int:
    """Reads `config.update`: {parallel}, how many containers are replaced at a time."""
    section = config.section("update")
    parallel = section.whole("parallel", 1, MAX_PARALLEL) or 1
    section.no_others("parallel")
    return parallel


def read_fallback(app: Section, measured: bool, least: int, most: int) -> Fallback | None:
    """Reads `fallback`: {failureThreshold, containers}; None if it is absent or wrong. `least` and `most`
    are the task's minimum and maximum of containers."""
    if app.take("fallback") is None:
        return None
    section = app.section("fallback")
    if not isinstance(app.take("fallback"), Mapping):
        return None
    threshold = _count(section, "failureThreshold", 1)
    containers = _count(section, "containers", 0)
    for key in section.left():
        section.notes.warn(section.at(key), "is not known here, and ignored")
    if threshold is None or containers is None:
        return None
    if not measured:
        section.notes.warn(app.at("fallback"), "means nothing for a task without a queue to measure")
    elif not least <= containers <= most:
        has = min(max(containers, least), most)
        outside = f"is {containers}, and the task has {least} to {most}: it will fall back to {has}"
        section.notes.warn(section.at("containers"), outside)
    return Fallback(threshold, containers)


def read_window(app: Section, measured: bool) -> float | None:
    """Reads `scaleDownWindowSeconds`; None if it is absent."""
    if app.take("scaleDownWindowSeconds") is None:
        return None
    if not measured:
        place = app.at("scaleDownWindowSeconds")
        app.notes.warn(place, "means nothing for a task without a queue to measure")
    return app.number("scaleDownWindowSeconds", 0.0, MAX_WINDOW_S, "a number of seconds")


def read_steps(app: Section, key: str) -> StepLimit | None:
    """Reads `scaleUp` or `scaleDown`: {step, percent, seconds}; None if it is absent or wrong."""
    if app.take(key) is None:
        return None
    section = app.section(key)
    if not isinstance(app.take(key), Mapping):
        return None
    before = len(section.notes.problems)
    step = section.whole("step", 1)
    percent = section.number("percent", 0.0, MAX_PERCENT, "a number of percent")
    seconds = section.number("seconds", 0.0, MAX_PERIOD_S, "a number of seconds", 1.0)
    if section.take("seconds") is None:
        section.notes.problem(section.at("seconds"), "is missing: the time in which the limit holds")
    if not step and not percent and len(section.notes.problems) == before:
        section.notes.problem(app.at(key), "has neither step nor percent: without both it limits nothing")
    section.no_others("step", "percent", "seconds")
    return StepLimit(step, percent, seconds) if len(section.notes.problems) == before else None


def read_activation(config: Section, measured: bool) -> int:
    """Reads `config.activation`: the items up to which a task has no container."""
    if config.take(ACTIVATION.key) is not None and not measured:
        config.notes.warn(config.at(ACTIVATION.key), "means nothing for a task without a queue to measure")
    return config.whole(ACTIVATION.key, least=0)


def read_idle(config: Section, measured: bool) -> float:
    """Reads `config.idleSeconds`: the time for which a queue is empty before its containers are released."""
    if config.take("idleSeconds") is not None and not measured:
        config.notes.warn(config.at("idleSeconds"), "means nothing for a task without a queue to measure")
    return config.number("idleSeconds", IDLE_S, MAX_IDLE_S, "a number of seconds")


def read_stuck(config: Section, measured: bool) -> float:
    """Reads `config.stuckSeconds`: the time for which stuck jobs keep a container."""
    if config.take(STUCK.key) is not None and not measured:
        config.notes.warn(config.at(STUCK.key), "means nothing for a task without a queue to measure")
    return config.number(STUCK.key, STUCK_S, MAX_STUCK_S, "a number of seconds")


def _count(section: Section, key: str, least: int) -> int | None:
    if section.take(key) is None:
        section.notes.problem(section.at(key), "is missing: a fallback needs failureThreshold and containers")
        return None
    before = len(section.notes.problems)
    value = section.whole(key, least)  # 0 if it is invalid, which may be a valid count as well
    return value if len(section.notes.problems) == before else None
