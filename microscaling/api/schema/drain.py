"""Reads `config.drain`: the way of a container from its last job to its SIGTERM."""

from __future__ import annotations

from microscaling.api.schema.call import SHAPE as CALL
from microscaling.api.schema.call import WORDS, read_call, read_exec
from microscaling.api.schema.key import Key
from microscaling.api.schema.section import Section, shown
from microscaling.demand.drain import DRAIN_S, Drain
from microscaling.utils.text import nearest

MAX_S = 7 * 86400.0
SIGNALS = (
    *("HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "TSTP", "TTIN", "TTOU", "CONT", "WINCH", "ALRM", "ABRT"),
    *("URG", "IO", "PWR", "VTALRM", "PROF"),
)
"""Signals that a program can handle, without SIG."""
ENDS = {"KILL": "would end the container in the middle of its job", "STOP": "would freeze its job"}
SECONDS = {"type": "number", "minimum": 0, "maximum": MAX_S}
SIGNAL = {"type": "string", "enum": [name for signal in SIGNALS for name in (signal, f"SIG{signal}")]}
DRAIN = Key(
    "drain",
    "Drain",
    kind="shape",
    default_in_words="none; `{seconds: 3600}` with one of the keys above",
    meaning="`{signal: TSTP, seconds: 3600}`: the end of a container that may be busy; docs/long-jobs.md",
    shape={
        "type": "object",
        "properties": {
            "signal": SIGNAL,
            "hook": CALL,
            "seconds": SECONDS,
            "secondsForOthers": SECONDS,
            "holdsPlace": {"type": "boolean"},
            "resume": {
                "type": "object",
                "properties": {"signal": SIGNAL, "exec": WORDS},
                "oneOf": [{"required": ["signal"]}, {"required": ["exec"]}],
                "additionalProperties": False,
            },
        },
        "not": {"required": ["signal", "hook"]},
        "additionalProperties": False,
    },
)


def read_drain(config: Section) -> Drain | None:
    """Reads `drain`; None if it is absent."""
    if config.take(DRAIN.key) is None:
        return None
    given = config.section(DRAIN.key)
    signal, seconds = _signal(given), given.number("seconds", DRAIN_S, MAX_S, "a number of seconds")
    hook = read_call(given.section("hook")) if given.take("hook") is not None else None
    if given.take("signal") is not None and given.take("hook") is not None:
        given.notes.problem(given.at("hook"), "signal is given too: leave one out")
    resume_signal, resume_exec = _resume(given)
    others = given.take("secondsForOthers")
    for_others = given.number("secondsForOthers", 0.0, MAX_S, "a number of seconds")
    if others is not None and for_others > seconds:
        given.notes.problem(
            given.at("secondsForOthers"),
            f"is {for_others:g}, above seconds, which is {seconds:g}: lower it or raise that",
        )
    # Without its place the cap would be exceeded, so this is never the default.
    holds_place = given.flag("holdsPlace", True)
    given.no_others("signal", "hook", "seconds", "secondsForOthers", "holdsPlace", "resume")
    return Drain(
        signal, hook, seconds, None if others is None else for_others, holds_place, resume_signal, resume_exec
    )


def _signal(section: Section) -> str:
    value = section.text("signal")
    name = value.upper().removeprefix("SIG")
    if not value or name in SIGNALS:
        return name
    if name in ENDS:
        section.notes.problem(section.at("signal"), f"{shown(value)} {ENDS[name]}: leave it out")
        return ""
    other = nearest(name, SIGNALS)
    hint = f"; did you mean {other}?" if other else ""
    section.notes.problem(
        section.at("signal"), f"expected a signal such as TSTP, USR1 or TERM, got {shown(value)}{hint}"
    )
    return ""


def _resume(drain: Section) -> tuple[str, tuple[str, ...]]:
    if drain.take("resume") is None:
        return "", ()
    given = drain.section("resume")
    has_signal, has_exec = (given.take(key) is not None for key in ("signal", "exec"))
    given.no_others("signal", "exec")
    if has_signal == has_exec:
        both = "has signal and exec: leave one out" if has_signal else "expected signal or exec in it"
        given.notes.problem(given.place, both)
    elif drain.take("signal") is None and drain.take("hook") is None:
        given.notes.problem(given.place, "has nothing to take back without signal or hook: leave it out")
    elif has_exec:
        return "", read_exec(given)
    return _signal(given), ()
