"""How the demo is shown: a live table in a terminal, lines anywhere else."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator

from scripts.demo.record import Record

SAY_S = 1.0


def choose(
    record: Record, head: str, seconds: float
) -> contextlib.AbstractContextManager[Callable[[], None]]:
    """The table if somebody looks at a terminal that can show it; it lives of its colours."""
    dumb = os.environ.get("TERM", "dumb") == "dumb" or os.environ.get("NO_COLOR")
    if sys.stdout.isatty() and not dumb and importlib.util.find_spec("rich"):
        return table(record, head, seconds)
    return plain(record, head)


@contextlib.contextmanager
def table(record: Record, head: str, seconds: float) -> Iterator[Callable[[], None]]:
    """Draws anew at every look, and leaves the last picture standing."""
    from rich.console import Console
    from rich.live import EventHub

    from scripts.demo.screen import Screen

    console = Console()
    screen = Screen(record, head, seconds)
    with EventHub(screen, console=console, screen=True, auto_refresh=False) as live:
        yield live.refresh
    console.print(screen)


@contextlib.contextmanager
def plain(record: Record, head: str) -> Iterator[Callable[[], None]]:
    """A line a second, and one for every decision and warning."""
    print(head, flush=True)
    told, due = 0, 0.0

    def tell() -> None:
        nonlocal told, due
        for line in record.lines[told:]:
            print(f"{line.at:5.1f} s  {f'{line.name} {line.change}'.strip()}: {line.why}")
        told = len(record.lines)
        moment = record.moments[-1]
        if moment.at >= due:
            due = moment.at + SAY_S
            tasks = "  ".join(
                f"{row.name} {row.running}/{row.demand}"
                + (f" (queue {row.queue}/{row.target})" if row.target is not None else "")
                + (f" {row.state}" if row.state else "")
                for row in moment.rows
            )
            print(f"{moment.at:5.1f} s  {tasks}  in all {moment.running}/{record.cap}", flush=True)

    yield tell
