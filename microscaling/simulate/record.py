"""Recorded loads: a CSV file with time and arrivals, or the history that a server has."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from microscaling.errors import ConfigError
from microscaling.simulate.shapes import MAX_RATE, Load
from microscaling.utils.small_file import read_small
from microscaling.utils.text import one_line, quoted

MAX_BYTES = 64 * 2**20
FORM = (
    "a CSV file has two columns: time (seconds, or a date and time), and arrivals (jobs since the last row)"
)


def recorded(path: str, rate: float) -> dict[str, Load]:
    """Returns the loads in a file, by name of the task; a CSV file has one for all, with the name "".
    `rate`: jobs per second of one container, by which the arrivals are worked out from a server's history.
    Raises ConfigError, with file and line."""
    name = one_line(path)
    try:
        data = read_small(path, MAX_BYTES)
    except ValueError as error:
        raise ConfigError(f"--load: {name}: {error}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"--load: {name}: is no text: {FORM}") from None
    if text.lstrip()[:1] == "{":
        return _history(text, name, rate)
    return {"": Load(name, lambda t: 0.0, counts=tuple(_rows(text, name)))}


def _rows(text: str, name: str) -> Iterator[tuple[float, float, int]]:
    """Yields begin, end and number of jobs of each row but the first, whose jobs came before the record."""
    before: float | None = None
    first = 0.0
    found = False
    for line, row in enumerate(csv.reader(io.StringIO(text)), 1):
        place = f"--load: {name}: line {line}"
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#"):
            continue
        if line == 1 and cells[:2] == ["time", "arrivals"]:
            continue
        if len(cells) != 2:
            raise ConfigError(f"{place}: expected time and arrivals, got {len(cells)} columns: {FORM}")
        at = _time(cells[0], place)
        count = _count(cells[1], place)
        if before is None:
            first = before = at
            continue
        if at <= before:
            raise ConfigError(
                f"{place}: its time, {cells[0]}, is not after that of the row before: sort the rows"
            )
        if count > MAX_RATE * (at - before):
            raise ConfigError(f"{place}: more than {MAX_RATE:g} jobs a second")
        yield before - first, at - first, count
        before, found = at, True
    if not found:
        raise ConfigError(f"--load: {name}: has fewer than two rows: {FORM}")


def _time(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        try:
            value = datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
        except ValueError:
            raise ConfigError(f"{place}: expected a time, got {quoted(text)}: {FORM}") from None
    if not abs(value) < 1e12:
        raise ConfigError(f"{place}: {text} is no time")
    return value


def _count(text: str, place: str) -> int:
    if not text:
        raise ConfigError(f"{place}: the number of arrivals is missing: leave the row out if it is not known")
    try:
        value = float(text)
    except ValueError:
        raise ConfigError(f"{place}: expected a number of arrivals, got {quoted(text)}") from None
    if not 0 <= value < 1e12 or value != int(value):
        raise ConfigError(f"{place}: expected a whole number of arrivals, 0 or more, got {text}")
    return int(value)


def _history(text: str, name: str, rate: float) -> dict[str, Load]:
    """Reads the answer of `GET /api/users/NAME/history`: at each time the running containers and the length
    of the queue. What came is what the queue has grown, and what was worked off."""
    form = f"--load: {name}: is no history of a server (GET /api/users/NAME/history)"
    try:
        data: Any = json.loads(text)
        part = data["full"] if data["full"]["times"] else data["coarse"]
        times = [(at - part["times"][0]) / 1000 for at in part["times"]]
        loads = {
            task: tuple(_arrivals(list(zip(times, columns["running"], columns["metric"], strict=True)), rate))
            for task, columns in part["tasks"].items()
        }
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise ConfigError(form) from None
    found = {
        task: Load(f"{name}: {task}", lambda t: 0.0, counts=rows) for task, rows in loads.items() if rows
    }
    if not found:
        raise ConfigError(f"--load: {name}: no task in it has readings")
    return found


def _arrivals(
    samples: list[tuple[float, int | None, int | None]], rate: float
) -> Iterator[tuple[float, float, int]]:
    owed = 0.0
    known = [sample for sample in samples if sample[1] is not None and sample[2] is not None]
    for (begin, running, before), (end, _, after) in itertools.pairwise(known):
        assert running is not None
        assert before is not None
        assert after is not None
        # A queue that is empty tells only that no more came than the containers could do.
        done = (
            running * rate * (end - begin)
            if before and after
            else min(before, running * rate * (end - begin))
        )
        owed += after - before + done
        count = max(0, int(owed))
        owed -= count
        if end > begin:
            yield begin, end, count
