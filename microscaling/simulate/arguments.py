"""The arguments of `microscaling simulate`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import NoReturn

from microscaling.errors import ConfigError
from microscaling.simulate.shapes import SHAPES, number
from microscaling.simulate.source import COUNTED, NUMBER
from microscaling.utils.text import quoted

MAX_SECONDS = 7 * 86400.0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"microscaling: simulate: {message}; microscaling simulate --help lists the arguments\n")


def _number(name: str, most: float, least: float = 0.0) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = number(text, name, most)
        except ConfigError as error:
            raise argparse.ArgumentTypeError(error.problems[0].partition(": ")[2]) from None
        if value < least:
            raise argparse.ArgumentTypeError(f"expected a number from {least:g} to {most:g}, got {text}")
        return value

    return read


NUMBERS = {
    "--seconds": (600.0, 1.0, MAX_SECONDS, "length of the run"),
    "--rate": (5.0, 1e-5, 10_000.0, "jobs per second of one container"),
    "--spread": (1.0, 0.0, 5.0, "deviation of the time of a job, as a part of its mean; 0: all alike"),
    "--start": (1.0, 0.0, 3600.0, "seconds until a container runs"),
    "--stop": (0.5, 0.0, 3600.0, "seconds until a container without a job ends"),
    "--age": (0.0, 0.0, 600.0, "age of the readings in seconds"),
    "--interval": (0.0, 0.0, 600.0, "seconds between two measurements of the source; 0: each beat"),
    "--promise": (None, 1e-3, 86400.0, "seconds that a job may wait, to judge rules without such a target"),
}
"""By option: the default, the least and most values, and the meaning."""
TEXTS = {
    "--load": "a CSV file with time and arrivals, the history of a server as JSON, or a shape such as "
    "step:low=5,high=40; TASK= in front of it: for that task alone; may be repeated",
    "--rule": "a rule to compare, for all tasks that measure: 'Wait maxWaitSeconds=5'; may be repeated",
}


def arguments_of(arguments: Sequence[str]) -> argparse.Namespace:
    """Parses the arguments. Ends the process: with code 0 after --help, with 2 and one line on bad ones."""
    return parser().parse_args(arguments)


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the arguments."""
    shapes = "; ".join(
        f"{name} ({meaning}: {', '.join(f'{key}={value:g}' for key, value in values.items())})"
        for name, (_, values, meaning) in SHAPES.items()
    )
    made = _Parser(
        prog="microscaling simulate",
        description="Tries a configuration on simulated queues: the real decision, in virtual time. Nothing "
        "is asked, started or stopped.",
        epilog=f"shapes, with their defaults in jobs per second and seconds: {shapes}. Example: microscaling "
        "simulate apps.yml --load step:low=5,high=40 --seconds 300",
    )
    add = made.add_argument
    add("config", metavar="CONFIG", help="the configuration, JSON or YAML")
    add("--load", action="append", required=True, metavar="[TASK=]FILE|SHAPE", help=TEXTS["--load"])
    add("--rule", action="append", default=[], metavar="RULE", help=TEXTS["--rule"])
    for name, (default, least, most, meaning) in NUMBERS.items():
        shown = meaning if default is None else f"{meaning} ({default:g})"
        add(name, type=_number(name, most, least), default=default, metavar="N", help=shown)
    add("--counts", choices=COUNTED, default=NUMBER, help="jobs that the source counts: those that wait; "
        "those at work, too; those that have come and gone as well")  # fmt: skip
    add("--cap", type=_whole, metavar="N", help="containers that all tasks share (the configuration's)")
    add("--at", type=_time, metavar="TIME", help="time of day at the beginning, in UTC, such as "
        "2026-11-30T07:55 (now): the windows of a schedule go by it")  # fmt: skip
    add("--seed", type=int, default=1, metavar="N", help="of the random numbers (1)")
    add("--format", choices=("text", "csv", "json"), default="text", help="of the table (text)")
    add("--decisions", metavar="FILE", help="write all decisions with their reasons")
    add("--picture", metavar="FILE", help="draw queues and containers, .svg or .png (extra: simulate)")
    add("--quiet", action="store_true", help="no progress bar")
    return made


def _time(text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        why = f"expected a time such as 2026-11-30T07:55, got {quoted(text)}"
        raise argparse.ArgumentTypeError(why) from None
    return (at if at.tzinfo else at.replace(tzinfo=timezone.utc)).timestamp()


def _whole(text: str) -> int:
    return int(_number("--cap", 10_000.0)(text))
