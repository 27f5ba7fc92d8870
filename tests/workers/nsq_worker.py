"""A consumer of NSQ that works on one message at a time, with the standard library only.

python3 nsq_worker.py HOST:PORT TOPIC CHANNEL LOG    the message is a number, and the seconds that it takes,
                                                     at most: all end once there is a file LOG.done

As clients do, it sends its host name (NSQ, "TCP Protocol Spec"). At SIGTERM it finishes its message.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import sys
import time

MESSAGE = 2
over = False


def end(*_: object) -> None:
    global over
    over = True


def say(sock: socket.socket, line: str, body: bytes | None = None) -> None:
    sock.sendall(line.encode() + b"\n" + (struct.pack(">l", len(body)) + body if body is not None else b""))


def exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        try:
            part = sock.recv(size - len(data))
        except TimeoutError:
            if over and not data:
                return b""
            continue
        if not part:
            raise SystemExit("nsqd has closed the connection")
        data += part
    return data


def note(path: str, line: str) -> None:
    with open(path, "a") as log:
        log.write(line + "\n")


def main(address: str, topic: str, channel: str, path: str) -> None:
    host, _, port = address.partition(":")
    sock = socket.create_connection((host, int(port)))
    sock.settimeout(0.2)
    sock.sendall(b"  V2")
    say(sock, "IDENTIFY", json.dumps({"hostname": socket.gethostname(), "client_id": "worker"}).encode())
    say(sock, f"SUB {topic} {channel}")
    say(sock, "RDY 1")
    while not over:
        size = exactly(sock, 4)
        if not size:
            break
        frame = exactly(sock, struct.unpack(">l", size)[0])
        kind, data = struct.unpack(">l", frame[:4])[0], frame[4:]
        if kind == MESSAGE:
            id, body = data[10:26].decode(), data[26:].decode()
            note(path, f"start {body}")
            until = time.monotonic() + float(body.split("-")[1])
            while time.monotonic() < until and not os.path.exists(f"{path}.done"):
                time.sleep(0.05)
            note(path, f"end {body}")
            say(sock, f"FIN {id}")
        elif data == b"_heartbeat_":
            say(sock, "NOP")
    say(sock, "CLS")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    main(*sys.argv[1:])
