"""One time axis, one moment, one task, one agent: by the pointer, by the keyboard, by a link."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.browser.chromium import violations
from tests.browser.conftest import USER, Open, Site, reload
from tests.browser.test_page import card, cells, expect_count, text
from tests.browser.test_why import says
from tests.integration.agents import wait_for


def address(page: Any) -> dict[str, str]:
    return {key: value for key, (value,) in parse_qs(urlsplit(page.url).query).items()}


def decided(scene: Site, page: Any) -> None:
    """Waits for a change that can be looked at."""
    expect_count(cells(page, "batch"), 9)
    scene.queues.put("checkout", 500)
    expect_count(cells(page, "checkout"), 8)
    text(page, "#decisions", "checkout")


def test_values_under_the_pointer_in_all_charts(scene: Site, open_page: Open) -> None:
    page = open_page(scene.url)
    decided(scene, page)
    says(page.locator("#moment-time"), "^Now, running of wanted:$")
    says(page.locator("#legend"), "checkout8 of 8.*batch2 of 2")
    box = page.locator("#shares .u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 20)
    says(page.locator("#moment-time"), r"^\d\d:\d\d:\d\d, running of wanted:$")
    says(card(page, "checkout").locator(".then"), r"^\d\d:\d\d:\d\d: \d+ waiting$")
    expect_count(page.locator(".marker:visible"), 2)
    spot = "all => all.map(one => Math.round(100 * one.offsetLeft / one.parentElement.offsetWidth))"
    shares, queue = page.locator(".marker").evaluate_all(spot)
    assert abs(shares - queue) <= 2, "one time axis: the same moment is at the same place"
    # Two beats of the page later the marker is where its time is now.
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.up()
    page.mouse.move(5, 5)
    before = page.locator(".marker").first.evaluate("one => parseFloat(one.style.left)")
    wait_for(lambda: page.locator(".marker").first.evaluate("one => parseFloat(one.style.left)") < before)
    page.get_by_role("button", name="Back to now").click()
    page.mouse.move(5, 5)
    says(page.locator("#moment-time"), "^Now")
    expect_count(page.locator(".marker:visible"), 0)


def test_a_decision_leads_to_its_moment(scene: Site, open_page: Open) -> None:
    page = open_page(scene.url)
    decided(scene, page)
    decision = page.locator("#decisions li").filter(has_text="checkout").last
    when = decision.locator("time").text_content()
    decision.locator("button").focus()
    page.keyboard.press("Enter")
    says(page.locator("#moment-time"), f"^{when}, running of wanted:$")
    expect_count(page.locator("#decisions li.pinned"), 1)
    # The browser tells of a new address by itself, perhaps after what the page shows.
    at = wait_for(lambda: address(page).get("at"))
    assert at.isdecimal()
    page.get_by_role("button", name="Back to now").click()
    says(page.locator("#moment-time"), "^Now")
    wait_for(lambda: "at" not in address(page))
    decision.locator(".why").first.click()
    wait_for(lambda: address(page).get("at") == at)
    reload(page)
    says(page.locator("#moment-time"), f"^{when}, running of wanted:$")


def test_one_task_alone_and_its_link(scene: Site, open_page: Open) -> None:
    page = open_page(scene.url)
    decided(scene, page)
    page.get_by_role("button", name="checkout 8 of 8").click()
    wait_for(lambda: address(page) == {"user": USER, "task": "checkout"})
    says(page.locator("#key-running"), "^running$")
    expect_count(page.locator("#decisions li").filter(has_text="batch9"), 0)
    names = page.locator("#decisions .app")
    wait_for(lambda: set(names.all_text_contents()) == {"checkout"})
    page.get_by_role("radio", name="10 min").check(force=True)
    wait_for(lambda: address(page) == {"user": USER, "task": "checkout", "span": "600"})
    other = open_page(page.url)
    wait_for(lambda: set(other.locator("#decisions .app").all_text_contents()) == {"checkout"})
    assert other.get_by_role("radio", name="10 min").is_checked()
    assert "chosen" in card(other, "checkout").get_attribute("class").split()
    other.get_by_label("Decisions of").select_option("batch")
    wait_for(lambda: set(other.locator("#decisions .app").all_text_contents()) == {"batch"})
    other.get_by_label("Decisions of").select_option("")
    wait_for(lambda: "task" not in address(other))


def test_decisions_are_there_after_a_restart_with_their_dates(scene: Site, open_page: Open) -> None:
    page = open_page(scene.url)
    decided(scene, page)
    page.console.allowed += ["ERR_"]
    before = page.locator("#decisions li").count()
    scene.stop()
    scene.start()
    text(page, "#connection", "live")
    wait_for(lambda: page.locator("#decisions li").count() >= before)
    page.clock.install()
    page.clock.fast_forward("48:00:00")
    reload(page)
    says(page.locator("#decisions time").last, r"^\d+ \w+ \d\d:\d\d:\d\d$")


def test_the_keyboard_moves_the_moment(scene: Site, open_page: Open) -> None:
    page = open_page(scene.url)
    decided(scene, page)
    chart = page.get_by_role("slider", name="Moment in the charts")
    chart.focus()
    wait_for(lambda: chart.get_attribute("aria-valuetext").startswith("Now: checkout 8 of 8 wanted"))
    page.keyboard.press("ArrowLeft")
    says(page.locator("#moment-time"), r"^\d\d:")
    wait_for(lambda: re.match(r"\d\d:.*checkout \d", chart.get_attribute("aria-valuetext")))
    first = int(wait_for(lambda: address(page).get("at")))
    page.keyboard.press("ArrowLeft")
    wait_for(lambda: int(address(page)["at"]) < first)
    page.keyboard.press("Escape")
    says(page.locator("#moment-time"), "^Now")


def test_one_agent_of_several(site: Site, open_page: Open) -> None:
    site.configure("off")
    page = open_page(site.url)
    with site.running.agent(USER) as one, site.running.agent(USER) as other:
        task = {"app": "checkout", "rule": "Queue", "demand": 2, "min": 1, "max": 8, "target": 20, "more": 33}
        told = {"engine": "LOCAL", "cap": 10, "tasks": [task]}
        one.report({**told, "name": "web-1"}, checkout=(2, 2, 7))
        other.report({**told, "name": "web-2"}, checkout=(3, 3, 7))
        expect_count(cells(page, "checkout"), 5)
        says(
            card(page, "checkout").locator(".now"), "^Several agents have it: choose one of them to see why$"
        )
        page.get_by_role("button", name="Show web-1 alone").click()
        expect_count(cells(page, "checkout"), 2)
        says(card(page, "checkout").locator(".now"), "^Has enough; wants more from 33$")
        says(page.locator("#only"), "^Only the agent web-1. .* 2 agents of this site in all.")
        wait_for(lambda: address(page) == {"user": USER, "agent": "web-1"})
        text(page, "#cap", "^ of 10 containers run$")
        page.go_back()
        expect_count(cells(page, "checkout"), 5)
        page.go_forward()
        expect_count(cells(page, "checkout"), 2)
        page.get_by_role("button", name="Show all agents").click()
        expect_count(cells(page, "checkout"), 5)


def test_on_a_phone_decisions_come_before_the_cards(scene: Site, open_page: Open) -> None:
    page = open_page(scene.url, width=390, height=844)
    expect_count(cells(page, "batch"), 9)
    top = {
        name: page.locator(name).bounding_box()["y"]
        for name in ("#overview", "#history", "#all-tasks", "#side")
    }
    assert sorted(top, key=lambda name: top[name]) == list(top)
    assert top["#history"] < 1200
    order = page.evaluate("[...document.querySelectorAll('.columns > *')].map(one => '#' + one.id)")
    assert order == list(top), "the keyboard goes the same way"


def tab_to(page: Any, what: str) -> None:
    """Presses Tab until the focus is on the element with that id, name or text."""
    name = "(one => one.id || one.getAttribute('aria-label') || one.textContent)(document.activeElement)"
    seen = []
    for _ in range(120):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(name).strip())
        if re.search(what, seen[-1]):
            return
    raise AssertionError(f"{what} cannot be reached: {seen}")


def test_all_of_it_without_a_pointer(scene: Site, open_page: Open) -> None:
    page = open_page(scene.url)
    decided(scene, page)
    page.get_by_role("radio", name="Queue").focus()
    page.keyboard.press("ArrowLeft")
    text(page, "#mode-hint", "began with what was wanted")
    tab_to(page, "^pause$")
    page.keyboard.press("Enter")
    text(page, "#pause-text", "Resume")
    page.keyboard.press("Enter")
    text(page, "#pause-text", "Pause")
    tab_to(page, "^checkout")  # in the legend
    page.keyboard.press("Space")
    wait_for(lambda: address(page).get("task") == "checkout")
    tab_to(page, "^shares$")
    page.keyboard.press("ArrowLeft")
    wait_for(lambda: "at" in address(page))
    tab_to(page, "^decisions-of$")
    tab_to(page, ": show checkout from .* in the charts$")
    page.keyboard.press("Enter")
    expect_count(page.locator("#decisions li.pinned"), 1)
    tab_to(page, "^Containers$")
    page.keyboard.press("Enter")
    expect_count(card(page, "checkout").locator(".containers tbody tr"), 8)
    assert violations(page) == []
    slider = page.get_by_role("slider", name="Containers wanted of batch")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    expect_count(cells(page, "batch"), 1)
