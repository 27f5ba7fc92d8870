"""The page says why, and what can be done about it."""

from __future__ import annotations

import re

from tests.browser.conftest import USER, Open, Site
from tests.browser.test_page import card, cells, expect_count, text


def test_manual_takes_over_what_is_wanted(scene: Site, open_page: Open) -> None:
    page = open_page(scene.url)
    scene.queues.put("checkout", 500)
    expect_count(cells(page, "checkout"), 8)
    expect_count(cells(page, "batch"), 2)
    page.get_by_role("radio", name="Manual").check(force=True)
    text(page, "#mode-hint", "began with what was wanted")
    for task, wanted in (("checkout", 8), ("batch", 2)):
        slider = page.get_by_role("slider", name=f"Containers wanted of {task}")
        slider.wait_for()
        assert slider.input_value() == str(wanted)
    text(page, "#wanted", "^10 wanted, 0 free$")
    assert scene.running.get(f"/api/users/{USER}")["mode"] == "manual"


def test_no_reading_says_since_when(site: Site, open_page: Open) -> None:
    site.configure("off")
    page = open_page(site.url)
    with site.running.agent(USER) as agent:
        told = {"app": "checkout", "demand": 3, "target": 20, "held": ""}
        agent.report({"engine": "LOCAL", "tasks": [{**told, "metric": 0}]}, checkout=(3, 3, 0))
        text(page, "#tasks .metric", "^0 waiting, target 20$")
        good = page.locator("#tasks .metric").first.evaluate("one => getComputedStyle(one).color")
        silent = {"engine": "LOCAL", "tasks": [{**told, "metric": None, "held": "no answer"}]}
        agent.report(silent, checkout=(3, 3, 0))
        text(page, "#tasks .metric", r"^no reading since \d\d:\d\d, target 20$")
        assert page.locator("#tasks .metric").first.evaluate("one => getComputedStyle(one).color") != good
        page.reload()
        text(page, "#tasks .metric", r"^no reading since \d\d:\d\d, target 20$")


def test_a_pause_without_an_effect_cannot_be_pressed(site: Site, open_page: Open) -> None:
    site.configure("queue")
    page = open_page(site.url)
    pause = page.get_by_role("button", name=re.compile("Pause|Resume"))
    with site.running.agent(USER) as local:
        local.report({"engine": "LOCAL", "tasks": []}, checkout=(3, 3, 7))
        text(page, "#mode-hint", r"decides by itself \(LOCAL\): neither the mode nor a pause has an effect")
        assert pause.is_disabled()
        assert pause.get_attribute("aria-describedby") == "mode-hint"
        with site.running.agent(USER) as other:
            other.report(checkout=(3, 3, 7))
            text(page, "#mode-hint", r"1 agent that decides alone \(LOCAL\) goes on")
            pause.click()
            text(page, "#mode-hint", "^Paused.*goes on")
        text(page, "#mode-hint", "neither the mode nor a pause")
        assert pause.is_enabled()
        pause.click()
        text(page, "#pause-text", "Pause")
    site.running.put(f"/api/users/{USER}/mode", {"mode": "off"})
    text(page, "#mode-hint", "nothing to pause")
    assert pause.is_disabled()
    assert card(page, "checkout").count() == 1
