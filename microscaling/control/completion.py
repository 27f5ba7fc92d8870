"""Completion of the command line by the shell, with argcomplete: see docs/commands.md."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Iterable, Mapping

from microscaling.control.client import AgentError, agents

OF_TASKS = ("explain", "pause", "pin", "restart", "resume")
FILES = ("json", "yml", "yaml")
WITH_VALUE = ("-f", "--file", "--max", "--for")


def complete(
    parser: argparse.ArgumentParser, commands: Collection[str], options: Mapping[str, Collection[str]]
) -> None:
    """Answers the shell, and ends the process; without the library it offers nothing. `options`: the commands
    of each option."""
    try:
        import argcomplete
        from argcomplete.completers import FilesCompleter
    except ImportError:
        raise SystemExit(0) from None  # to go on would run the command that is still being typed

    typed = os.environ.get("COMP_LINE", "")[: _point()].split(" ")[1:]
    if typed[:1] == ["simulate"] and len(typed) > 1:  # it has a parser of its own
        from microscaling.simulate.arguments import parser as of_simulate

        os.environ["_ARGCOMPLETE"] = str(int(os.environ["_ARGCOMPLETE"]) + 1)
        argcomplete.autocomplete(of_simulate(), always_complete_options="long")

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
    # argcomplete takes the words behind an option for none of the command's.
    line = os.fsencode(_without_options(os.environ.get("COMP_LINE", "")[: _point()]))
    os.environ |= {"COMP_LINE": os.fsdecode(line), "COMP_POINT": str(len(line))}
    command = typed[0] if typed[:1] and typed[0] in commands else ""
    others = [option for option, having in options.items() if command and command not in having]
    others += ["--version"] if command else []
    argcomplete.autocomplete(parser, always_complete_options="long", exclude=others)


def _point() -> int:
    return int(os.environ.get("COMP_POINT") or 0)


def _without_options(line: str) -> str:
    """Returns a line up to the cursor without the options that stand between a command and the word that is
    being typed, and their values; as it is if that word is a value itself."""
    *words, last = line.split(" ")
    kept, takes_value = words[:1], False
    for word in words[1:]:
        if not takes_value and not word.startswith("-"):
            kept.append(word)
        takes_value = not takes_value and word in WITH_VALUE
    return line if takes_value else " ".join([*kept, last])


def _tasks() -> list[str]:
    try:
        return [task["name"] for _, told in agents(os.environ) for task in told["tasks"]]
    except AgentError:
        return []
