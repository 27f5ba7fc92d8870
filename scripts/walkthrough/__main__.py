"""Walks the README and the quickstart literally, in a fresh clone inside a container with Debian's minimum.

`python -m scripts.walkthrough [processes] [containers]`, by default both: first what needs no Docker, then
what does, with the engine of this machine. `scripts/base-images bare` makes the container's image. The
clone is of the last commit.
"""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts.walkthrough import container
from scripts.walkthrough.walk import Failed, Walk

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
QUICKSTART = ROOT / "docs" / "quickstart.md"


def processes() -> None:
    """What needs no Docker, where there is none. Raises Failed."""
    with walking("processes", engine=False) as (walk, home):
        walk.section(QUICKSTART, "## Get it")
        walk.section(QUICKSTART, "## Without Docker")
        walk.starts_anew(home / "readme")
        for heading in ("## Run it", "### Without Docker", "### The demo, and the tests"):
            walk.section(README, heading)


def containers() -> None:
    """What needs Docker. Raises Failed."""
    if others := container.at_work():
        raise Failed(f"an agent is at work on this engine: {', '.join(others)}")
    with walking("containers", engine=True) as (walk, home):
        for heading in ("## Get it", "## With Docker", "## The page"):
            walk.section(QUICKSTART, heading)
        walk.starts_anew(home / "readme")
        for heading in ("## Run it", "### With Docker"):
            walk.section(README, heading)


@contextlib.contextmanager
def walking(what: str, engine: bool) -> Iterator[tuple[Walk, Path]]:
    """A reader in a bare container, and the folder where the reader begins."""
    repository = re.search(r"git clone (\S+)", README.read_text("utf-8"))
    if repository is None:
        raise Failed("the README does not say what to clone")
    port = free_port()
    with (
        tempfile.TemporaryDirectory(prefix="walk-") as folder,
        container.bare(
            f"{container.NAME}-{what}", home := Path(folder), repository[1], engine, SERVER_PORT=str(port)
        ) as name,
    ):
        walk = Walk(name, home, port)
        try:
            yield walk, home
        finally:
            walk.close()


def free_port() -> int:
    """That of the page, or another one while it is taken."""
    for port in (8000, 0):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)) as listener:
            return int(listener.getsockname()[1])
    raise Failed("no port is free")


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code."""
    for walk in arguments or WALKS:
        try:
            WALKS[walk]()
        except Failed as failed:
            print(f"FAILED: {failed}")
            return 1
    return 0


WALKS = {"processes": processes, "containers": containers}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
