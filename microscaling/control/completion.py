"""Completion of the command line by the shell, with argcomplete: see docs/commands.md."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable

from microscaling.control.client import AgentError, agents

OF_TASKS = ("explain", "pause", "pin", "resume")
FILES = ("json", "yml", "yaml")


def complete(parser: argparse.ArgumentParser, commands: Iterable[str]) -> None:
    """Answers the shell, and ends the process; without the library it offers nothing."""
    try:
        import argcomplete
        from argcomplete.completers import FilesCompleter
    except ImportError:
        raise SystemExit(0) from None  # to go on would run the command that is still being typed

    def words(prefix: str, parsed_args: argparse.Namespace, **_: object) -> Iterable[str]:
        if parsed_args.command == "check":
            return list(FilesCompleter(FILES)(prefix))
        # The number of `pin` is for a person to give.
        is_first = not parsed_args.words
        return _tasks() if parsed_args.command in OF_TASKS and is_first else []

    for action in parser._actions:
        if action.dest == "command":
            action.completer = lambda **_: list(commands)  # type: ignore[attr-defined]
        elif action.dest == "words":
            action.completer = words  # type: ignore[attr-defined]
        elif action.dest == "file":
            action.completer = FilesCompleter(FILES)  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser, always_complete_options="long")


def _tasks() -> list[str]:
    try:
        return [task["name"] for _, told in agents(os.environ) for task in told["tasks"]]
    except AgentError:
        return []
