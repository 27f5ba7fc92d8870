"""Seven situations in which a person opens the page, each light, dark and on a phone, with a real agent.

With MSS_TEST_SHOTS=FOLDER every view is kept there as a picture, for people to look at.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import violations
from tests.browser.conftest import USER, Open, Site
from tests.browser.test_page import card, cells, expect_count, text
from tests.browser.test_why import says
from tests.integration.agents import queue_app, wait_for

SHOTS = os.environ.get("MSS_TEST_SHOTS", "")
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"color_scheme": "light", "width": 390, "height": 844},
}
SLEEP = {"config": {"command": "sleep 3600"}}


def tasks_of(site: Site, *names: str, most: int = 8) -> list[dict[str, Any]]:
    counts = {"minContainers": 1, "maxContainers": most}
    return [queue_app(name, n, site.queues, target=20, **counts, **SLEEP) for n, name in enumerate(names, 1)]


def rest() -> dict[str, Any]:
    return {
        "name": "batch",
        "priority": 99,
        "minContainers": 1,
        "maxContainers": 10,
        "ruleType": "Remainder",
        **SLEEP,
    }


def held(site: Site) -> Callable[[Any], None]:
    site.configure("queue", *tasks_of(site, "checkout"), rest())
    site.queues.put("checkout", 70)

    def see(page: Any) -> None:
        if site.queues.path.exists():
            text(page, "#tasks .metric", "^70 waiting")
            site.queues.path.rename(site.folder / "away.db")
        text(page, "#tasks .metric", r"^no reading since \d\d:\d\d, target 20$")
        says(card(page, "checkout").locator(".now"), r"^No reading: stays at \d+$")

    return see


def failing(site: Site) -> Callable[[Any], None]:
    broken = {"config": {"command": "sh -c 'echo connecting to db:5432; echo no route to host; exit 3'"}}
    site.configure("queue", {**rest(), "name": "mailer", "priority": 1, **broken}, rest())

    def see(page: Any) -> None:
        says(card(page, "mailer").locator(".failing"), r"(?s)code 3\..*Next try in \d+ s.*no route to host")
        expect_count(card(page, "mailer").locator(".cell.back"), 1)

    return see


def at_the_cap(site: Site) -> Callable[[Any], None]:
    site.configure("queue", *tasks_of(site, "checkout", "mailer"), rest())
    for name in ("checkout", "mailer"):
        site.queues.put(name, 400)

    def see(page: Any) -> None:
        expect_count(cells(page, "checkout"), 8)
        says(
            card(page, "checkout").locator(".now"), r"^Would want \d+: it is at its maximum, 8; gives back at"
        )
        says(card(page, "mailer").locator(".now"), r"^Would want \d+: the cap, 10, is used up")

    return see


def paused(site: Site) -> Callable[[Any], None]:
    site.configure("queue", *tasks_of(site, "checkout"), rest())

    def see(page: Any) -> None:
        expect_count(cells(page, "batch"), 9)
        if page.locator("#pause-text").text_content() == "Pause":
            page.get_by_role("button", name="Pause").click()
        text(page, "#mode-by", "Paused by the page at 127.0.0.1, ")
        says(card(page, "checkout").locator(".now"), "^Paused: it stays as it is$")

    return see


def manual(site: Site) -> Callable[[Any], None]:
    site.configure("queue", *tasks_of(site, "checkout"), rest())
    site.queues.put("checkout", 400)

    def see(page: Any) -> None:
        expect_count(cells(page, "checkout"), 8)
        page.get_by_role("radio", name="Manual").check(force=True)
        says(card(page, "checkout").locator(".now"), "^As its slider wants: 8$")
        text(page, "#mode-by", "Mode set by the page at 127.0.0.1, ")
        expect_count(cells(page, "checkout"), 8)

    return see


def ten_tasks(site: Site) -> Callable[[Any], None]:
    names = ["checkout", "mailer", "search", "thumbnails", "invoices", "exports", "audit", "sync", "reports"]
    site.configure("queue", *tasks_of(site, *names, most=4), rest())
    plan = site.config()
    site.running.put("/api/users/shop/config", {"version": 1, "config": {**plan, "maxContainers": 24}})
    for n, name in enumerate(names):
        site.queues.put(name, 90 - 10 * n)

    def see(page: Any) -> None:
        expect_count(page.locator("#legend > li"), 10)
        expect_count(page.locator("#shared .run"), 24)
        colours = page.locator("#legend i").evaluate_all(
            "all => all.map(one => getComputedStyle(one).backgroundColor)"
        )
        assert len(set(colours)) == 10

    return see


WAITS = 'sh -c \': >"$MSS_READY_FILE"; until [ -e "$MSS_GO_FILE" ]; do sleep 0.1; done; exec sleep 3600\''


BROKEN = """all => all.map(one => {
  const range = document.createRange();
  range.selectNodeContents(one);
  return [one.textContent, range.getClientRects().length];
}).filter(([text, lines]) => lines > text.split(" ").length)"""
"""The texts of which a word does not stand in one line."""


def frozen(site: Site) -> Callable[[Any], None]:
    """Of one task two are ready and none runs, of another two have given way."""
    first, second = tasks_of(site, "checkout", "mailer", most=4)
    files = {
        "warmAfter": {"file": f"{site.folder}/ready-{{number}}"},
        "go": {"file": f"{site.folder}/go-{{number}}"},
    }
    first["config"] |= {"command": WAITS, "warm": 2, **files}
    last = {**rest(), "maxContainers": 5, "config": {**SLEEP["config"], "yield": "pause"}}
    site.configure("queue", {**first, "minContainers": 0}, second, last)
    plan = site.config()
    site.running.put(f"/api/users/{USER}/config", {"version": 1, "config": {**plan, "maxContainers": 7}})

    def see(page: Any) -> None:
        beside = card(page, "checkout").locator(".more")
        says(beside, r"^2 frozen, \d[\d.]* [kM]B in warm ones$")
        site.queues.put("mailer", 400)
        says(card(page, "batch").locator(".more"), "^2 frozen$")
        for task, words in (("checkout", ["warm"] * 2), ("batch", ["running"] * 3 + ["frozen"] * 2)):
            card(page, task).get_by_text("Containers", exact=True).click()
            states = card(page, task).locator(".containers tbody td:nth-child(3)")
            wait_for(lambda: sorted(states.all_text_contents()) == sorted(words), f"{words}")  # noqa: B023
            assert states.evaluate_all(BROKEN) == []

    return see


Situation = tuple[str, Callable[[Any], None], Site]
SITUATIONS = (held, failing, at_the_cap, paused, manual, ten_tasks, frozen)


@pytest.fixture(params=SITUATIONS, ids=lambda make: make.__name__)
def situation(
    request: pytest.FixtureRequest, site: Site
) -> Iterator[tuple[str, Callable[[Any], None], Site]]:
    see = request.param(site)
    with ExitStack() as stack:
        agent = stack.enter_context(site.agent())
        yield request.param.__name__, see, site
        assert agent.stop() == 0


def test_seen_by_everybody(situation: Situation, open_page: Open) -> None:
    name, see, site = situation
    for look, options in LOOKS.items():
        page = open_page(site.url, **options)
        see(page)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == page.viewport_size["width"]
        if SHOTS:
            keep(page, f"{name}-{look}")


def keep(page: Any, name: str) -> None:
    """Takes a picture of the whole page. The window is as high, as charts out of view are not drawn."""
    page.set_viewport_size({**page.viewport_size, "height": page.evaluate("document.body.scrollHeight")})
    charts = "[...document.querySelectorAll('.queue:not([hidden]) .chart')]"
    drawn = f"{charts}.every(one => one.querySelector('canvas'))"
    wait_for(lambda: page.evaluate(drawn), "all charts")
    # Without `path`, for which Playwright starts threads that stay.
    (Path(SHOTS) / f"{name}.png").write_bytes(page.screenshot(full_page=True))
