"""Headless Chromium, driven by Playwright, and the accessibility checks of axe-core."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
REQUIRED = os.environ.get("MSS_TEST_BROWSER", "") == "required"
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
AXE = "4.14.1"
"""The version of axe-core, from npm."""
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


def give_up(why: object) -> NoReturn:
    """Skips the test, or fails it where a browser is required."""
    if REQUIRED:
        pytest.fail(f"{why}, but MSS_TEST_BROWSER=required", pytrace=False)
    pytest.skip(f"{why}")


@contextmanager
def started() -> Iterator[Any]:
    """A browser with an empty profile."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        give_up("playwright is missing: pip install playwright")
    path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if path is None:
        give_up("no Chromium is here: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@functools.cache
def axe_source() -> str:
    """axe-core, fetched by npm into build/ the first time."""
    folder = ROOT / "build" / f"axe-core-{AXE}"
    script = folder / "axe.min.js"
    if not script.exists():
        if not shutil.which("npm"):
            give_up("npm is missing, which fetches axe-core")
        folder.mkdir(parents=True, exist_ok=True)
        pack = ["npm", "pack", f"axe-core@{AXE}", "--silent", "--pack-destination", str(folder)]
        done = subprocess.run(pack, capture_output=True, text=True, timeout=120, cwd=folder)
        if done.returncode:
            give_up(f"npm does not fetch axe-core: {done.stderr[-300:]}")
        archive = next(folder.glob("*.tgz"))
        with tarfile.open(archive) as tar:
            member = tar.extractfile("package/axe.min.js")
            assert member is not None
            script.write_bytes(member.read())
        archive.unlink()
    return script.read_text()


def violations(page: Any) -> list[str]:
    """What axe-core finds wrong with a page as it is, a line for each."""
    page.evaluate(axe_source())
    options = json.dumps({"runOnly": {"type": "tag", "values": RULES}})
    found = page.evaluate(f"axe.run(document, {options})")
    return [
        f"{rule['id']}: {rule['help']}: " + "; ".join(node["html"][:120] for node in rule["nodes"][:3])
        for rule in found["violations"]
    ]


class Console:
    """What a page complains of, and what it wants of anybody but its own server; what matches one of
    `allowed` may be."""

    def __init__(self, page: Any) -> None:
        self.complaints: list[str] = []
        self.allowed: list[str] = []
        page.on("console", self._hear)
        page.on("request", lambda request: self._asked(page.url, request.url))
        page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _asked(self, page: str, url: str) -> None:
        here, there = urlsplit(page).netloc, urlsplit(url).netloc
        if here and here != there:
            self.complaints.append(f"request: {url}")

    def wrong(self) -> list[str]:
        return [line for line in self.complaints if not any(re.search(p, line) for p in self.allowed)]
