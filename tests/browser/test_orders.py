"""A person pauses, pins and resumes a task at the page, of an agent that decides by itself."""

from __future__ import annotations

from tests.browser.conftest import USER, Open, Site
from tests.browser.test_page import card, cells, expect_count
from tests.browser.test_why import says


def test_a_task_of_an_agent_that_decides_by_itself(site: Site, open_page: Open) -> None:
    site.configure("off")
    site.queues.put("checkout", 500)
    with site.agent(MSS_DEMAND_ENGINE="LOCAL", MSS_WARN_AFTER_S="1") as agent:
        page = open_page(site.url)
        checkout = card(page, "checkout")
        expect_count(cells(page, "checkout"), 8)
        # Perhaps after another one: its number does not move, and its first container may run before it has
        # asked for the last.
        warnings = checkout.locator(".warnings li")
        says(
            warnings.filter(has_text="Has been at its maximum"),
            "^Has been at its maximum, 8, for 1 s, and its reading calls for ",
        )
        checkout.get_by_role("spinbutton", name="Containers to pin checkout to").fill("3")
        checkout.get_by_role("button", name="Pin checkout").click()
        expect_count(cells(page, "checkout"), 3)
        says(checkout.locator(".chips"), "pinned")
        says(checkout.locator(".now"), "^Pinned to 3 by hand: no reading moves it$")
        expect_count(warnings, 0)
        checkout.get_by_role("button", name="Resume checkout").click()
        expect_count(cells(page, "checkout"), 8)
        checkout.get_by_role("button", name="Pause checkout").click()
        says(checkout.locator(".now"), "^Paused by hand: no reading moves it$")
        site.queues.put("checkout", 0)
        says(checkout.locator(".chips"), "paused")
        site.running.put(f"/api/users/{USER}/tasks/checkout/order", {"command": "resume"})
        expect_count(cells(page, "checkout"), 1)
        assert agent.stop() == 0
        checkout.get_by_role("button", name="Pause checkout").wait_for(state="hidden")


def test_an_agent_that_the_server_leads_takes_no_orders(scene: Site, open_page: Open) -> None:
    page = open_page(scene.url)
    expect_count(cells(page, "batch"), 1, 10)
    assert page.locator(".orders:visible").count() == 0
