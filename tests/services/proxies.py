"""Real proxies in front of a server whose requests stay open as long as a test wants."""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from tests.metric.faulty import shut
from tests.services.service import Service, ask, find, free_port


class Holding:
    """A server that answers /held when it is let go, and everything else at once."""

    def __init__(self) -> None:
        self._let_go = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = int(self._socket.getsockname()[1])
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, name="holding")
        self.held = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Holding:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()
        shut(self._socket)
        self._accepting.join()
        self._socket.close()
        self.join()

    def join(self) -> None:
        """Waits for the end of the requests that were let go."""
        while self._threads:
            self._threads.pop().join()

    def let_go(self) -> None:
        """All requests that are open get their answers."""
        self._let_go.set()
        self._let_go = threading.Event()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock, self._let_go), name="holding")
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, let_go: threading.Event) -> None:
        with contextlib.suppress(OSError), sock, sock.makefile("rb") as lines:
            held = b"/held" in lines.readline()
            while lines.readline() not in (b"", b"\r\n"):
                pass
            if held:
                with self._lock:
                    self.held += 1
                let_go.wait(60)
                with self._lock:
                    self.held -= 1
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


class Proxied(Service):
    """A proxy of the machine. `port`: where it takes requests."""

    program = ""
    config = "config"

    def __init__(self, folder: Path, upstream: int) -> None:
        super().__init__(folder)
        self.upstream = upstream
        self.way, self.admin = free_port(), free_port()
        self._open: list[http.client.HTTPConnection] = []

    def text(self) -> str:
        raise NotImplementedError

    def command(self) -> list[str]:
        (self.folder / self.config).write_text(self.text())
        self.url = f"http://127.0.0.1:{self.admin}"
        return [find(self.program), *self.words()]

    def words(self) -> list[str]:
        raise NotImplementedError

    def ready(self) -> bool:
        with contextlib.suppress(OSError):
            return ask(f"http://127.0.0.1:{self.way}/") == b"ok"
        return False

    def request(self, count: int = 1) -> None:
        """So many requests that are answered at once."""
        for _ in range(count):
            assert ask(f"http://127.0.0.1:{self.way}/") == b"ok"

    def open(self, count: int) -> None:
        """So many requests that stay open."""
        for _ in range(count):
            connection = http.client.HTTPConnection("127.0.0.1", self.way, timeout=60)
            connection.request("GET", "/held")
            self._open.append(connection)

    def finish(self, let_go: Callable[[], None]) -> None:
        """Reads the answers to all of them; `let_go` has the server answer those that it has by then."""
        while self._open:
            let_go()  # those that have waited in the proxy come only when others are done
            ready = select.select([one.sock for one in self._open], [], [], 0.05)[0]
            for connection in [one for one in self._open if one.sock in ready]:
                self._open.remove(connection)
                connection.getresponse().read()
                connection.close()


class HAProxy(Proxied):
    program = "haproxy"

    def text(self) -> str:
        self.socket_port = free_port()
        return f"""
global
    stats socket ipv4@127.0.0.1:{self.socket_port} level user
    hard-stop-after 1s
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend http
    bind 127.0.0.1:{self.way}
    default_backend web
frontend stats
    bind 127.0.0.1:{self.admin}
    stats enable
    stats uri /stats
backend web
    server one 127.0.0.1:{self.upstream} maxconn 8
"""

    def words(self) -> list[str]:
        return ["-db", "-f", str(self.folder / self.config)]


class Nginx(Proxied):
    program = "nginx"

    def text(self) -> str:
        return f"""
daemon off;
worker_processes 1;
pid {self.folder}/pid;
error_log {self.folder}/errors;
events {{}}
http {{
    access_log off;
    client_body_temp_path {self.folder}/body;
    proxy_temp_path {self.folder}/proxy;
    fastcgi_temp_path {self.folder}/fastcgi;
    uwsgi_temp_path {self.folder}/uwsgi;
    scgi_temp_path {self.folder}/scgi;
    server {{
        listen 127.0.0.1:{self.way};
        location / {{ proxy_pass http://127.0.0.1:{self.upstream}; proxy_read_timeout 60s; }}
    }}
    server {{
        listen 127.0.0.1:{self.admin};
        keepalive_requests 100000;
        location = /nginx_status {{ stub_status; }}
    }}
}}
"""

    def words(self) -> list[str]:
        return ["-c", str(self.folder / self.config), "-e", str(self.folder / "errors")]


class Caddy(Proxied):
    program = "caddy"
    host = ""
    """The host name in the address of its site, if any."""

    def text(self) -> str:
        return f"""
{{
	auto_https off
	admin off
	servers {{
		metrics
	}}
}}
http://{self.host}:{self.way} {{
	encode gzip
	reverse_proxy 127.0.0.1:{self.upstream}
}}
:{self.admin} {{
	metrics
}}
"""

    def words(self) -> list[str]:
        return ["run", "--config", str(self.folder / self.config), "--adapter", "caddyfile"]
