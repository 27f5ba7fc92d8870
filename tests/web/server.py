"""The web service of the tests, which runs in a container with nothing but Python.

GET /fast answers at once, /slow after two seconds, and POST /work has two seconds of work. At SIGTERM it
finishes what it has accepted (`drains`), or drops everything (`dies`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

SLOW_S = 2.0
BEGIN_S = float(os.environ.get("BEGIN_S", "0"))
open_requests = 0


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    global open_requests
    open_requests += 1
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, path, _ = head.split(" ", 2)
        lines = (line.partition(":") for line in head.split("\r\n")[1:])
        headers = {name.lower(): value.strip() for name, _, value in lines}
        await reader.readexactly(int(headers.get("content-length", "0")))
        if path in ("/slow", "/work"):
            await asyncio.sleep(SLOW_S)
        body = f"{method} {path} by {os.uname().nodename}\n".encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):  # as of a check that only connects
        pass
    finally:
        writer.close()
        open_requests -= 1


async def main(mode: str) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    # The first process of a container ignores a signal without a handler.
    loop.add_signal_handler(signal.SIGTERM, ended.set if mode == "drains" else lambda: os._exit(0))
    await asyncio.sleep(BEGIN_S)
    server = await asyncio.start_server(answer, "0.0.0.0", 80)
    await ended.wait()
    server.close()
    while open_requests:
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
