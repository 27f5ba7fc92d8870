"""A real RabbitMQ, with its management API."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.error import URLError

from tests.services.service import Service, ask, find, free_port, give_up

BASIC = "Basic " + b64encode(b"guest:guest").decode()
LAUNCHER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""The one in the PATH becomes the user rabbitmq, and then may not write into our folder."""


class RabbitMQ(Service):
    end_with = signal.SIGKILL  # asked nicely it takes its time, and nobody wants what it holds

    def __enter__(self) -> Any:
        try:
            return super().__enter__()
        except AssertionError:
            # It is slow to start, and meanwhile another test's server may have taken one of its four ports.
            return super().__enter__()

    def command(self) -> list[str]:
        if not LAUNCHER.exists():
            give_up("there is no RabbitMQ of Debian's here")
        self.epmd = find("epmd")
        self.url = f"http://127.0.0.1:{free_port()}"
        self.names = free_port()
        broker = f"127.0.0.1:{free_port()}"
        self.amqp = f"amqp://guest:guest@{broker}//"
        listeners = {
            "listeners.tcp.default": broker,
            "management.tcp.ip": "127.0.0.1",
            "management.tcp.port": self.port,
        }
        lines = [f"{name} = {value}\n" for name, value in listeners.items()]
        (self.folder / "rabbitmq.conf").write_text("".join(lines))
        (self.folder / "plugins").write_text("[rabbitmq_management].\n")
        return [str(LAUNCHER)]

    def environment(self) -> dict[str, str]:
        return {
            "RABBITMQ_NODENAME": f"test{self.names}@localhost",
            "RABBITMQ_DIST_PORT": f"{free_port()}",
            "RABBITMQ_CONFIG_FILE": f"{self.folder}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{self.folder}/plugins",
            "RABBITMQ_MNESIA_BASE": f"{self.folder}/mnesia",
            "RABBITMQ_LOG_BASE": f"{self.folder}/logs",
            "RABBITMQ_PID_FILE": f"{self.folder}/pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": f"{self.names}",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_RELAXED_COMMAND_CHECK": "1",
        }

    def ready(self) -> bool:
        with contextlib.suppress(URLError, OSError):
            return "rabbitmq_version" in self.api("GET", "overview")
        return False

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        # Erlang's daemon of names makes itself independent of whoever started it.
        subprocess.run(
            [self.epmd, "-port", str(self.names), "-kill"],
            env=os.environ | self.environment(),
            capture_output=True,
            check=False,
        )

    def api(self, method: str, path: str, **fields: Any) -> Any:
        """The management API (RabbitMQ Management HTTP API)."""
        data = json.dumps(fields).encode() if fields else None
        headers = {"Authorization": BASIC, "Content-Type": "application/json"}
        return json.loads(ask(f"{self.url}/api/{path}", data, method, **headers) or b"true")

    def publish(self, queue: str, count: int, priority: int = 0) -> None:
        properties = {"priority": priority}
        message = {
            "properties": properties,
            "routing_key": queue,
            "payload": "x",
            "payload_encoding": "string",
        }
        for _ in range(count):
            assert self.api("POST", "exchanges/%2F/amq.default/publish", **message)["routed"]
