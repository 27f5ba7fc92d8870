"""What must hold in every run, whatever the faults. Each checker takes a history and tells what broke it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.swarm.chaos.history import CAP, PARTS, Happening, History

MENDED_S = 6.0
"""A late update may break the cap for so long, until the agent that decides has put it right."""
SETTLES_S = 45.0
"""Seconds from steady queues until as much as expected is asked for; more if the machine is busy."""
STILL_S = 3.0
"""After it has settled nothing changes; numbers that were on their way may come a little later."""
LEASTS = {part.name: part.least for part in PARTS}


@dataclass(frozen=True)
class Violation:
    """An invariant did not hold at `t`."""

    invariant: str
    t: float
    what: str


Checker = Callable[[History], list[Violation]]


@dataclass(frozen=True)
class Asked:
    """What the swarm asks for from `t` to `until`, and the service whose number has changed last."""

    t: float
    until: float
    numbers: dict[str, int]
    changed: str

    @property
    def total(self) -> int:
        return sum(self.numbers.values())


def asked(history: History) -> Iterator[Asked]:
    """What was asked for when, while the witness knew it."""
    numbers: dict[str, int] = {}
    before: tuple[float, dict[str, int], str] | None = None
    for happening in history.happenings:
        if happening.kind == "lost":
            numbers = {}
        elif happening.kind == "listed":
            numbers = dict(happening.numbers)
        elif happening.kind == "asked" and numbers:
            numbers = {**numbers, happening.what: happening.number}
        else:
            continue
        if before is not None:
            yield Asked(before[0], happening.t, *before[1:])
        before = (happening.t, numbers, happening.what) if numbers else None
    if before is not None:
        yield Asked(before[0], history.happenings[-1].t, *before[1:])


def late(history: History) -> list[Happening]:
    """The updates that an agent sent while another one had the lease."""
    found, holder = [], ""
    for happening in history.of("taken", "given back", "sent"):
        if happening.kind == "taken":
            holder = happening.who
        elif happening.kind == "given back":
            holder = "" if holder == happening.who else holder
        elif holder and happening.who != holder:
            found.append(happening)
    return found


def cap_holds(history: History) -> list[Violation]:
    """The sum asked for is never above the cap, but for a moment after an update from before a take-over."""
    found = []
    begin: Asked | None = None
    excused = False
    for state in asked(history):
        if state.total <= CAP:
            begin = None
            continue
        if begin is None:
            begin, excused = state, _is_of_before(history, state)
        if not excused or state.until - begin.t > MENDED_S:
            what = f"{state.total} asked for, the cap is {CAP}: {state.numbers}"
            found.append(Violation("cap", state.t, what))
    return found


def _is_of_before(history: History, state: Asked) -> bool:
    """Whether the last number is from an agent that another one has taken over from: what was under way may
    land until the swarm gives it up."""
    holder, sender = "", ""
    for happening in history.of("taken", "sent"):
        if happening.t > state.t:
            break
        if happening.kind == "taken":
            holder = happening.who
        elif (happening.what, happening.number) == (state.changed, state.numbers.get(state.changed)):
            sender = happening.who
    return sender not in ("", holder)


def minimums_hold(history: History) -> list[Violation]:
    """No agent asks for less than a minimum."""
    return [
        Violation("minimum", h.t, f"{h.who} asks for {h.number} of {h.what}, its minimum is {LEASTS[h.what]}")
        for h in history.of("sent")
        if h.number < LEASTS[h.what]
    ]


def one_decides(history: History) -> list[Violation]:
    """No agent sends an update while another has the lease, but for the one that was under way."""
    found, excused, last = [], set[tuple[str, str]](), ""
    late_ones = {id(h) for h in late(history)}
    for happening in history.of("taken", "sent"):
        if happening.kind == "taken":
            if happening.who != last:
                excused.clear()
            last = happening.who
        elif id(happening) in late_ones:
            key = (happening.who, happening.what)
            if key in excused:
                what = f"{happening.who} asks for {happening.number} of {happening.what}, but {last} decides"
                found.append(Violation("leaders", happening.t, what))
            excused.add(key)
    return found


def it_settles(history: History) -> list[Violation]:
    """With queues that stay as they are, each service is asked for as its queue and priority say, and
    stays so."""
    found = []
    for begin, end, numbers in _steady(history):
        limit = begin + SETTLES_S * max(1.0, _load(history, begin))
        states = [s for s in asked(history) if s.until > begin and s.t < end]
        right = [s for s in states if s.numbers == numbers]
        if not right:
            if end >= limit:
                seen = states[-1].numbers if states else "nothing known"
                found.append(
                    Violation("settling", begin, f"{seen}, not {numbers}, after {end - begin:.0f} s")
                )
            continue
        settled = max(begin, right[0].t)
        changes = [s for s in states if s.t > settled + STILL_S and s.numbers != numbers]
        found += [Violation("flapping", s.t, f"{s.numbers}, and it was {numbers}") for s in changes]
    return found


def agents_live(history: History) -> list[Violation]:
    """An agent ends only when it is told to, and then well."""
    return [
        Violation("life", h.t, f"{h.who} has ended with exit code {h.number}")
        for h in history.of("agent died")
    ]


CHECKERS: tuple[Checker, ...] = (cap_holds, minimums_hold, one_decides, it_settles, agents_live)


def check(history: History) -> list[Violation]:
    """All that was broken, in order of time."""
    return sorted((v for checker in CHECKERS for v in checker(history)), key=lambda v: v.t)


def settlings(history: History) -> list[float]:
    """Seconds from steady queues until as much as expected was asked for, of each time that it was."""
    found = []
    for begin, end, numbers in _steady(history):
        right = [s for s in asked(history) if s.until > begin and s.t < end and s.numbers == numbers]
        found += [max(0.0, right[0].t - begin)] if right else []
    return found


def _steady(history: History) -> Iterator[tuple[float, float, dict[str, int]]]:
    begin: Happening | None = None
    for happening in history.of("steady", "moving"):
        if begin is not None:
            yield begin.t, happening.t, dict(begin.numbers)
        begin = happening if happening.kind == "steady" else None


def _load(history: History, t: float) -> float:
    loads = [h.number / 100 for h in history.of("load") if t - 30 <= h.t <= t + 30]
    return max(loads, default=0.0)
