"""Something to measure: the cases of metrics are subclasses."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any

from microscaling.metric.base import Metric
from tests.metric.proxy import OF_HTTP, Fault, Proxy


class Measured:
    """`with` starts what is measured; then `metric` makes one that looks at it."""

    faults: Mapping[str, Any] = {}
    settles = False
    """What is set shows after a while only."""
    type_name = ""
    """Of the metric, in configurations; empty: they cannot name it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stack = ExitStack()

    def __enter__(self) -> Measured:
        with contextlib.ExitStack() as stack:
            stack.push(lambda *_: self.stack.close())
            self.start()
            stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def start(self) -> None: ...

    def connected(self) -> AbstractContextManager[object]:
        """A way to it, for one test."""
        return nullcontext()

    def environment(self) -> dict[str, str]:
        return {}

    def metric(self) -> Metric:
        raise NotImplementedError

    def set(self, count: int) -> None:
        raise NotImplementedError

    def broken(self, fault: str) -> AbstractContextManager[None]:
        raise NotImplementedError


class Remote(Measured):
    """A service at `url`, behind a proxy that breaks its answers."""

    faults: Mapping[str, Fault] = OF_HTTP
    url: str

    def connected(self) -> AbstractContextManager[object]:
        self.proxy = Proxy(self.address)
        return self.proxy

    @property
    def address(self) -> str:
        """Where the service is, "host:port"."""
        return self.url.rpartition("/")[2].rpartition("@")[2]

    @property
    def way(self) -> str:
        """The URL of the service by way of the proxy."""
        return self.url.replace(self.address, self.proxy.endpoint)

    def broken(self, fault: str) -> AbstractContextManager[None]:
        return self.proxy.broken(self.faults[fault])
