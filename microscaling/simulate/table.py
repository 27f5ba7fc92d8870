"""The figures of simulated runs as text, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict

from microscaling.simulate.figures import Figures

HEADS = ("rule", "task", "over", "p50", "p99", "longest", "containers", "x fewest", "moves", "at cap")
EXPLAINED = """\
over: part of the time above the target, or with a job that waited longer than promised.
p50, p99, longest: waits in seconds. containers: those that ran, on average. moves: starts and stops.
fewest: the time that the jobs took on a container, divided by the time of the run. A container does one job
at a time, so no plan does with fewer, even if it knew the future."""


def as_text(found: Sequence[Figures]) -> str:
    """Returns a table with its explanation."""
    rows = [HEADS, *(_cells(each) for each in found)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADS))]
    lines = [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, "", EXPLAINED, ""])


def _cells(each: Figures) -> tuple[str, ...]:
    times = f"{each.times_fewest:.2f}" if each.fewest else "-"
    return (
        each.rule,
        each.task,
        f"{each.over:.1%}",
        f"{each.p50:.2f}",
        f"{each.p99:.2f}",
        f"{each.longest:.2f}",
        f"{each.mean:.2f}",
        times,
        str(each.moves),
        f"{each.at_cap:.1%}",
    )


def as_csv(found: Sequence[Figures]) -> str:
    """Returns one line for each task and rule, under a line of names."""
    out = io.StringIO()
    rows = [asdict(each) | {"times_fewest": each.times_fewest} for each in found]
    writer = csv.DictWriter(out, rows[0].keys() if rows else ())
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def as_json(found: Sequence[Figures]) -> str:
    """Returns a list of objects."""
    rows = [asdict(each) | {"times_fewest": each.times_fewest} for each in found]
    return json.dumps(rows, indent=2) + "\n"
