"""Where the time goes, from the metric's change to the last container's first instruction.

    python -m scripts.bench.waterfall [--out FOLDER]

One hand-over of 8 containers, by the agent's log, the engine's events, and the containers' own word.
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import docker

from scripts.bench.engine import LABEL, MINE, Witness, clean, connect, now
from scripts.bench.ours import OurAgent, Queue, queue_app, rest_app

CAP = 10
MOVES = CAP - 2
# The first instruction of a container says when it was, in hundredths of a second since boot.
FIRST_WORD = "trap 'exit 0' TERM; cat /proc/uptime; while :; do sleep 3600 & wait $!; done"
COLOURS = ("#8b949e", "#d29922", "#2f81f7", "#a371f7", "#3fb950", "#f85149")
LEFT, WIDTH, ROW = 260, 520, 26


@dataclass(frozen=True)
class Step:
    """Something that took from `begin` to `end`, seconds after the metric changed."""

    name: str
    begin: float
    end: float


class Recorder:
    """Every event of containers of ours, as they come."""

    def __init__(self, client: docker.APIClient) -> None:
        kinds = ["create", "start", "kill", "die", "destroy"]
        self.events: list[dict[str, Any]] = []
        self._stream = client.events(
            filters={"type": "container", "event": kinds, "label": LABEL}, decode=True
        )
        self._thread = threading.Thread(target=lambda: self.events.extend(self._stream), daemon=True)
        self._thread.start()

    def times(self, kind: str, task: str, since: float) -> list[float]:
        return sorted(
            event["timeNano"] / 1e9 - since
            for event in list(self.events)
            if event["Action"] == kind
            and event["Actor"]["Attributes"][LABEL] == task
            and event["timeNano"] / 1e9 >= since
        )

    def close(self) -> None:
        self._stream.close()
        self._thread.join()


def measure(client: docker.APIClient) -> list[Step]:
    """One hand-over."""
    high, low = f"{MINE}-high", f"{MINE}-low"
    witness, recorder = Witness(client), Recorder(client)
    try:
        with tempfile.TemporaryDirectory() as folder:
            queue = Queue(Path(folder))
            app = queue_app("high", queue, CAP - 1)
            app["config"]["command"] = f"sh {folder}/first"
            app["config"]["volumes"] = [f"{folder}:{folder}:ro"]
            Path(folder, "first").write_text(FIRST_WORD)
            with OurAgent([app, rest_app("low", CAP)], CAP) as agent:
                witness.wait(**{high: 1, low: CAP - 1})
                time.sleep(3)
                began = now()
                queue.put(1000)
                witness.wait(**{high: CAP - 1, low: 1})
                time.sleep(1)
                first = _first_instructions(client, high, began)
                decided = _decided(agent.log, high) - began
    finally:
        witness.close()
        recorder.close()
    created = recorder.times("create", high, began)[:MOVES]
    asked = recorder.times("kill", low, began)[:MOVES]
    ended = recorder.times("die", low, began)[:MOVES]
    started = recorder.times("start", high, began)[:MOVES]
    return [
        Step("until the beat looks and decides", 0.0, decided),
        Step("8 created, ahead", decided, created[-1]),
        Step("8 asked to stop", decided, asked[-1]),
        Step("8 ended", asked[0], ended[-1]),
        Step("8 started, each in an empty place", ended[0], started[-1]),
        Step("8 first instructions", first[0], first[-1]),
    ]


def _first_instructions(client: docker.APIClient, task: str, began: float) -> list[float]:
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    listed = client.containers(filters={"label": f"{LABEL}={task}"})
    words = [client.logs(c["Id"]).decode().split() for c in listed]
    said = sorted(booted + float(word[0]) - began for word in words if word)
    return [at for at in said if at > -0.02]


def _decided(log: Path, task: str) -> float:
    """When the log tells of the first decision after the one at the start: seconds since 1970."""
    line = re.search(rf"^INFO (\S+): {task}: 1 -> ", log.read_text(), re.MULTILINE)
    assert line, log.read_text()
    at = datetime.time.fromisoformat(line[1])
    return datetime.datetime.combine(datetime.datetime.now().date(), at).timestamp()


def picture(steps: list[Step]) -> str:
    """The steps as bars, one below the other, as an SVG that reads well in the light and in the dark."""
    scale = WIDTH / max(step.end for step in steps)
    parts = []
    for row, (step, colour) in enumerate(zip(steps, COLOURS, strict=True)):
        y = 12 + row * ROW
        x, width = LEFT + step.begin * scale, max(2.0, (step.end - step.begin) * scale)
        parts += [
            f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(step.name)}</text>',
            f'<rect x="{x:.1f}" y="{y + 2}" width="{width:.1f}" height="{ROW - 8}" rx="3" fill="{colour}"/>',
            f'<text x="{x + width + 6:.1f}" y="{y + 14}">{1000 * step.end:.0f} ms</text>',
        ]
    height = 24 + len(steps) * ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 70}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="13">'
        "<style>text{fill:#24292f}@media(prefers-color-scheme:dark){text{fill:#e6edf3}}</style>"
        f"{''.join(parts)}</svg>\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.bench.waterfall")
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    out = parser.parse_args().out
    client = connect()
    clean(client)
    try:
        steps = measure(client)
    finally:
        clean(client)
        client.close()
    out.mkdir(parents=True, exist_ok=True)
    (out / "waterfall.svg").write_text(picture(steps))
    for step in steps:
        print(f"{1000 * step.begin:7.0f} to {1000 * step.end:5.0f} ms  {step.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
