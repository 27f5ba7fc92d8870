"""`make web`: rounds of 1 to 8 containers and back behind real proxies, under a steady load.

For each proxy, and for a server that finishes its requests at SIGTERM and one that drops them, the same
rounds run with `web` and without. Writes a table in Markdown.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.integration.agents import wait_for
from tests.integration.composes import USUAL, project_on
from tests.integration.engines import host_of_the_machine
from tests.web.load import Load, Outcome
from tests.web.stage import PROXIES, Stage, Wish

MODES = ("drains", "dies")
UP_S = 1.0
"""The pause between the last copy and the way back."""


def rounds(proxy: str, mode: str, web: bool, count: int, most: int, rate: float, log: list[str]) -> Outcome:
    """Runs so many rounds; returns what became of the requests."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Wish(1) as wish,
        project_on(host_of_the_machine(), USUAL, Path(folder)) as project,
    ):
        stage = Stage(project, proxy, mode, web, wish, most)
        with stage.running() as agent:
            stage.reaches(1)
            wait_for(stage.answers, "for the first answer")
            with Load(stage.address, 80, rate) as load:
                for number in range(count):
                    began = time.monotonic()
                    wish.count = most
                    stage.reaches(most)
                    time.sleep(UP_S)
                    wish.count = 1
                    stage.reaches(1)
                    took = time.monotonic() - began
                    failed = load.outcome.words()
                    print(f"{proxy} {mode} {'web' if web else 'plain'} {number + 1}: {took:.0f} s, {failed}",
                          flush=True)  # fmt: skip
                time.sleep(UP_S)
            log += [line for line in agent.log().splitlines() if "WARNING" in line or "ERROR" in line]
            agent.stop()
    return load.outcome


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make web", description=__doc__)
    parser.add_argument("--proxy", action="append", choices=sorted(PROXIES), help="only this one")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--most", type=int, default=8)
    parser.add_argument("--rate", type=float, default=25.0, help="requests a second to each service")
    parser.add_argument("--plain-rounds", type=int, help="rounds without web (default: as with it)")
    chosen = parser.parse_args(words)
    failed = 0
    rows = ["| proxy | server | rounds | with `web`: failed of requests | without: failed of requests |",
            "|---|---|---|---|---|"]  # fmt: skip
    for proxy in chosen.proxy or PROXIES:
        plain = chosen.rounds if chosen.plain_rounds is None else chosen.plain_rounds
        found: dict[tuple[str, bool], Outcome] = {}
        log: list[str] = []

        def run(mode: str, proxy: str = proxy, plain: int = plain, log: list[str] = log,
                found: dict[tuple[str, bool], Outcome] = found) -> None:  # fmt: skip
            for web, count in ((True, chosen.rounds), (False, plain)):
                if count:
                    found[mode, web] = rounds(proxy, mode, web, count, chosen.most, chosen.rate, log)

        # Both servers at once: they are projects of their own.
        threads = [threading.Thread(target=run, args=(mode,)) for mode in MODES]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print("\n".join(log))
        for mode in MODES:
            with_web, without = found.get((mode, True)), found.get((mode, False))
            failed += with_web is None or with_web.failures
            rows.append(f"| {proxy} | {mode} | {chosen.rounds} | {_of(with_web)} | {_of(without)} |")
        print("\n".join(rows), flush=True)
    return 1 if failed else 0


def _of(outcome: Outcome | None) -> str:
    if outcome is None:
        return "not run"
    return f"{outcome.failures} of {outcome.total:,}, {outcome.late} late"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
