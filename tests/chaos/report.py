"""What a run has come to: figures, and what was broken.

python -m tests.chaos.report FILE... makes one table, in Markdown, of the figures of several runs."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.chaos.history import Happening, History
from tests.chaos.invariants import Violation
from tests.chaos.recovery import recoveries, settlings

MAX_SHOWN = 40


def figures(history: History, violations: list[Violation], **more: Any) -> dict[str, Any]:
    """The run in numbers; times in seconds."""
    ours = Counter(h.kind for h in history.happenings if h.task and h.id)
    recovered = [took for _, took, _ in recoveries(history) if took is not None]
    loads = [h.detail for h in history.of("load")]
    settled = [took for _, took, _ in settlings(history) if took is not None]
    return {
        **more,
        "load per processor, median": _median(loads),
        "load per processor, highest": round(max(loads, default=0.0), 2),
        "cap": history.scene.cap,
        "faults": sum(1 for _ in history.faults),
        "faults by kind": dict(sorted(Counter(f.kind for f in history.faults).items())),
        "containers started": ours["start"],
        "containers ended": ours["die"],
        "decisions": sum(1 for _ in history.of("decided")),
        "readings served": sum(1 for _ in history.of("served")),
        "back-offs": sum(1 for _ in history.of("backs off")),
        "recoveries": len(recovered),
        "recovery, median": _median(recovered),
        "recovery, slowest": round(max(recovered, default=0.0), 2),
        "settlings": len(settled),
        "settling, slowest": round(max(settled, default=0.0), 2),
        "violations": [{"invariant": v.invariant, "t": v.t, "what": v.what} for v in violations],
    }


def _median(values: list[float]) -> float:
    return round(sorted(values)[len(values) // 2], 2) if values else 0.0


def told(figures: dict[str, Any]) -> str:
    """For people."""
    lines = []
    for name, value in figures.items():
        if isinstance(value, dict):
            lines += [f"{name}:", *(f"    {count:4} {kind}" for kind, count in value.items())]
        elif name != "violations":
            lines.append(f"{name}: {value}")
    return "\n".join(lines)


def told_of(history: History, violation: Violation, begin: float) -> str:
    """One violation, and the last that happened before it."""
    lines = [f"BROKEN at {violation.t - begin:.1f} s, {violation.invariant}: {violation.what}"]
    for fault in history.faults:
        if fault.begin - 1 <= violation.t <= fault.over(history.last) + 15:
            end = fault.over(history.last)
            lines.append(
                f"    fault {fault.begin - violation.t:+.2f} to {end - violation.t:+.2f} s: {fault.note}"
            )
    for h in _around(history, violation.t)[-MAX_SHOWN:]:
        what = " ".join(str(part) for part in (h.kind, h.task, h.id[:12], h.detail) if part not in ("", None))
        lines.append(f"    {h.t - violation.t:+7.2f} s {what:.160}")
    return "\n".join(lines)


def write(path: Path, figures: dict[str, Any]) -> None:
    path.write_text(json.dumps(figures, indent=2) + "\n")


def _around(history: History, t: float, before_s: float = 8, after_s: float = 3) -> list[Happening]:
    """What happened near `t`, answers of sources left out."""
    return [h for h in history.happenings if t - before_s <= h.t <= t + after_s and h.kind != "served"]


def table(runs: list[dict[str, Any]]) -> str:
    """One column a run, one row a figure and a kind of fault."""
    rows = ["| seed | " + " | ".join(str(run["seed"]) for run in runs) + " |", "|---" * (len(runs) + 1) + "|"]
    for name in runs[0]:
        if name in ("seed", "faults by kind", "most that the agent used", "violations"):
            continue
        rows.append(_row(name, [run[name] for run in runs]))
    for name in ("memory (MB)", "threads", "open files"):
        rows.append(
            _row(
                f"the agent's {name}, at most", [run["most that the agent used"].get(name, 0) for run in runs]
            )
        )
    rows.append(_row("invariants broken", [len(run["violations"]) for run in runs]))
    for kind in sorted({kind for run in runs for kind in run["faults by kind"]}):
        rows.append(_row(kind, [run["faults by kind"].get(kind, 0) for run in runs]))
    return "\n".join(rows)


def _row(name: str, values: list[Any]) -> str:
    return f"| {name} | " + " | ".join(f"{value:,}" for value in values) + " |"


if __name__ == "__main__":
    print(table([json.loads(Path(name).read_text()) for name in sys.argv[1:]]))
