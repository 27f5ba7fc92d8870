"""The arguments of the command line, and its help."""

from __future__ import annotations

import argparse
import os
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import NoReturn

from microscaling import __version__
from microscaling.settings import variables
from microscaling.utils.text import nearest, one_line, quoted

RUN = "run"
COMMANDS = {
    RUN: "the agent, as without a command",
    "server": "the server, with its web page, for agents with MSS_CONFIG=SERVER or MSS_MONITOR=SERVER",
    "check": "looks at a configuration and all that it needs, asks every source once, and touches nothing",
    "status": "prints the tasks of the running agents: what each has, wants and reads",
    "explain": "prints all about a task, its last decisions included",
    "pause": "a task, or all, keep their containers whatever they read, or with --down have none",
    "pin": "a task gets a fixed number of containers",
    "resume": "ends pause and pin",
    "reload": "has the agents read their configurations again",
    "restart": "replaces all containers of a task, a few at a time",
    "simulate": "tries a configuration on simulated queues, and shows what the rules do",
    "schema": "prints the JSON Schema of a configuration, for editors",
}
USAGE = {
    RUN: "[-f FILE] [--max N] [--dry-run]",
    "server": "[--health]",
    "check": "[FILE] [--max N] [--strict]",
    "status": "[--json]",
    "explain": "TASK [--json]",
    "pause": "[TASK] [--down] [--for TIME]",
    "pin": "TASK NUMBER [--for TIME]",
    "resume": "[TASK]",
    "reload": "[--yes]",
    "restart": "TASK",
    "simulate": "FILE --load SHAPE",
    "schema": "",
}
"""The words and options of each command."""
EXAMPLES = """\
examples:
  microscaling -f apps.yml                               containers of the local Docker engine
  microscaling check apps.yml                            is all well? what would it decide?
  MSS_SCHEDULER=COMPOSE MSS_MAX_CONTAINERS=12 microscaling
                                                         your own Compose services, by their labels
  MSS_SCHEDULER=PROCESS microscaling -f apps.yml         local processes, without an engine
  MSS_DRY_RUN=true MSS_LOG_DEBUG=all microscaling -f apps.yml
                                                         decides and logs, and touches nothing
  microscaling --health                                  how the running agent is
  MSS_SERVER_ADDRESS=127.0.0.1:8000 microscaling server  the server"""
EXAMPLE = {
    "check": "microscaling check apps.yml --strict",
    "status": "microscaling status --json | jq '.tasks[] | [.name, .state]'",
    "explain": "microscaling explain mailer",
    "pause": "microscaling pause mailer --for 30m",
    "pin": "microscaling pin mailer 3 --for 2h",
    "resume": "microscaling resume mailer",
    "reload": "microscaling reload",
    "restart": "microscaling restart mailer",
    "schema": "microscaling schema > microscaling.schema.json",
}
"""One of each command that has a help of its own."""
OF_AGENTS = ("status", "explain", "pause", "pin", "resume", "reload", "restart")
"""Commands for agents that run."""
WORDS = {
    "check": (0, 1),
    "explain": (1, 1),
    "pause": (0, 1),
    "pin": (2, 2),
    "resume": (0, 1),
    "restart": (1, 1),
}
"""The least and the most words after a command; none after the others."""
DURATION = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]+)?[smhd])+")
PART = re.compile(r"([0-9.]+)([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "--file": (RUN, "check"),
    "--health": (RUN, "server"),
    "--dry-run": (RUN,),
    "--max": (RUN, "check"),
    "--strict": ("check",),
    "--for": ("pause", "pin"),
    "--down": ("pause",),
    "--json": ("status", "explain"),
    "--yes": ("reload",),
}
"""Option -> the commands for which it has a meaning."""
GROUPS: Mapping[str, tuple[str, ...]] = {
    "tasks": ("MSS_CONFIG",),
    "what runs them": (
        "MSS_SCHEDULER", "MSS_MAX_CONTAINERS", "MSS_PULL_IMAGES", "MSS_PASS_ENV", "MSS_ORPHANS",
        "MSS_STATE_DIR", "MSS_WARM_MEMORY", "DOCKER_", "MSS_KUBE_", "MSS_MARATHON_",
    ),
    "deciding": (
        "MSS_DEMAND_ENGINE", "MSS_K", "MSS_TU", "MSS_VEL_SAMPLES", "MSS_SCALE_DOWN_WINDOW_S",
        "MSS_EARLY_LOOKS",
    ),
    "sources": ("NSQ_", "AWS_", "AZURE_"),
    "connection to a server": ("MSS_API_", "MSS_USER_ID", "MSS_MONITOR", "MSS_SEND_METRICS_TO_API"),
    "start, end, log": (
        "MSS_DRY_RUN", "MSS_RELOAD", "MSS_ON_EXIT", "MSS_EXIT_TIMEOUT_S", "MSS_LOG_", "MSS_HEALTH_FILE",
    ),
    "watching it": ("MSS_METRICS_", "MSS_NOTIFY_", "MSS_WARN_"),
    "the server itself": ("MSS_SERVER_",),
}  # fmt: skip
"""Title -> names, or beginnings of names, of variables. The longest one that fits a variable decides."""


AS_RUN = ("start", "up", "agent", "apply", "serve")
"""Commands that people expect; the agent needs none."""
AS_FILE = ("-c", "--config", "--configuration", "--filename", "--tasks", "--apps")
AS_VARIABLE = {
    "--max-containers": "--max N, or MSS_MAX_CONTAINERS=N",
    "-v": "MSS_LOG_DEBUG=all",
    "--verbose": "MSS_LOG_DEBUG=all",
    "--debug": "MSS_LOG_DEBUG=all",
    "--port": "MSS_SERVER_ADDRESS=host:port",
    "--host": "MSS_SERVER_ADDRESS=host:port",
    "--listen": "MSS_SERVER_ADDRESS=host:port",
    "--token": "MSS_SERVER_TOKEN=...",
}
"""Options that people expect, and the variables in their place."""


class _Parser(argparse.ArgumentParser):
    """Names the argument that is probably meant in place of an unknown one."""

    def format_help(self) -> str:
        # Only now, as the names of some variables are in modules that few starts need.
        self.epilog = self.epilog or (
            f"{_commands()}\n\n{EXAMPLES}\n\n{_environment()}\n\ndocumentation: README.md and docs/"
        )
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"microscaling: {message}; microscaling --help lists the arguments\n")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the arguments: `command` (one of COMMANDS, or None: the agent), `file` (a path, or None),
    `health`, `strict`, `json`, `seconds` (of --for, or None) and `words` after the command. Ends the process
    with code 0 after --help and --version, and with 2 and one line on bad arguments."""
    given = sys.argv[1:] if arguments is None else arguments
    parser = _parser(_helped(given))
    if "_ARGCOMPLETE" in os.environ:
        # Imported only here: the shell asks, and no start does.
        from microscaling.control.completion import complete

        complete(parser, COMMANDS, OPTIONS)
    # Options may stand between a command and its words: pin mailer --for 2h 3.
    asked, unknown = parser.parse_known_intermixed_args(given)
    if unknown:
        parser.error(_unknown(unknown[0], [*OPTIONS, "--version", "--help", *COMMANDS]))
    _check(parser, asked)
    return asked


def _helped(given: Sequence[str]) -> str:
    """Returns the command whose own help is asked for; "" if it is that of all, as for the agent and the
    server, which have the variables."""
    command = given[0] if given else ""
    return command if command in EXAMPLE and {"-h", "--help"} & {*given} else ""


def _parser(command: str = "") -> _Parser:
    """Returns the parser of all arguments; with a command, one for its help."""
    parser = _Parser(
        prog="microscaling",
        usage="microscaling [run] [-f FILE] [--max N] [--dry-run]\n"
        "       microscaling check [FILE] [--strict] | status [--json] | explain TASK [--json]\n"
        "       microscaling pause [TASK] [--down] [--for 2h] | pin TASK NUMBER [--for 2h] | resume [TASK]\n"
        "       microscaling reload [--yes] | restart TASK | simulate FILE --load SHAPE\n"
        "       microscaling [server] --health | server | schema",
        description="Shares a fixed number of containers between services, by priority.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    texts = {
        "--file": "the configuration, JSON or YAML: MSS_CONFIG=FILE and MSS_CONFIG_FILE in one",
        "--health": "print the health of the agent (`server`: the server) on this machine; exit code 1 if "
        "unhealthy",
        "--dry-run": "decide and log, and touch nothing: MSS_DRY_RUN=true",
        "--max": "containers that all tasks share, in place of maxContainers of the configuration: "
        "MSS_MAX_CONTAINERS",
        "--strict": "check: exit code 3 if there is a warning",
        "--for": "pause, pin: the end, after 90s, 30m, 2h30m or 1d",
        "--down": "pause: without containers until it is resumed",
        "--json": "status, explain: JSON, an object a line",
        "--yes": "reload: also if a task goes, with MSS_RELOAD=watch",
    }
    values = {"--max": "N", "--for": "TIME", "--file": "FILE"}
    if not command:
        parser.add_argument("--version", action="version", version=f"microscaling {__version__}")
    for option, text in texts.items():
        if command and command not in OPTIONS[option]:
            continue
        names = ["-f", option] if option == "--file" else [option]
        text = text.partition(": ")[2] if command and text.startswith(OPTIONS[option]) else text
        if option in values:
            parser.add_argument(*names, metavar=values[option], help=text)
        else:
            parser.add_argument(*names, action="store_true", help=text)
    if command:
        parser.usage = f"microscaling {command} {USAGE[command]}".rstrip()
        parser.description = COMMANDS[command]
        parser.epilog = f"example: {EXAMPLE[command]}\n\nmicroscaling --help has all commands and variables"
    hidden = argparse.SUPPRESS if command else None
    parser.add_argument("command", nargs="?", help=hidden or "one of those below; without one the agent runs")
    parser.add_argument("words", nargs="*", metavar="FILE | TASK", help=hidden or "of the command")
    return parser


def _check(parser: _Parser, asked: argparse.Namespace) -> None:
    """Sorts out which command the words are for; ends the process if they do not fit together."""
    if asked.command is not None and asked.command not in COMMANDS:
        parser.error(_unknown(asked.command, COMMANDS))
    if asked.command == "simulate":  # with it in front, it has a parser of its own
        parser.error("simulate: comes first: microscaling simulate FILE --load SHAPE")
    command = asked.command or RUN
    least, most = WORDS.get(command, (0, 0))
    if len(asked.words) > most or (command == "check" and asked.words and asked.file is not None):
        # argparse cannot name what is probably meant in place of it.
        parser.error(_unknown(asked.words[min(most, len(asked.words) - 1)], [*OPTIONS, *COMMANDS]))
    if command == "pin" and len(asked.words) == 1:
        parser.error(f"pin: to how many containers? pin {one_line(asked.words[0])} NUMBER")
    if command == "pin" and len(asked.words) == 2 and not re.fullmatch("[0-9]{1,6}", asked.words[1]):
        parser.error(f"pin: expected a whole number of containers, got {quoted(asked.words[1])}")
    if len(asked.words) < least:
        parser.error(f"{command}: which task? {command} {USAGE[command]}; microscaling status lists them")
    if command == "check" and asked.words:
        asked.file = asked.words[0]
    asked.seconds = _seconds(parser, getattr(asked, "for"))
    if asked.max is not None and not re.fullmatch("[0-9]{1,6}", asked.max):
        parser.error(f"argument --max: expected a whole number of containers, got {quoted(asked.max)}")
    if asked.file == "":
        parser.error("argument -f/--file: expected a path, got an empty one")
    for option, commands_of in OPTIONS.items():
        given = getattr(asked, option[2:].replace("-", "_"))
        if given not in (None, False) and command not in commands_of:
            parser.error(f"argument {option}: has no meaning with {command}")
    if asked.health and asked.file is not None:
        parser.error("argument --file: has no meaning with --health")


def _seconds(parser: _Parser, text: str | None) -> float | None:
    """Returns a duration such as 2h in seconds."""
    if text is None:
        return None
    parts = PART.findall(text) if DURATION.fullmatch(text) else []
    seconds = sum(float(number) * SECONDS[unit] for number, unit in parts)
    if not seconds:
        parser.error(f"argument --for: expected a time such as 90s, 30m, 2h30m or 1d, got {quoted(text)}")
    return seconds


def _unknown(argument: str, known: Sequence[str] | Mapping[str, str]) -> str:
    option = argument.partition("=")[0]
    meant = nearest(argument, known)
    if argument in AS_RUN:
        hint = "; the agent needs no command: microscaling -f FILE"
    elif option in AS_FILE:
        hint = "; did you mean -f FILE?"
    elif argument.endswith((".json", ".yml", ".yaml")):
        hint = f"; did you mean -f {one_line(argument)}?"
    elif meant and option not in AS_VARIABLE:
        hint = f"; did you mean {meant}?"
    else:
        variable = _variable(option)
        hint = f"; it is a variable: {variable}" if variable else ""
    return f"unknown argument {quoted(argument)}{hint}"


def _variable(option: str) -> str:
    """Returns the variable in the place of an option, such as MSS_SCHEDULER=... for --scheduler; "" if there
    is none."""
    name = f"MSS_{option.removeprefix('--').replace('-', '_').upper()}"
    return AS_VARIABLE.get(option) or (
        f"{name}=..." if option.startswith("--") and name in variables() else ""
    )


def by_group() -> dict[str, list[str]]:
    """Returns the names of all variables by the title of their group."""
    found: dict[str, list[str]] = {title: [] for title in GROUPS}
    begins = {begin: title for title, all in GROUPS.items() for begin in all}
    for name in variables():
        found[begins[max((begin for begin in begins if name.startswith(begin)), key=len)]].append(name)
    return found


def _of_services() -> list[str]:
    from microscaling.config.services.plugin import TYPE as SERVICES

    return [variable.name for variable in SERVICES.variables]


def _commands() -> str:
    lines = ["commands:"]
    for name, meaning in COMMANDS.items():
        usage = f": {name} {USAGE[name]}" if USAGE[name] else ""
        lines += textwrap.wrap(
            f"{meaning}{usage}",
            100,
            initial_indent=f"  {name:<10}",
            subsequent_indent=" " * 12,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def _environment() -> str:
    from microscaling.scheduler.lease import LEASE

    lines = ["environment variables (defaults and meanings: docs/variables.md):"]
    of_plugins = {"your Compose services": _of_services(), "two agents": [LEASE.name]}
    for title, names in (by_group() | of_plugins).items():
        text = f"{title}: {', '.join(names)}"
        lines += textwrap.wrap(
            text, 100, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
        )
    return "\n".join(lines)
