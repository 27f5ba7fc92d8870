"""For everybody: what axe-core finds, the keyboard, the screen reader, less motion."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.chromium import violations
from tests.browser.conftest import TOKEN, USER, Open, Site
from tests.browser.test_page import cells, expect_count, open_form, text
from tests.integration.agents import wait_for

LOOKS = [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"color_scheme": "dark", "width": 390}]


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_page_with_an_agent_in_trouble(site: Site, open_page: Open, look: dict[str, Any]) -> None:
    site.configure("manual")
    page = open_page(site.url, **look)
    with site.running.agent(USER) as agent:
        told = {"app": "checkout", "demand": 4, "held": "no reading", "backingOff": True, "reason": "holds"}
        falls = {"app": "batch", "demand": 3, "fallback": "no answer", "reason": "fallback to 3"}
        detail = {"name": "web-1", "engine": "LOCAL", "hold": "a second agent", "tasks": [told, falls]}
        agent.report(detail, checkout=(2, 4, 70), batch=(5, 3, 0), stranger=(1, 1, 0))
        for state in ("run", "start", "stop", "back"):
            wait = page.locator(f"#tasks .{state}").first
            wait.wait_for()
        chips = page.locator("#tasks .chip.warn").all()
        assert [(chip.inner_text(), chip.get_attribute("title")) for chip in chips] == [
            ("held", "no reading"),
            ("fallback", "no answer"),
        ]
        assert violations(page) == []
        label = cells(page, "checkout", "run").first.locator("..").get_attribute("aria-label")
        assert label == "Containers of checkout: 2 running, 2 starting and 1 backing off, at most 8"
        open_form(page, "Edit checkout")
        assert violations(page) == []


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_page_without_an_agent(site: Site, open_page: Open, look: dict[str, Any]) -> None:
    page = open_page(site.url, **look)
    page.locator("#attach").wait_for()
    page.locator("#config-none").wait_for()
    assert violations(page) == []


def test_when_the_server_is_away(scene: Site, open_page: Open) -> None:
    page = open_page(scene.url)
    expect_count(cells(page, "batch"), 9)
    page.console.allowed += ["ERR_"]
    scene.stop()
    page.locator("#away").wait_for()
    text(page, "#announcements", "away")
    assert violations(page) == []
    scene.start()
    text(page, "#connection", "live")


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_login(guarded: Site, open_page: Open, look: dict[str, Any]) -> None:
    page = open_page(f"{guarded.running.url}/login?failed=1", **look)
    page.locator("#failed").wait_for()
    assert violations(page) == []
    wait_for(lambda: page.evaluate("document.activeElement.id") == "token")
    page.keyboard.type(TOKEN)
    page.keyboard.press("Enter")
    page.locator("#attach").wait_for()
    assert violations(page) == []


def test_keyboard_alone(site: Site, open_page: Open) -> None:
    site.configure("queue")
    page = open_page(site.url)
    page.locator("#tasks > li").first.wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the tasks"
    page.keyboard.press("Enter")
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.id")
        )
        if seen[-1] == "Edit checkout":
            break
    assert "Pause" in page.locator("#pause").text_content()
    assert "pause" in seen
    page.keyboard.press("Enter")
    page.locator("#app-dialog").wait_for()
    page.keyboard.press("Escape")
    page.locator("#app-dialog").wait_for(state="hidden")
    focus = "document.activeElement.getAttribute('aria-label')"
    wait_for(lambda: page.evaluate(focus) == "Edit checkout")


def test_screen_reader_is_told_politely_and_seldom(site: Site, open_page: Open) -> None:
    site.configure("manual")
    page = open_page(site.url)
    with site.running.agent(USER) as agent:
        agent.report(checkout=(1, 1, 0), batch=(1, 1, 0))
        cells(page, "checkout").first.wait_for()
        page.evaluate("""() => {
            window.told = [];
            const region = document.getElementById("announcements");
            new MutationObserver(() => told.push(region.textContent)).observe(region, {childList: true});
        }""")
        for count in (2, 3, 4, 5):
            site.running.put(f"/api/users/{USER}/demand", {"demand": {"checkout": count}})
        text(page, "#announcements", r"checkout from \d to 5")
    assert len([words for words in page.evaluate("told") if words]) < 3
    assert page.locator("#announcements").get_attribute("aria-live") == "polite"


def test_less_motion(site: Site, open_page: Open) -> None:
    site.configure("manual")
    page = open_page(site.url, reduced_motion="reduce")
    with site.running.agent(USER) as agent:
        agent.report(checkout=(1, 3, 0))
        cells(page, "checkout", "start").first.wait_for()
        assert (
            cells(page, "checkout", "start").first.evaluate("c => getComputedStyle(c).animationName")
            == "none"
        )
