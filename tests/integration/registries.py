"""A real registry on this machine: Debian's docker-registry, which an engine takes from without TLS."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from docker import APIClient

from tests.integration.engines import Missing
from tests.services.service import free_port

PROGRAM = "docker-registry"


class RealRegistry:
    """Runs while in the `with` block, its images in `folder`. Raises Missing if there is none."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which(PROGRAM)
        if program is None:
            raise Missing(f"no registry: apt-get install {PROGRAM}")
        self.host = f"127.0.0.1:{free_port()}"
        config = folder / "registry.yml"
        config.write_text(
            f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{self.host}'}}\n"
            f"storage: {{filesystem: {{rootdirectory: '{folder / 'images'}'}}}}\n"
        )
        self.command = [program, "serve", str(config)]
        self.log_path = folder / "registry.log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RealRegistry:
        self.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Missing(f"the registry does not start: {self.log_path.read_text()[-500:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def has(self, client: APIClient, image: str, name: str) -> str:
        """Puts a local image there; returns the name that it has here, not pulled yet."""
        there = f"{self.host}/{name}"
        client.tag(image, there)
        for line in client.push(there, stream=True, decode=True):
            if "error" in line:
                raise Missing(f"the registry does not take {image}: {line['error']}")
        client.remove_image(there)
        return there

    def _answers(self) -> bool:
        host, _, port = self.host.partition(":")
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            return False
        return True
