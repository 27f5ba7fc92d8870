"""A server of numbers, which metrics of the type HTTP read."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Callable
from types import TracebackType


class Numbers:
    """Answers a GET of /NAME with the number of that name, as JSON, within its `with` block.

    `number_of` returns it; without that, the numbers are those in `counts`.
    """

    def __init__(self, number_of: Callable[[str], int] | None = None) -> None:
        self.counts: dict[str, int] = {}
        answer = number_of or (lambda name: self.counts[name])

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = b"%d" % answer(self.path.strip("/"))
                with contextlib.suppress(ConnectionError):  # an agent that was killed meanwhile
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Numbers:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, name: str) -> str:
        """The address of a number."""
        return f"http://127.0.0.1:{self._server.server_port}/{name}"

    def labels(self, service: str, count: int, **more: str) -> dict[str, str]:
        """The labels of a service of Compose that is to have so many containers, until `counts` says
        otherwise."""
        self.counts[service] = count
        own = {
            "enable": "true", "max": "4", "priority": "1", "rule": "PerContainer", "target": "1",
            "metric": "HTTP", "metric.url": self.url(service), "idle-seconds": "0", "scale-down-window": "0",
            **more,
        }  # fmt: skip
        return {f"microscaling.{key}": text for key, text in own.items()}
