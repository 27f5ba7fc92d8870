"""How long it takes until all is well again."""

from __future__ import annotations

from tests.chaos.excuses import backs_off, busy, spans
from tests.chaos.history import History, State, states


def recoveries(history: History) -> list[tuple[float, float | None, str]]:
    """For each time that faults were over: when, how long it took until all minimums ran, and went on
    to, and nothing of the cap was unused (None: until the next faults it was not), and what was amiss."""
    found = []
    for calm, until in spans(history, "calm", ("disturbed", "end", "agent down", "agent died")):
        took, amiss = _well_after(history, calm, until)
        if took is not None or until - calm >= history.scene.recovers_s * busy(history, calm):
            found.append((calm, took, amiss))
    return found


def _well_after(history: History, calm: float, until: float) -> tuple[float | None, str]:
    looked_at = [s for s in states(history) if s.until > calm and s.t < until]
    well, amiss = None, "nothing is known of what runs"
    for state in reversed(looked_at):
        t = max(calm, state.t)
        low = _low(history, state, t) if state.known else "nothing is known of what runs"
        unused = _unused(history, state, t)
        if low:
            amiss = amiss if well is not None else low
            break
        if not unused:
            well = t - calm
        elif well is None:
            amiss = f"{unused} places are not used"
    return well, "" if well is not None else amiss


def _low(history: History, state: State, t: float) -> str:
    """What is below its minimum, and does not back off."""
    return ", ".join(
        f"{part.name} has {state.count(part.name)} of at least {part.least}"
        for part in history.scene.parts
        if state.count(part.name) < part.least and not backs_off(history, part.name, t)
    )


def _unused(history: History, state: State, t: float) -> int:
    """The places that somebody could use; one that backs off may be about to be tried."""
    backing_off = sum(1 for part in history.scene.parts if backs_off(history, part.name, t))
    return max(0, history.scene.cap - history.scene.spare - len(state.running) - backing_off)


def settlings(history: History) -> list[tuple[float, float | None, str]]:
    """For each time that queues stood still for long enough: when, how long it took until the shares
    were as they should be (None: they were not), and what they were instead."""
    looked_at, parts = states(history), history.scene.parts
    found = []
    for begin, until in spans(history, "steady", ("moving", "disturbed", "end", "agent down")):
        wanted = next(h.detail for h in history.of("steady") if h.t == begin)
        if any(backs_off(history, part.name, t) for part in parts for t in (begin, until)):
            continue
        took, counts = None, {}
        for state in looked_at:
            if state.known and state.until > begin and state.t < until:
                counts = {part.name: state.count(part.name) for part in parts}
                if counts == wanted:
                    took = max(0.0, state.t - begin)
                    break
        if took is not None or until - begin >= history.scene.settles_s * busy(history, begin):
            found.append((begin, took, f"{counts}, not {wanted}"))
    return found
