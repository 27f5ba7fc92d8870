"""The page in a real browser, against the real server, with real agents.

Without Chromium the tests are skipped, and say why; with MSS_TEST_BROWSER=required, as in CI, they fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.browser import chromium
from tests.integration.agents import PATIENCE_S, AgentProcess, Queues, queue_app
from tests.integration.conftest import engine, engine_to_ourselves, engine_with_images, prefix  # noqa: F401
from tests.server.running import Running
from tests.services.service import free_port

TOKEN = "correct-horse-battery-staple"
USER = "shop"
Open = Callable[..., Any]
NETWORK_CHANGED = "ERR_NETWORK_CHANGED"
TRIES = 10


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    with chromium.started() as browser:
        yield browser


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """Opens an address in a new window: `open_page(url, width=390, color_scheme="dark")`. In the end
    no page may have complained of anything but what its `console.allowed` says."""
    contexts, consoles = [], []

    def open_page(url: str, width: int = 1280, height: int = 900, **options: Any) -> Any:
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        page.console = chromium.Console(page)
        consoles.append(page.console)
        load(page, url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [line for console in consoles for line in console.wrong()] == []


def load(page: Any, url: str) -> None:
    """Opens an address, again if a network interface came or went meanwhile."""
    _until_whole(page, lambda: page.goto(url))


def reload(page: Any) -> None:
    """Loads the page anew, again if a network interface came or went meanwhile."""
    _until_whole(page, page.reload)


def _until_whole(page: Any, opens: Callable[[], Any]) -> None:
    # Chromium gives up what it is loading then, and any container that starts or stops is such a change.
    page.console.allowed.append(NETWORK_CHANGED)
    for _ in range(TRIES):
        before = len(page.console.complaints)
        try:
            opens()
        except Exception as error:
            if NETWORK_CHANGED not in str(error):
                raise
            continue
        if not any(NETWORK_CHANGED in line for line in page.console.complaints[before:]):
            return


class Site:
    """A server with a configuration for USER, which may be restarted at its address."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder = folder
        self.environ = environ
        # Nobody else is given this port while the server is stopped.
        self.address = f"127.0.0.1:{free_port()}"
        self.running = Running(folder, address=self.address, **environ)
        self.url = f"{self.running.url}/?user={USER}"
        self.queues = Queues(folder)

    def stop(self) -> None:
        if self.running.process.poll() is None:
            assert self.running.stop() == 0

    def start(self) -> None:
        self.running = Running(self.folder, address=self.address, **self.environ)

    def configure(self, mode: str, *apps: dict[str, Any]) -> None:
        plan = {"maxContainers": 10, "apps": list(apps or self.apps())}
        self.running.configure(USER, mode, plan)

    def apps(self) -> list[dict[str, Any]]:
        """A task with a queue, and one that takes what is left: local processes that only sleep."""
        more = {"config": {"command": "sleep 3600"}}
        first = queue_app("checkout", 1, self.queues, target=20, minContainers=1, maxContainers=8, **more)
        rest = {"name": "batch", "priority": 2, "minContainers": 1, "maxContainers": 10, **more}
        return [first, {**rest, "ruleType": "Remainder"}]

    def config(self) -> dict[str, Any]:
        return self.running.get(f"/api/users/{USER}/config")["config"]

    def agent(self, **environ: str) -> AgentProcess:
        """An agent of this server, which scales local processes."""
        settings = {
            "MSS_API_ADDRESS": self.address,
            "MSS_USER_ID": USER,
            "MSS_CONFIG": "SERVER",
            "MSS_DEMAND_ENGINE": "SERVER",
            "MSS_MONITOR": "SERVER",
            "MSS_SCHEDULER": "PROCESS",
            "MSS_STATE_DIR": str(self.folder / "state"),
        }
        return AgentProcess(self.folder, [], **{**settings, **environ})


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Open to all who reach it."""
    site = Site(tmp_path)
    yield site
    site.stop()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Site]:
    """With a token."""
    site = Site(tmp_path, MSS_SERVER_TOKEN=TOKEN)
    yield site
    site.stop()


@pytest.fixture
def scene(site: Site) -> Iterator[Site]:
    """Configured, with an agent at work, in the mode `queue`."""
    site.configure("queue")
    with ExitStack() as stack:
        agent = stack.enter_context(site.agent())
        yield site
        assert agent.stop() == 0
