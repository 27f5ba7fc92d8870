"""Does what a page says: types its commands, looks for what it shows, presses Ctrl-C where it says so."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Iterable
from pathlib import Path

from scripts.walkthrough.container import NAME, SOCKET, TASK, TASKS
from scripts.walkthrough.page import Code, Text, read
from scripts.walkthrough.terminal import Failed, Terminal

SECONDS = 600.0
"""For one command."""
STAYS = {
    r"microscaling -f tasks.yaml$": r"bulk: 0 -> 6 ",
    r"docker.compose up --build": r"urgent: queue 0 at|checkout: \d+ -> \d+ ",
    r"make demo": r"queue \d+/\d+",
}
"""Commands that stay in the foreground -> the sign that they are at work."""
LEADS_TO = {r"add\.py urgent": r"gives \d to urgent"}
"""Commands in the second terminal -> what the first one shows then."""
PAGE = "http://127.0.0.1:8000/"
LEFT = (
    r"! grep -lsE 'w[o]rker\.py|microscalin[g]' /proc/[0-9]*/cmdline",
    f"[ ! -S {SOCKET} ] || ! docker ps --format '{{{{.Label \"{TASK}\"}}}}' | grep -xE '{'|'.join(TASKS)}'",
    f'[ ! -S {SOCKET} ] || [ -z "$(docker ps -q --filter label=com.docker.compose.project={NAME})" ]',
)
"""True once nothing is left of what was ended."""
GAVE_UP = re.compile(r"^(?:\x1b\[\d+m)?ERROR(?:\x1b\[0m)?: (?:for \S+ +)?No such container: ", re.MULTILINE)
NOT_WALKED = {"make test": "CI runs it"}


class Walk:
    """A reader at two terminals, who does what the sections of a page say."""

    def __init__(self, container: str, home: Path, port: int) -> None:
        self._container = container
        self._home = home
        self._port = port
        self._first = Terminal(container, str(home))
        self._second: Terminal | None = None
        self._stays = False
        self._compose = "docker compose"

    def section(self, page: Path, heading: str) -> None:
        """Raises Failed."""
        for part in read(page, heading):
            if isinstance(part, Text):
                self._heed(part.words)
            elif part.language == "sh":
                self._type(part.commands())
            elif part.language == "text":
                self._compare(part)
        if self._stays:
            raise Failed(f"{page.name}, {heading}: it does not say how to end it")

    def starts_anew(self, home: Path) -> None:
        """Goes on in another folder, as if it were home."""
        home.mkdir()
        self._home = home
        self._first.close()
        self._first = Terminal(self._container, str(home))

    def close(self) -> None:
        """Closes the terminals."""
        for terminal in filter(None, (self._first, self._second)):
            terminal.close()

    def _heed(self, words: str) -> None:
        """Does what the text between blocks says."""
        for command in re.findall(r"`(apt install [^`]+)`", words):
            self._run(self._first, f"{command} -y")
        if self._stays and PAGE in words:
            _open(f"http://127.0.0.1:{self._port}/")
        if self._stays and "Ctrl-C" in words:
            _say("Ctrl-C")
            shown = self._first.interrupt(SECONDS)
            self._stays = False
            if gave_up(shown):
                self._run(self._first, f"{self._compose} down")
            for left in LEFT:
                self._run(self._first, left)
        if "folder of the clone" in words:
            self._first.close()
            self._first = Terminal(self._container, f"{self._home}/microscaling")
        if "second terminal" in words:
            self._second = Terminal(self._container, str(self._home))

    def _type(self, commands: Iterable[str]) -> None:
        for command in commands:
            words = command.partition("  #")[0].rstrip()
            stays = next((sign for form, sign in STAYS.items() if re.search(form, words)), None)
            if words in NOT_WALKED:
                continue
            command = self._as_it_is_here(command)
            if stays:
                _say(command)
                self._first.type(command)
                self._first.shows(stays, SECONDS)
                self._stays = True
            elif self._stays:
                if self._second is None:
                    raise Failed(f"{command}: where to type it, as the first terminal is busy?")
                self._run(self._second, command)
                for form, sign in LEADS_TO.items():
                    if re.search(form, words):
                        self._first.shows(sign, SECONDS)
            else:
                self._run(self._first, command)

    def _run(self, terminal: Terminal, command: str) -> None:
        _say(command)
        terminal.type(command)
        if code := terminal.returns(SECONDS):
            raise Failed(f"{command}: exit code {code}:\n{terminal.screen[-3000:]}")

    def _as_it_is_here(self, command: str) -> str:
        """`docker-compose` in place of `docker compose` where that is not there, as the page says."""
        if "docker compose" in command and self._compose == "docker compose":
            probe = Terminal(self._container, str(self._home))
            probe.type("docker compose version")
            if probe.returns(60):
                self._compose = "docker-compose"
            probe.close()
        return command.replace("docker compose", self._compose)

    def _compare(self, code: Code) -> None:
        """The lines of a log, whatever the numbers in them."""
        for line in code.lines:
            said = re.escape(line.partition(": ")[2])
            self._first.shows(re.sub(r"\d+", r"\\d+", said), SECONDS)


def gave_up(shown: str) -> bool:
    """Whether Ctrl-C met a copy that was just going, after which Compose 1.29 leaves others as they are.

    Page and compose file say what to do then: docs/compose.md, "Living with Compose".
    """
    return GAVE_UP.search(shown) is not None


def _open(page: str) -> None:
    """Raises OSError if there is none."""
    _say(page)
    with urllib.request.urlopen(page, timeout=60) as answer:
        if b"<title>" not in answer.read():
            raise Failed(f"{page} is no page")


def _say(command: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {command}", flush=True)
