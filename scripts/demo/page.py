"""The demo in a browser: a server of its own for as long as it runs, if that is installed."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import socket
import sys
import threading
import urllib.request
import webbrowser
from typing import TYPE_CHECKING

from microscaling.errors import ConfigError
from microscaling.settings import Settings

if TYPE_CHECKING:
    from microscaling.server.serve import Server

NEEDED = ("orjson", "starlette", "uvicorn", "websockets")
ADDRESSES = ("127.0.0.1:8000", "127.0.0.1:0")
"""The usual one, else any that is free."""
USER = "demo"
ANSWER_S, STOP_S = 10.0, 10.0


class Page(threading.Thread):
    """The server, in a thread: it ends with the demo, however that ends. `address` is for agents, `url`
    for people."""

    def __init__(self, server: Server, listener: socket.socket) -> None:
        super().__init__(name="demo-page", daemon=True)
        self.server = server
        self.listener = listener
        self.address = "{}:{}".format(*listener.getsockname())
        self.url = f"http://{self.address}/?user={USER}"

    def run(self) -> None:
        self.server.run(sockets=[self.listener])

    def show(self, configuration: str) -> None:
        """Tells the server what the agent's tasks are, and opens a browser where there is a desktop."""
        with contextlib.suppress(OSError, ValueError):
            version = self._ask("GET", "config")["version"]
            self._ask("PUT", "config", {"version": version, "config": json.loads(configuration)})
            self._ask("PUT", "mode", {"mode": "off"})
        desktop = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        if desktop and sys.stdout.isatty():
            webbrowser.open(self.url)

    def close(self) -> None:
        """Lets go of whoever looks."""
        self.server.should_exit = True
        self.join(STOP_S)
        self.listener.close()

    def _ask(self, method: str, what: str, body: object = None) -> dict[str, int]:
        """Without the proxies of the environment: it is on this machine."""
        url = f"http://{self.address}/api/users/{USER}/{what}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=ANSWER_S) as answer:
            answered: dict[str, int] = json.load(answer)
        return answered


def start(folder: str) -> Page | None:
    """The page, or None if the extra `server` is not installed; what it keeps goes into the folder."""
    if not all(map(importlib.util.find_spec, NEEDED)):
        return None
    from microscaling.server import serve

    store = os.path.join(folder, "server.db")
    for address in ADDRESSES:
        settings = Settings(server_address=address, server_store=store, user_id=USER)
        try:
            listener = serve.listen(settings)
        except ConfigError:
            continue
        page = Page(serve.make_server(settings, {}), listener)
        listener.listen()  # so that whoever comes before the thread has begun waits for it
        page.start()
        return page
    return None
