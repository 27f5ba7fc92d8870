"""What holds for every test."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.log import COMPONENTS, MaskingHandler
from tests import lanes
from tests.leaks import Held
from tests.scheduler.real_kubernetes import RealKubernetes


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    # Its marks for groups (--dist loadgroup) have no effect with pytest 9.2.
    from xdist.scheduler import LoadScopeScheduling

    class Lanes(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return lanes.lane(nodeid)

    config.option.loadscopereorder = False
    return Lanes(config, log)


def pytest_configure() -> None:
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        # As with nohup: the agents of the tests get it all the same, and these processes outlive a terminal.
        signal.signal(signal.SIGHUP, lambda *_: None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    lanes.check(items)  # always: pytest-xdist does not show why a worker ended
    if "PYTEST_XDIST_WORKER" in os.environ:
        lanes.arrange(items)


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    """No test leaves a thread, a socket or a child process behind."""
    before = Held.now()
    yield
    if leaked := before.leaked_for_good():
        pytest.fail("left behind: " + ", ".join(sorted(leaked)) + before.stacks())


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of whoever runs the tests do not decide what they see; DOCKER_HOST says where the
    engine is, and stays."""
    for name in os.environ:
        if name.startswith(("MSS_", "AWS_", "AZURE_")) or name == "NSQ_STATS_ENDPOINT":
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """No test decides what the next one hears, and which secrets are masked in it."""
    root = logging.getLogger()
    handlers, levels = list(root.handlers), {name: logging.getLogger(name).level for name in COMPONENTS}
    yield
    for handler in root.handlers[:]:
        if isinstance(handler, MaskingHandler) and handler not in handlers:
            root.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The files of a certificate for 127.0.0.1 and localhost, and of its key."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is needed to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    made = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout {key} -out {cert}"
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost"
    subprocess.run(["openssl", *made.split(), "-addext", names], check=True, capture_output=True)
    return cert, key


@pytest.fixture(scope="session")
def real_kubernetes(
    tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]
) -> Iterator[RealKubernetes]:
    """A real API server, if there is one; it takes some seconds to start."""
    with RealKubernetes(tmp_path_factory.mktemp("kubernetes"), certificate) as real:
        yield real
