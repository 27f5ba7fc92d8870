"""Hands jobs to containers, which cannot share a file of SQLite: one GET, one job."""

from __future__ import annotations

import http.server
import threading

from scripts.demo.jobs import Jobs


class Dispenser:
    """`GET /take/QUEUE` on a port of this machine only, answered by all that runs on it."""

    def __init__(self, jobs: Jobs) -> None:
        handler = type("Handler", (_Handler,), {"jobs": jobs})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="demo-dispenser")

    def start(self) -> None:
        """From now on it answers."""
        self._thread.start()

    def url(self, queue: str) -> str:
        """What takes a job out of this queue."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/take/{queue}"

    def stop(self) -> None:
        """Ends, once what was asked is answered."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    jobs: Jobs
    timeout = 2.0

    def do_GET(self) -> None:
        _, take, queue = (*self.path.split("/", 2), "", "")[:3]
        if take != "take":
            self.send_error(404)
            return
        self.jobs.take(queue)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the terminal belongs to the table."""
