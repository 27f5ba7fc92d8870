#!/usr/bin/env python3
"""Puts jobs into an NSQ topic; their rate rises and falls.

NSQD_HTTP_ADDRESS (127.0.0.1:4151), TOPIC and CHANNEL (microscaling-demo), LEAST and MOST (jobs a
second, 1 and 9), PERIOD_S (seconds from one low to the next, 120).
"""

from __future__ import annotations

import math
import os
import signal
import sys
import time
import urllib.request

BEAT_S = 0.5


def rate(at_s: float, least: float, most: float, period_s: float) -> float:
    """Jobs a second at a time: a wave that starts at its low."""
    return least + (most - least) * (1 - math.cos(2 * math.pi * at_s / period_s)) / 2


class Nsqd:
    """The few things that are asked of nsqd's HTTP interface."""

    def __init__(self, address: str) -> None:
        self.address = address
        # It is on this host: whatever proxy the environment names is not for it.
        self.http = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def post(self, path: str, body: bytes = b"") -> None:
        self.http.open(f"http://{self.address}{path}", data=body, timeout=5.0).close()

    def create(self, topic: str, channel: str) -> None:
        self.post(f"/topic/create?topic={topic}")
        self.post(f"/channel/create?topic={topic}&channel={channel}")

    def publish(self, topic: str, jobs: int) -> None:
        if jobs:
            self.post(f"/mpub?topic={topic}", b"\n".join(b"job" for _ in range(jobs)))


def produce(nsqd: Nsqd, topic: str, channel: str, wave: tuple[float, float, float]) -> None:
    """Publishes until nsqd is away; raises OSError then."""
    nsqd.create(topic, channel)
    start, beat, due, said = time.monotonic(), 0, 0.0, -1
    while True:
        jobs_a_second = rate(beat * BEAT_S, *wave)
        due += jobs_a_second * BEAT_S
        nsqd.publish(topic, int(due))
        due -= int(due)
        beat += 1
        if int(beat * BEAT_S) // 10 != said:
            said = int(beat * BEAT_S) // 10
            print(f"{jobs_a_second:.0f} jobs a second", flush=True)
        time.sleep(max(0.0, start + beat * BEAT_S - time.monotonic()))


def main() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    environ = os.environ.get
    nsqd = Nsqd(environ("NSQD_HTTP_ADDRESS", "127.0.0.1:4151"))
    wave = (float(environ("LEAST", "1")), float(environ("MOST", "9")), float(environ("PERIOD_S", "120")))
    while True:
        try:
            produce(
                nsqd, environ("TOPIC", "microscaling-demo"), environ("CHANNEL", "microscaling-demo"), wave
            )
        except OSError as error:  # urllib's errors are OSErrors too
            print(f"nsqd does not answer: {error}; trying again", flush=True)
            time.sleep(1.0)


if __name__ == "__main__":
    main()
