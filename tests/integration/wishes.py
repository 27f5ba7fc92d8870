"""Services that get as many containers as a test wants."""

from __future__ import annotations

import http.server
import threading
from types import TracebackType


class Wishes:
    """A server with a number for each service, which the services' labels refer to."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        wishes = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = b'{"count": %d}' % wishes.counts[self.path.strip("/")]
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Wishes:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def labels(self, service: str, count: int) -> dict[str, str]:
        """The labels for a service that is to have so many, until `counts` says otherwise."""
        self.counts[service] = count
        url = f"http://127.0.0.1:{self._server.server_port}/{service}"
        return {
            "microscaling.enable": "true", "microscaling.max": "4", "microscaling.priority": "1",
            "microscaling.rule": "PerContainer", "microscaling.target": "1", "microscaling.metric": "HTTP",
            "microscaling.metric.url": url, "microscaling.metric.path": "count",
            "microscaling.idle-seconds": "0", "microscaling.scale-down-window": "0",
        }  # fmt: skip
