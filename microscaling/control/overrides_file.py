"""The file in which agents keep the pauses and pins of tasks, for the next agent."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from microscaling.demand.override import LAST, MAX_CONTAINERS, Override

LOCK_WAIT_S = 1.0


class OverridesFile:
    """Agents with tasks of one source share it: each changes only the entries that it has changed itself."""

    def __init__(self, path: str) -> None:
        self.path = path

    def read(self) -> dict[str, Override]:
        """Returns the overrides by task. Raises FileNotFoundError if nothing is kept, other OSErrors, and
        ValueError for a file that is none of ours."""
        with open(self.path, encoding="utf-8") as file:
            try:
                told: Any = json.load(file)
            except RecursionError:
                raise ValueError("nested too deeply") from None
        if not isinstance(told, dict):
            raise ValueError("is no object")
        return {name: _override(each) for name, each in told.items()}

    def change(self, put: Mapping[str, Override], ended: Collection[str]) -> None:
        """Puts some entries, and removes others. Raises OSError."""
        folder = os.path.dirname(self.path)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with _locked(folder):
            try:
                kept = self.read()
            except (FileNotFoundError, ValueError):
                kept = {}
            kept = {name: override for name, override in kept.items() if name not in ended} | {**put}
            if not kept:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.path)
                return
            # Whole or not at all: a file that is cut off would unpin everything.
            new = f"{self.path}.new"
            with open(new, "w", encoding="utf-8") as file:
                json.dump({name: asdict(override) for name, override in kept.items()}, file)
            os.replace(new, self.path)


def _override(told: Any) -> Override:
    """Returns the override of an entry. Raises ValueError: a bad one must not reach a decision."""
    try:
        found = Override(**told)
    except TypeError as error:
        raise ValueError(str(error)) from None
    count, until = found.containers, found.until
    # To Python, true is a whole number as well.
    if count is not None and not (type(count) is int and 0 <= count <= MAX_CONTAINERS):
        raise ValueError("containers is no number of them")
    if until is not None and not (type(until) in (int, float) and 0 <= until <= LAST):
        raise ValueError("until is no time")
    if found.down not in (True, False) or (found.down and count != 0):
        raise ValueError("down is not true or false, or containers is not 0")
    return found


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Keeps other agents from changing the file meanwhile. Raises OSError if one does not let it go."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # It is held for a moment only, but by an agent that is frozen just then without an end.
                if time.monotonic() > deadline:
                    raise OSError(f"{folder} is locked by another process") from None
                time.sleep(0.02)
        yield
    finally:
        os.close(fd)
