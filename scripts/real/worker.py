"""A worker in a container: takes messages of NSQ one at a time, and works as long as it is told, at random.

    python worker.py HOST:PORT TOPIC CHANNEL SECONDS FOLDER [START_SECONDS [READY_FILE]]

A start takes START_SECONDS, as with a program that has much to load. With READY_FILE the worker writes that
file then, and waits for SIGCONT before it connects.

Writes the times of each job to a file of its own in FOLDER: when it was published (the message says it), when
it was taken, and when it was done. Runs alone, with nothing but the standard library.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import struct
import sys
import time
import uuid


def load(seconds: str = "0", ready: str = "") -> None:
    """Takes as long to start as it is told, and waits until it may connect."""
    going = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGCONT, lambda *_: going.append(True))
    time.sleep(float(seconds))
    if ready:
        with open(ready, "w", encoding="ascii"):
            pass
        while not going:
            time.sleep(0.01)


class Worker:
    """Ends on SIGTERM: at once if it has no job, else after it."""

    def __init__(self, address: str, topic: str, channel: str) -> None:
        host, _, port = address.rpartition(":")
        self.over = self.closing = False
        self.busy = True
        # First of all, as the kernel ignores a signal that the first process of a container does not handle.
        signal.signal(signal.SIGTERM, self.stop)
        self.connection = socket.create_connection((host, int(port)))
        self.connection.sendall(b"  V2" + f"SUB {topic} {channel}\nRDY 1\n".encode())
        self.busy = False
        if self.over:
            self.close()

    def stop(self, *_: object) -> None:
        self.over = True
        if not self.busy:
            self.close()

    def close(self) -> None:
        """Asks for the end of the subscription."""
        # A message on its way to a worker that is gone would wait for a minute before another one gets it.
        if not self.closing:
            self.closing = True
            self.connection.sendall(b"CLS\n")

    def read(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            part = self.connection.recv(count - len(found))
            if not part:
                sys.exit("nsqd is gone")
            found += part
        return found

    def work(self, seconds: float, file: str) -> None:
        """Works until it is stopped. `seconds`: the mean time of a job."""
        with open(file, "w", encoding="ascii", buffering=1) as log:
            while True:
                (size,) = struct.unpack(">i", self.read(4))
                frame = self.read(size)
                if frame[4:] == b"CLOSE_WAIT":
                    return
                if frame[4:] == b"_heartbeat_":
                    self.connection.sendall(b"NOP\n")
                if frame[:4] != struct.pack(">i", 2):  # no message
                    continue
                self.busy, taken = True, time.time()
                message, body = frame[14:30], frame[30:].decode()
                time.sleep(random.expovariate(1 / seconds))
                log.write(f"{body} {taken:.4f} {time.time():.4f}\n")
                self.connection.sendall((b"RDY 0\n" if self.over else b"") + b"FIN " + message + b"\n")
                self.busy = False
                if self.over:
                    self.close()


if __name__ == "__main__":
    address, topic, channel, seconds, folder = sys.argv[1:6]
    load(*sys.argv[6:])
    Worker(address, topic, channel).work(float(seconds), os.path.join(folder, f"{uuid.uuid4().hex}.txt"))
