"""How long a queue that jumps waits for the decision: TOY containers, one NSQ, at any point of the beat."""

from __future__ import annotations

import json
import queue
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.bench.agent import NSQ
from scripts.bench.ours import ROOT, compiled, environment

FULL, EMPTY = 5000, 0
MOST = 9
WITHIN_S = 10.0
REST_S = 1.5
"""After the queue is empty again, so that all is at rest; and up to a beat more, by chance."""


class Agent:
    """An agent that has begun, and the times of its decisions."""

    def __init__(self, tree: Path, nsq: NSQ) -> None:
        self.nsq = nsq
        app = {
            "name": "web", "priority": 1, "minContainers": 1, "maxContainers": MOST, "ruleType": "Queue",
            "metricType": "NSQ",
            "config": {"topicName": "t0", "channelName": "c", "targetQueueLength": 50},
        }  # fmt: skip
        data = json.dumps({"maxContainers": MOST, "apps": [app]})
        toy = {"MSS_SCHEDULER": "TOY", "MSS_CONFIG": "ENVVAR", "MSS_CONFIG_DATA": data, "MSS_MONITOR": "none"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "microscaling"],
            cwd=compiled(tree),
            env={**environment(), **toy, "NSQ_STATS_ENDPOINT": nsq.endpoint},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.decided: queue.Queue[tuple[float, int]] = queue.Queue()
        """Time, and the containers then."""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            if "web: " in line and " -> " in line:
                self.decided.put((time.monotonic(), int(line.partition(" -> ")[2].split()[0])))

    def jump(self) -> float:
        """Seconds from a jump of the queue to the decision about it; afterwards the queue is empty again."""
        time.sleep(REST_S + 0.5 * random.random())  # nosec: any point of the beat
        while not self.decided.empty():
            self.decided.get()
        began = time.monotonic()
        self.nsq.depth(FULL)
        at, _ = self.decided.get(timeout=WITHIN_S)
        self.nsq.depth(EMPTY)
        while self.decided.get(timeout=WITHIN_S)[1] > 1:
            pass
        return at - began


@contextmanager
def running(tree: Path) -> Iterator[Agent]:
    """An agent of the sources in a folder; leaving the block stops it."""
    with NSQ(1) as nsq:
        nsq.depth(EMPTY)
        agent = Agent(tree, nsq)
        try:
            agent.decided.get(timeout=60)
            yield agent
        finally:
            agent.process.terminate()
            agent.process.wait(60)


def waits_s(builds: dict[str, Path], rounds: int) -> dict[str, list[float]]:
    """Seconds of so many jumps by build, one build after the other."""
    found: dict[str, list[float]] = {who: [] for who in builds}
    for who, tree in builds.items():
        with running(tree) as agent:
            agent.jump()  # the first one warms up
            found[who] = [agent.jump() for _ in range(rounds)]
    return found


if __name__ == "__main__":
    print(waits_s({"ours": ROOT}, 10))
