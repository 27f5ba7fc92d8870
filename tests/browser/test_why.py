"""The page says why, and what can be done about it."""

from __future__ import annotations

import re
from typing import Any

from tests.browser.conftest import USER, Open, Site, reload
from tests.browser.test_page import card, cells, expect_count, text
from tests.integration.agents import wait_for


def says(found: Any, pattern: str) -> None:
    """Waits until its text matches."""
    wait_for(lambda: re.search(pattern, found.text_content() or ""), f"{pattern} in {found}")


def readings(site: Site) -> list[int | None]:
    """What the server's history has of the task."""
    found = site.running.get(f"/api/users/{USER}/history")["full"]["tasks"]
    return found["checkout"]["metric"] if found else []


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
        # Twice a second the server notes what a page that is loaded later knows.
        wait_for(lambda: 0 in readings(site), "for the reading in the history")
        good = page.locator("#tasks .metric").first.evaluate("one => getComputedStyle(one).color")
        silent = {"engine": "LOCAL", "tasks": [{**told, "metric": None, "held": "no answer"}]}
        agent.report(silent, checkout=(3, 3, 0))
        text(page, "#tasks .metric", r"^no reading since \d\d:\d\d, target 20$")
        assert page.locator("#tasks .metric").first.evaluate("one => getComputedStyle(one).color") != good
        reload(page)
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


def test_each_card_says_why_now_and_what_would_change_it(scene: Site, open_page: Open) -> None:
    page = open_page(scene.url)
    first, rest = (card(page, name).locator(".now") for name in ("checkout", "batch"))
    says(first, "^Needs no more than its minimum, 1; wants more from 33$")
    says(rest, "^Takes what the others leave of the cap, 10$")
    scene.queues.put("checkout", 500)
    says(first, r"^Would want \d+: it is at its maximum, 8; gives back at 7 and fewer$")
    lines = card(page, "checkout").locator(".key > span").all_text_contents()
    assert lines == ["wants more from 33", "target 20", "gives back at 7"]
    says(rest, "^Takes what the others leave of the cap, 10$")


def test_a_local_agent_says_why(site: Site, open_page: Open) -> None:
    site.running.configure(USER, "off", {"maxContainers": 5, "apps": site.apps()})
    page = open_page(site.url)
    site.queues.put("checkout", 500)
    with site.agent(MSS_DEMAND_ENGINE="LOCAL") as agent:
        change = "gives back at 7 and fewer, wants more from 33"
        says(card(page, "checkout").locator(".now"), rf"^Would want \d+: the cap, 5, is used up; {change}$")
        assert agent.stop() == 0


def test_failing_task_says_how_and_when_it_is_tried_again(site: Site, open_page: Open) -> None:
    command = "sh -c 'echo no database at db:5432; exit 3'"
    failing = {"name": "checkout", "priority": 1, "minContainers": 2, "maxContainers": 8}
    site.configure("manual", {**failing, "ruleType": "Remainder", "config": {"command": command}})
    page = open_page(site.url)
    with site.agent():
        place = card(page, "checkout").locator(".failing")
        says(
            place.locator("p"),
            r"^Last failure (just now|\d+ s ago): process .* code 3\. Next try in \d+ s\. Its last lines:$",
        )
        says(place.locator("pre"), "^no database at db:5432$")
        says(
            card(page, "checkout").locator(".now"),
            "^Its containers keep failing: it waits before the next try$",
        )


def test_containers_on_demand(scene: Site, open_page: Open) -> None:
    page = open_page(scene.url)
    expect_count(cells(page, "batch"), 9)
    summary = card(page, "batch").get_by_text("Containers", exact=True)
    summary.focus()
    page.keyboard.press("Enter")
    rows = card(page, "batch").locator(".containers tbody tr")
    expect_count(rows, 9)
    says(rows.first, r"process \d+.*running\d+ (s|min)$")
    scene.queues.put("checkout", 500)
    expect_count(rows, 2)
    page.keyboard.press("Enter")
    rows.first.wait_for(state="hidden")


def test_an_agent_that_tells_no_containers(site: Site, open_page: Open) -> None:
    site.configure("off")
    page = open_page(site.url)
    with site.running.agent(USER) as agent:
        agent.report(checkout=(3, 3, 7))
        card(page, "checkout").get_by_text("Containers", exact=True).click()
        says(card(page, "checkout").locator(".containers p"), "^The agent tells their number only.$")
