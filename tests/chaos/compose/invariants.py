"""What must hold in every run with Compose, whatever a person does with it.

Compose starts and stops containers as it is told, above the cap too: that is not ours to prevent. So each
invariant says when the agent can be blamed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator

from tests.chaos.excuses import Span, back_offs, busy, faults_of, joined, spans, without
from tests.chaos.history import UNSURE_S, Fault, Happening, History, State, states
from tests.chaos.invariants import (
    Checker,
    Violation,
    it_does_not_die,
    it_settles,
    minimums_hold,
    nothing_is_left,
)

BACK_S = 10.0
"""From the end of a command until what Compose has started above the cap has gone: it is still for 2 s, and
then each may take the second that it has for its end."""
TOLD_S = 60.0
"""From the end of a command until the last copy of the old configuration has been told to go."""
GONE_S = 10.0
"""From a command that stops a service until nothing of it runs."""
LOOKS_S = 3.0
"""From the first word of an agent until it has seen what there is, and follows the events."""
WHOLE = "whole"
"""The detail of what rests with its whole project."""


def cap_holds(history: History) -> list[Violation]:
    """Never do more run than the cap but by Compose's doing or the engine's, and then not for long."""
    excused = joined(_spans(history, faults_of(history, "compose", "engine"), BACK_S))
    return [
        Violation("cap", begin, f"more than {history.scene.cap} ran for {end - begin:.1f} s")
        for begin, end in without(joined([*_above(history)]), excused)
    ]


def no_start_above_the_cap(history: History) -> list[Violation]:
    """No copy is made and started while too many run, whoever started those."""
    typed = [(f.begin, f.over(history.last)) for f in faults_of(history, "compose", "engine")]
    first = _copies(history)
    found = []
    for state in states(history):
        count = _counted(history, state)
        if not state.known or count <= history.scene.cap or any(a <= state.t <= b for a, b in typed):
            continue
        for id in (id for id in state.running if state.t == first.get(id)):
            found.append(Violation("cap", state.t, f"the copy {id[:12]} was started as number {count}"))
    return found


def others_are_left_alone(history: History) -> list[Violation]:
    """Nobody but the engine's restarts and commands of Compose touches a container without our label."""
    by_hand = {h.id for h in history.of("by hand")}
    spans = _spans(history, faults_of(history, "compose", "engine"), 1.0)
    return [
        Violation("foreign", h.t, f"{h.kind} of the foreign container {h.id[:12]}")
        for h in history.of("kill", "stop", "die", "destroy", "pause", "update", "rename")
        if not h.task and h.id not in by_hand and not any(begin <= h.t <= end for begin, end in spans)
    ]


def down_leaves_nothing(history: History) -> list[Violation]:
    """After `down` there is no container of the project and no network, and its exit code is 0; but for a
    copy that was made before Compose stopped anything: it had listed the containers by then, which nobody can
    see. That copy has to go like all others, see `what_was_stopped_rests`."""
    found = []
    for happening in history.of("down"):
        code, left = happening.detail["code"], happening.detail["left"]
        if (code or left) and not _made_unseen(history, happening.t):
            what = f"exit code {code} of down; left: {', '.join(left) or 'nothing'}"
            found.append(Violation("down", happening.t, what))
    return found


def what_was_stopped_rests(history: History) -> list[Violation]:
    """Nothing brings a service back that Compose has stopped or removed, and nothing of it runs on."""
    found = []
    resting: dict[str, float] = {}
    for h in _to_rest(history):
        if h.kind == "rests":
            resting[h.task] = h.t
        elif h.kind == "wakes":
            resting.pop(h.task, None)
        elif h.task in resting:
            found.append(Violation("rests", h.t, f"{h.task} {h.id[:12]} was started, though Compose had "
                                   f"stopped {h.task} {h.t - resting[h.task]:.1f} s before"))  # fmt: skip
    for task, begin, end in _rests(history):
        late = begin + GONE_S * busy(history, begin)
        runs = [(s.t, s.until) for s in states(history) if s.known and s.count(task)]
        if any(max(a, late) < min(b, end) for a, b in runs):
            found.append(Violation("rests", late, f"{task} runs, though Compose has stopped it"))
    return found


def the_old_go(history: History) -> list[Violation]:
    """After an `up` with a change, all copies of the old configuration have been told to go within a minute,
    in which nothing else kept the agent from it."""
    found = []
    excused = _not_ours(history)
    for id, begin, end in _stale(history):
        took = sum(b - a for a, b in without([(begin, end)], excused))
        if took > TOLD_S * busy(history, begin):
            what = f"the copy {id[:12]} of an old configuration was not told to go for {took:.0f} s"
            found.append(Violation("old", begin, what))
    return found


def _made_unseen(history: History, t: float) -> bool:
    """Whether a copy was made while the command that was under way at `t` had shown nothing yet."""
    begin = max((f.begin for f in faults_of(history, "compose") if f.begin <= t), default=t)
    copies = {h.id for h in history.of("about") if h.detail["copy"]}
    kills = (h.t for h in history.of("kill") if h.t >= begin and h.id not in copies and h.task)
    first = min(kills, default=t)
    return any(begin <= h.t <= first for h in history.of("create") if h.id in copies)


def _above(history: History) -> Iterator[Span]:
    """When more ran than the cap. A listing may be a little older than the events after it."""
    sure_from = 0.0
    listed = {h.t for h in history.of("listed")}
    for state in states(history):
        if state.t in listed:
            sure_from = state.t + UNSURE_S
        if state.known and _counted(history, state) > history.scene.cap and sure_from < state.until:
            yield max(state.t, sure_from), state.until


def _counted(history: History, state: State) -> int:
    """How many run that count: an engine starts what crashes again, though its place has been given away."""
    free = {
        part.name
        for part in history.scene.parts
        if any(begin <= state.t <= end for begin, end in back_offs(history, part.name))
    }
    return sum(1 for task in state.running.values() if task not in free)


def _spans(history: History, faults: Iterable[Fault], more_s: float) -> list[Span]:
    """From the beginning of each fault until so long after its end, or after there is an agent again."""
    downs = _downs(history)
    found = []
    for fault in faults:
        end = fault.over(history.last)
        for begin, up in downs:
            if begin <= end <= up:
                end = up
        found.append((fault.begin, end + more_s * busy(history, end)))
    return found


def _downs(history: History) -> list[Span]:
    """When there was no agent."""
    return [
        *spans(history, "agent down", ("agent up",)),
        *spans(history, "agent died", ("agent up",)),
    ]


def _not_ours(history: History) -> list[Span]:
    """When the agent could not tell a container to go: without an agent, an engine, a way, or while Compose
    was at work."""
    faults = faults_of(history, "compose", "engine", "link", "agent")
    return joined(_spans(history, faults, history.scene.still_s) + _downs(history))


def _copies(history: History) -> dict[str, float]:
    """When each copy was first started."""
    copies = {h.id for h in history.of("about") if h.detail["copy"]}
    first: dict[str, float] = {}
    for h in history.of("start"):
        if h.id in copies:
            first.setdefault(h.id, h.t)
    return first


def _rests(history: History) -> Iterator[tuple[str, float, float]]:
    """Each time that Compose has stopped a service: its name, from when, and until when."""
    since: dict[str, float] = {}
    for h in _to_rest(history):
        if h.kind == "rests":
            since[h.task] = h.t
        elif h.kind == "wakes" and h.task in since:
            yield h.task, since.pop(h.task), h.t


def _to_rest(history: History) -> Iterator[Happening]:
    """What rests, wakes and is started, as far as an agent can know: one without its state cannot tell a
    service that may have none, and that a person has stopped, from one that an earlier agent has scaled to
    none; but if all of the project was stopped it can."""
    optional = {part.name for part in history.scene.parts if not part.least}
    alone: set[str] = set()
    knows_from = 0.0
    for h in history.of("rests", "wakes", "start", "state lost", "agent up"):
        if h.kind == "state lost":
            knows_from = math.inf
            yield from (Happening(h.t, "wakes", task) for task in sorted(alone & optional))
        elif h.kind == "agent up":
            knows_from = min(knows_from, h.t + LOOKS_S * busy(history, h.t))
        elif h.kind != "rests":
            alone -= {h.task} if h.kind == "wakes" else set()
            yield h
        elif h.detail == WHOLE:
            yield h
        elif h.t > knows_from or h.task not in optional:
            alone.add(h.task)
            yield h


def _stale(history: History) -> Iterator[tuple[str, float, float]]:
    """The copies that ran with another configuration than that of the youngest of Compose's own: from when,
    and until they were told to go."""
    made_of = {h.id: h.detail["hash"] for h in history.of("about")}
    copies = {h.id for h in history.of("about") if h.detail["copy"]}
    own: dict[str, list[str]] = defaultdict(list)
    """By task, the ids of Compose's own, the youngest last."""
    runs: dict[str, str] = {}
    """The tasks of the copies that run and have not been told to go, by id."""
    since: dict[str, float] = {}
    for h in history.of("about", "there", "listed", "start", "kill", "die", "destroy", "end"):
        if h.kind == "about" and h.id not in copies:
            own[h.task].append(h.id)
        elif h.kind == "start" and h.id in copies:
            runs[h.id] = h.task
        elif h.kind == "listed":
            runs = {id: task for id, task in h.detail.items() if id in copies}
        elif h.kind == "there":
            own = defaultdict(list, {task: [id for id in ids if id in h.detail] for task, ids in own.items()})
        elif h.kind == "destroy" and h.id in own[h.task]:
            own[h.task].remove(h.id)
        if h.kind in ("kill", "die", "destroy"):
            runs.pop(h.id, None)
        old = {
            id
            for id, task in runs.items()
            if h.kind != "end" and own[task] and made_of[own[task][-1]] != made_of[id]
        }
        for id in since.keys() - old:
            yield id, since.pop(id), h.t
        since |= dict.fromkeys(old - since.keys(), h.t)


CHECKERS: tuple[Checker, ...] = (
    cap_holds,
    no_start_above_the_cap,
    minimums_hold,
    others_are_left_alone,
    down_leaves_nothing,
    what_was_stopped_rests,
    the_old_go,
    it_settles,
    it_does_not_die,
    nothing_is_left,
)
