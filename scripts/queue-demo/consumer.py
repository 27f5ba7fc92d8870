#!/usr/bin/env python3
"""Takes jobs off an NSQ channel, one at a time, each of which takes a while.

NSQ_TCP_ADDRESS (127.0.0.1:4150), TOPIC and CHANNEL (microscaling-demo), JOB_S (seconds a job, 1).
The protocol: https://nsq.io/clients/tcp_protocol_spec.html
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
import time
from typing import BinaryIO

RESPONSE, ERROR, MESSAGE = 0, 1, 2
SILENT_S = 75.0  # nsqd asks for a sign of life every 30 s: so long without one, and the line is dead


class Ended(OSError):
    """The connection is of no use any more."""


def frame(stream: BinaryIO) -> tuple[int, bytes]:
    """The next frame: its kind, and what it holds."""
    head = stream.read(8)
    if len(head) < 8:
        raise Ended("nsqd has hung up")
    size, kind = struct.unpack(">ii", head)
    data = stream.read(size - 4)
    if len(data) < size - 4:
        raise Ended("nsqd has hung up")
    return kind, data


def consume(address: tuple[str, int], topic: str, channel: str, job_s: float) -> None:
    """Works until the connection ends; raises OSError then."""
    with socket.create_connection(address, timeout=SILENT_S) as nsqd, nsqd.makefile("rb") as stream:
        # One job in flight: what a consumer that is stopped holds goes back to the queue at once.
        nsqd.sendall(f"  V2SUB {topic} {channel}\nRDY 1\n".encode())
        print(f"taking jobs from {topic}/{channel}", flush=True)
        while True:
            kind, data = frame(stream)
            if kind == MESSAGE:
                time.sleep(job_s)
                nsqd.sendall(b"FIN " + data[10:26] + b"\n")
            elif kind == ERROR:
                raise Ended(data.decode(errors="replace"))
            elif data == b"_heartbeat_":
                nsqd.sendall(b"NOP\n")


def main() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    host, _, port = os.environ.get("NSQ_TCP_ADDRESS", "127.0.0.1:4150").rpartition(":")
    topic = os.environ.get("TOPIC", "microscaling-demo")
    channel = os.environ.get("CHANNEL", "microscaling-demo")
    while True:
        try:
            consume((host, int(port)), topic, channel, float(os.environ.get("JOB_S", "1")))
        except OSError as error:
            print(f"no jobs to be had: {error}; trying again", flush=True)
            time.sleep(1.0)


if __name__ == "__main__":
    main()
