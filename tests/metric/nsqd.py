"""A real nsqd on free ports, if there is one on this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from urllib.request import ProxyHandler, build_opener

from tests.services.service import give_up

FOUND = os.environ.get("MSS_TEST_NSQD") or shutil.which("nsqd")


def wait_for(what, within_s=20.0):
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


class Nsqd:
    def __init__(self, folder) -> None:
        if not FOUND:
            give_up("no nsqd on the PATH, and MSS_TEST_NSQD does not name one")
        self.folder = folder
        self.log = folder / "nsqd.log"

    def __enter__(self) -> Nsqd:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [FOUND, "-tcp-address=127.0.0.1:0", "-http-address=127.0.0.1:0", f"-data-path={self.folder}"],
                stderr=log,
            )
        wait_for(self._listens)
        return self

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait()

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        found = re.search(r"HTTP: listening on (\S+)", self.log.read_text())
        self.endpoint = found and found[1]
        return bool(found)

    def post(self, path: str, data: bytes = b"") -> None:
        # urllib, so that what is tested does not test itself; no proxy for what runs here
        with build_opener(ProxyHandler({})).open(f"http://{self.endpoint}{path}", data, 10):
            pass
