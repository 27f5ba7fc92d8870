"""The demo's picture in a terminal: who has the containers, now and over the last seconds, and why."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.panel import Panel
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from scripts.demo.load import rush
from scripts.demo.record import Moment, Record, Row

COLOURS = ("#ff5f5f", "#ffd75f", "#5fafff", "#87d787")
EMPTY = "grey23"
BUSY = "bright_white"
SPARKS = " ▁▂▃▄▅▆▇█"
COLUMN_S = 0.25
"""Seconds that one column of the picture stands for."""
SPARK_COLUMN_S = 0.5
SPARK_WIDTH = 24


class Screen:
    """Draws a record; `mode` says in a line or two what is scaled, `seconds` when it ends (0: never)."""

    def __init__(self, record: Record, mode: str, seconds: float) -> None:
        self.record = record
        self.mode = mode
        self.seconds = seconds

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        moments = self.record.moments
        if not moments:
            yield Text("starting")
            return
        height = options.height or console.height
        tall = height >= 30
        parts: list[RenderableType] = [
            Text(
                self.mode if "\n" in self.mode else f"{self.mode}\n",
                style="grey62",
                no_wrap=True,
                overflow="ellipsis",
            ),
            self._table(moments[-1], options.max_width),
            self._legend(options.max_width - 4),
            History(self.record, 10 if tall else 5),
        ]
        room = height - 2 - (10 if tall else 5) - 5 - len(moments[-1].rows)
        if room > 1:
            parts += [Text(), self._lines(room - 1)]
        yield Panel(
            Group(*parts),
            title=self._title(moments[-1]),
            title_align="left",
            subtitle=Text("Ctrl-C ends it and leaves nothing behind", style="grey50"),
            subtitle_align="right",
            border_style="grey42",
            height=height,
            padding=(0, 1),
        )

    def _title(self, moment: Moment) -> Text:
        clock = f"{moment.at:.0f} s" + (f" of {self.seconds:.0f}" if self.seconds else "")
        return Text.assemble(
            (" Microscaling ", "bold white"),
            (f"{moment.running} of {self.record.cap} {self.record.noun} run ", "bold"),
            (f" {clock} ", "grey62"),
        )

    def _table(self, moment: Moment, width: int) -> Table:
        wide = width >= 110
        cell = 3 if wide else 2
        table = Table(box=None, padding=(0, 2, 0, 0), expand=True, header_style="grey62", show_edge=False)
        table.add_column("", width=1, no_wrap=True)
        table.add_column("task", width=10, no_wrap=True)
        table.add_column(self.record.noun, width=self.record.cap * cell - 1, no_wrap=True)
        table.add_column("run/want", justify="right", width=8, no_wrap=True)
        table.add_column("queue/target", justify="right", width=12, no_wrap=True)
        if wide:
            table.add_column("", width=SPARK_WIDTH, no_wrap=True)
        table.add_column("", ratio=1, no_wrap=True, overflow="crop")
        for row, colour in zip(moment.rows, COLOURS, strict=False):
            spark = [self._spark(row)] if wide else []
            table.add_row(
                Text(str(row.priority), style=colour),
                Text(row.name, style=f"bold {colour}"),
                bar(row, colour, self.record.cap, cell),
                Text(f"{row.running}/{row.demand}", style="bold"),
                queue_text(row),
                *spark,
                state_text(row),
            )
        return table

    def _legend(self, width: int) -> Text:
        """Above the picture: what it shows."""
        moments = self.record.moments
        busy = rush(moments[-1].at)
        what = f"shares of the cap, last {min(moments[-1].at, (width - 4) * COLUMN_S):.0f} s"
        text = Text(f"\n{what}", style="grey62")
        mark = Text("▔▔ checkout is busy", style=BUSY if busy else "grey39")
        text.append(" " * max(1, width - len(what) - len(mark)))
        return text.append_text(mark)

    def _spark(self, row: Row) -> Text:
        """The queue over the last seconds, in steps; full is twice its target."""
        text = Text()
        if row.target is None:
            return text
        last = self.record.moments[-1].at
        for moment in sampled(self.record, last, SPARK_WIDTH, SPARK_COLUMN_S):
            found = next((r for r in moment.rows if r.name == row.name), None) if moment else None
            if found is None or found.queue is None:
                text.append(" ")
                continue
            level = min(8, round(found.queue * 4 / row.target))
            text.append(SPARKS[max(1, level)], style="red" if found.queue > row.target else "green")
        return text

    def _lines(self, most: int) -> Table:
        table = Table(box=None, padding=(0, 1, 0, 0), expand=True, show_header=False, show_edge=False)
        table.add_column(justify="right", width=5, style="grey50", no_wrap=True)
        table.add_column(width=10, no_wrap=True)
        table.add_column(width=6, no_wrap=True)
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        colour = {row.name: c for row, c in zip(self.record.moments[-1].rows, COLOURS, strict=False)}
        for line in reversed(list(self.record.lines)[-most:]):
            style = "magenta" if line.warning else colour.get(line.name, "white")
            why = Text(line.why, style="magenta" if line.warning else "grey74")
            table.add_row(
                f"{line.at:.1f}", Text(line.name, style=style), Text(line.change, style="bold"), why
            )
        return table


class History:
    """Who had which share of the cap: time runs to the right, one cell up is one container.

    In half the rows, when there is little room: a half block is one container then.
    """

    def __init__(self, record: Record, rows: int) -> None:
        self.record = record
        self.rows = rows

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(20, options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        axis = 3
        width = options.max_width - axis - 1
        cap = self.record.cap
        columns = [stack(m, cap) for m in sampled(self.record, self.record.moments[-1].at, width, COLUMN_S)]
        per_row = max(1, -(-cap // self.rows))
        grey = Style.parse("grey50")
        for top in range(cap, 0, -per_row):
            label = str(top) if (top in (cap, per_row) and per_row == 1) or top == cap else ""
            yield Segment(label.rjust(axis - 1) + " ", grey)
            for column in columns:
                yield from cells(column, top, per_row)
            yield Segment.line()
        yield Segment(" " * axis, grey)
        yield from self._time_axis(width, grey)
        yield Segment.line()

    def _time_axis(self, width: int, style: Style) -> RenderResult:
        """Marks when the load of the most important task is high."""
        last = self.record.moments[-1].at
        high = Style.parse(BUSY)
        for column in range(width):
            at = last - (width - 1 - column) * COLUMN_S
            yield Segment("▔", high) if at >= 0 and rush(at) else Segment(" ", style)


def stack(moment: Moment | None, cap: int) -> list[str]:
    """The colour of each container, from the bottom up: the most important task's first."""
    if moment is None:
        return []
    colours = [c for row, c in zip(moment.rows, COLOURS, strict=False) for _ in range(row.running)]
    return (colours + [EMPTY] * cap)[:cap]


def cells(column: list[str], top: int, per_row: int) -> RenderResult:
    """One row's part of one column of the picture."""
    if not column:
        yield Segment(" ")
    elif per_row == 1:
        yield Segment("█" if column[top - 1] != EMPTY else "·", Style.parse(column[top - 1]))
    else:
        low = column[top - per_row]
        yield Segment("▀", Style.parse(f"{column[top - 1]} on {low}"))


def sampled(record: Record, last: float, count: int, step_s: float) -> list[Moment | None]:
    """The state at `count` times that end now, `step_s` apart and at multiples of it, so that the
    picture moves in whole steps; None before the start."""
    newest = int(last / step_s)
    picked: dict[int, Moment] = {}
    for moment in reversed(record.moments):
        step = int(moment.at / step_s)
        if step <= newest - count:
            break
        picked.setdefault(step, moment)
    found: list[Moment | None] = []
    previous: Moment | None = None
    for step in range(newest - count + 1, newest + 1):
        previous = picked.get(step, previous)
        found.append(previous)
    return found


def bar(row: Row, colour: str, cap: int, cell: int) -> Text:
    """A block for each container: what runs, what is on its way, what is being stopped."""
    stays, going, coming = (
        min(row.running, row.demand),
        max(0, row.running - row.demand),
        max(0, row.demand - row.running),
    )
    blocks = [("█", colour)] * stays + [("▒", colour)] * going + [("░", colour)] * coming
    blocks += [("·", "grey35")] * (cap - len(blocks))
    gap, text = "", Text()
    for block, style in blocks:
        text.append(gap + (block * (cell - 1) if block != "·" else block.ljust(cell - 1)), style=style)
        gap = " "
    return text


def queue_text(row: Row) -> Text:
    """The queue's length against its target."""
    if row.target is None or row.queue is None:
        return Text("the rest", style="grey50")
    style = "bold red" if row.queue > row.target else "green"
    return Text.assemble((str(row.queue), style), (f"/{row.target}", "grey62"))


def state_text(row: Row) -> Text:
    """What is going on with it."""
    style = "bold magenta" if row.backing_off or row.held else "grey74"
    return Text(row.state, style=style)
