"""The command `microscaling simulate`: a configuration, tried on simulated queues."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from microscaling.config.file import FileConfig
from microscaling.demand.task import Task
from microscaling.errors import ConfigError
from microscaling.settings import Settings
from microscaling.simulate.arguments import arguments_of
from microscaling.simulate.figures import Figures, figures
from microscaling.simulate.picture import check_ending, draw
from microscaling.simulate.record import recorded
from microscaling.simulate.rules import with_rule
from microscaling.simulate.shapes import SHAPES, Load, shape
from microscaling.simulate.simulation import Run, World, simulate
from microscaling.simulate.table import as_csv, as_json, as_text
from microscaling.utils.text import quoted

AS_CONFIGURED = "as configured"


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Simulates, prints the table, and writes the files that are asked for. Returns the exit code. Raises
    ConfigError."""
    asked = arguments_of(arguments)
    if asked.picture:
        check_ending(asked.picture)
    settings = replace(Settings.from_env(environ), config_file=asked.config)
    world = World(
        seconds=asked.seconds,
        rate=asked.rate,
        spread=asked.spread,
        start_s=asked.start,
        stop_s=asked.stop,
        reading_age_s=asked.age,
        reading_interval_s=asked.interval,
        counts=asked.counts,
        seed=asked.seed,
        begins=time.time() if asked.at is None else asked.at,
    )
    runs: list[tuple[str, Run]] = []
    found: list[Figures] = []
    for rule in (AS_CONFIGURED, *asked.rule):
        # Read anew for each rule, as a run changes its tasks.
        tasks, cap = FileConfig(settings).get_apps("")
        if rule != AS_CONFIGURED:
            with_rule(tasks, rule, settings)
        cap = cap if asked.cap is None else asked.cap
        loads = _loads(tasks, asked.load, world.rate)
        window_s = settings.scale_down_window_s
        run = simulate(tasks, cap, loads, world, window_s, told=_progress(rule, asked.quiet))
        runs.append((rule, run))
        found += figures(run, rule, world.seconds, asked.promise)
    sys.stdout.write({"text": as_text, "csv": as_csv, "json": as_json}[asked.format](found))
    if asked.decisions:
        _write(asked.decisions, runs)
    if asked.picture:
        draw(runs, asked.picture)
    return 0


def _loads(tasks: Sequence[Task], texts: Sequence[str], rate: float) -> dict[str, Load]:
    """Returns the load of each task: of a text such as `mailer=sine`, for that task alone. Raises
    ConfigError."""
    names = {task.name for task in tasks if not task.is_remainder()}
    if not names:
        raise ConfigError("no task in the configuration measures a queue: there is nothing to simulate")
    loads: dict[str, Load] = {}
    for text in texts:
        name, sign, rest = text.partition("=")
        single = bool(sign) and name in names
        if sign and not single and name.partition(":")[0] not in SHAPES and not os.path.exists(text):
            raise ConfigError(f"--load: no task {quoted(name)} measures a queue")
        found = _load(rest if single else text, rate)
        for task in [name] if single else names:
            load = found.get("") or found.get(task)
            if load is not None and (single or task not in loads):
                loads[task] = load
    missing = sorted(names - loads.keys())
    if missing:
        raise ConfigError(f"--load: task {quoted(missing[0])} has none")
    return loads


def _load(text: str, rate: float) -> dict[str, Load]:
    if text.partition(":")[0] in SHAPES:
        return {"": shape(text)}
    # A name with an ending, or a folder in it, is meant for a file.
    if os.path.exists(text) or "/" in text or "." in text.partition(":")[0]:
        return recorded(text, rate)
    return {"": shape(text)}


def _progress(rule: str, quiet: bool) -> Callable[[float], None]:
    """Returns a function that shows how much is done, on a terminal."""
    if quiet or not sys.stderr.isatty():
        return lambda part: None

    def show(part: float) -> None:
        bar = "#" * round(part * 30)
        sys.stderr.write(f"\r{rule}: [{bar:30s}] {part:4.0%}" if part < 1 else "\r\x1b[K")
        sys.stderr.flush()

    return show


def _write(path: str, runs: Sequence[tuple[str, Run]]) -> None:
    """Writes all decisions with their reasons, one in a line."""
    lines = [
        f"{at:.1f}\t{rule}\t{name}\t{before} -> {after}\t{reason}\n"
        for rule, run in runs
        for at, name, before, after, reason in run.decisions
    ]
    try:
        Path(path).write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--decisions: {path}: cannot be written: {error.strerror}") from None
