"""The findings of a check: printed one by one, and counted."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from microscaling.log import CLEAR, COMPONENTS, masked
from microscaling.utils.finding import ERROR, OK, WARNING, Finding
from microscaling.utils.text import one_line

WIDTH = len(WARNING)
COLOURS = {OK: 32, WARNING: 33, ERROR: 31}


class Report:
    """Takes findings, and passes each to `write` as a line, with secrets masked. A finding that was there
    before is left out. `draws`: it is a terminal, whose last line shows what is waited for."""

    def __init__(self, write: Callable[[str], object], coloured: bool = False, draws: bool = False) -> None:
        self._write = write
        self._coloured = coloured
        self._draws = draws
        self._found: dict[Finding, None] = {}

    def add(self, findings: Iterable[Finding]) -> None:
        """Adds findings in their order."""
        for finding in findings:
            if finding not in self._found:
                self._found[finding] = None
                self._write((CLEAR if self._draws else "") + self._line(finding))

    def doing(self, what: str) -> None:
        """Shows what is waited for, until the next finding; "": nothing any more."""
        if self._draws:
            self._write(CLEAR + one_line(masked(what))[: shutil.get_terminal_size().columns - 1])

    def has(self, level: str) -> bool:
        """Returns whether there is a finding of this level."""
        return any(finding.level == level for finding in self._found)

    @contextmanager
    def of_the_log(self) -> Iterator[None]:
        """Makes findings of the warnings and errors that the agent would log at its start."""
        # The agent's own checks are its log's warnings: so `check` can lack none of them.
        handler = _Warnings(self)
        root = logging.getLogger()
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)

    def _line(self, finding: Finding) -> str:
        level = f"{finding.level:{WIDTH}}"
        if self._coloured:
            level = f"\x1b[{COLOURS[finding.level]}m{level}\x1b[0m"
        return f"{level}  {one_line(masked(finding.text))}\n"


class _Warnings(logging.Handler):
    def __init__(self, report: Report) -> None:
        super().__init__(logging.WARNING)
        self.report = report

    def emit(self, record: logging.LogRecord) -> None:
        # Libraries log problems that are none for the agent, such as a retry.
        if record.name in COMPONENTS:
            level = WARNING if record.levelno < logging.ERROR else ERROR
            self.report.add([Finding(level, record.getMessage())])
