"""What the page shows of rules that learn and promise, and of tasks with several metrics."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import USER, Open, Site
from tests.browser.test_page import card, cells, expect_count, text
from tests.browser.test_why import says
from tests.integration.agents import queue_app, wait_for

LEARNED = {
    "promiseSeconds": 5.0, "arrivals": 12.4, "rate": 4.9, "mayWait": 31, "waitSeconds": 2.53, "exact": False,
    "longestSeconds": 4.2, "kept": 1.0,
}  # fmt: skip


def wait_app(site: Site) -> dict[str, Any]:
    more = {"config": {"command": "sleep 3600"}}
    app = queue_app("checkout", 1, site.queues, maxContainers=8, **more)
    del app["config"]["targetQueueLength"]
    app["config"]["maxWaitSeconds"] = 5
    return {**app, "ruleType": "Wait"}


def lines(page: Any) -> list[str]:
    return card(page, "checkout").locator(".learned li").all_text_contents()


@pytest.mark.parametrize("engine", ["LOCAL", "SERVER"])
def test_what_a_real_rule_has_learned(site: Site, open_page: Open, engine: str) -> None:
    """Of an agent that decides, and where the server does."""
    site.configure("queue", wait_app(site))
    page = open_page(site.url)
    site.queues.put("checkout", 40)
    with site.agent(MSS_DEMAND_ENGINE=engine) as agent:
        expect_count(cells(page, "checkout"), 8)  # nothing takes the jobs, so it tries all it has
        learned, promise = wait_for(lambda: len(found := lines(page)) == 2 and found, "two lines")
        assert learned.startswith("Learned: ")
        assert " come, one container does " in learned
        assert promise.startswith("Promise: 5 s at most; now about ")
        assert "in the last 10 minutes at most " in promise
        expect_count(card(page, "checkout").locator(".learned.broken"), 1)  # it waits for longer
        text(page, "#tasks .metric", "^40 waiting$")
        assert agent.stop() == 0


def test_what_an_agent_tells(site: Site, open_page: Open) -> None:
    site.configure("off")
    page = open_page(site.url)
    with site.running.agent(USER) as agent:
        told = {"app": "checkout", "demand": 3, "held": "", "rule": "Wait", "metric": 31}
        agent.report(
            {"engine": "LOCAL", "cap": 9, "tasks": [{**told, "learned": LEARNED}]}, checkout=(3, 3, 31)
        )
        says(card(page, "checkout").locator(".learned"), "12.4/s come")
        assert lines(page) == [
            "Learned: 12.4/s come, one container does 4.9/s, 31 may wait",
            "Promise: 5 s at most; now about 2.5 s, in the last 10 minutes at most 4.2 s, "
            "kept in 100 % of the time",
        ]
        assert card(page, "checkout").locator(".learned.broken").count() == 0
        late = {**LEARNED, "waitSeconds": 61, "exact": True, "longestSeconds": 61, "kept": 0.95123}
        agent.report({"engine": "LOCAL", "cap": 9, "tasks": [{**told, "learned": late}]}, checkout=(3, 3, 31))
        says(
            card(page, "checkout").locator(".learned"),
            "now 61 s, in the last 10 minutes at most 61 s, kept in 95.1 % of the time$",
        )
        assert card(page, "checkout").locator(".learned.broken").count() == 1
        new = LEARNED | dict.fromkeys(("arrivals", "rate", "mayWait", "waitSeconds"))
        agent.report({"engine": "LOCAL", "cap": 9, "tasks": [{**told, "learned": new}]}, checkout=(3, 3, 31))
        says(card(page, "checkout").locator(".learned"), "^Promise: 5 s at most; in the last 10 minutes")


def test_several_metrics_and_the_one_that_decides(site: Site, open_page: Open) -> None:
    site.configure("off")
    page = open_page(site.url)
    one = {"place": "metrics[0]", "rule": "Wait", "metric": "Redis", "reading": 31, "target": None,
           "wants": 3, "decides": False, "problem": "", "learned": LEARNED}  # fmt: skip
    two = {"place": "metrics[1]", "rule": "PerContainer", "metric": "NSQ", "reading": 80, "target": 20,
           "wants": 4, "decides": True, "problem": ""}  # fmt: skip
    told = {"app": "checkout", "demand": 4, "held": "", "rule": "", "metric": 80, "metrics": [one, two]}
    with site.running.agent(USER) as agent:
        agent.report(
            {"engine": "LOCAL", "cap": 9, "tasks": [{**told, "rule": "several"}]}, checkout=(4, 4, 80)
        )
        says(card(page, "checkout").locator(".learned"), "decides")
        assert lines(page)[:3] == [
            "metrics[0]: wait by Redis: 31, wants 3",
            "metrics[1]: per container 20 by NSQ: 80, wants 4 (decides)",
            "Learned: 12.4/s come, one container does 4.9/s, 31 may wait",
        ]
        failed = {**two, "reading": None, "wants": None, "decides": False, "problem": "no <b>answer</b>"}
        both = [{**one, "decides": True}, failed]
        agent.report(
            {"engine": "LOCAL", "cap": 9, "tasks": [{**told, "rule": "several", "metrics": both}]},
            checkout=(4, 4, 31),
        )
        says(
            card(page, "checkout").locator(".learned"),
            "metrics.1.: per container 20 by NSQ: no reading, so no fewer containers: no <b>answer</b>",
        )
