"""The form of an app offers every rule and metric that the server has."""

from __future__ import annotations

from typing import Any

import pytest

from microscaling.metric.base import METRICS
from microscaling.plugins import Field
from microscaling.target.base import RULES
from tests.browser.chromium import violations
from tests.browser.conftest import Open, Site, reload
from tests.browser.test_page import open_form, text
from tests.integration.agents import wait_for

SCHEMA = "**/api/schema"
NO_FIELD = ("headers", "params", "body")
"""Kinds that are written as JSON, with the rest of the config."""


def options(page: Any, path: str) -> list[str]:
    return page.locator(f"#field-{path} option").evaluate_all("all => all.map(one => one.value)")  # type: ignore[no-any-return]


def shown(page: Any) -> set[str]:
    """The paths of all fields that are visible."""
    found = page.locator("#app-fields .field:visible :is(input, select, textarea)")
    return set(found.evaluate_all("all => all.map(one => one.name.replace(/[.]\\d+$/, ''))"))


def in_form(fields: tuple[Field, ...]) -> set[str]:
    return {f"config.{field.key}" for field in fields if field.kind not in NO_FIELD}


def test_every_rule_and_metric_with_its_fields(site: Site, open_page: Open) -> None:
    site.configure("off")
    page = open_page(site.url)
    open_form(page, "Add an app")
    assert options(page, "ruleType") == RULES.names()
    assert options(page, "metricType") == ["", *METRICS.names()]
    always = {
        "name",
        "priority",
        "minContainers",
        "maxContainers",
        "ruleType",
        "config.image",
        "config.command",
        "metrics",
    }
    for rule in RULES.all():
        page.locator("#field-ruleType").select_option(rule.type_name)
        if not rule.measures:
            assert shown(page) == always | {"config"} | in_form(rule.fields)
            continue
        for kind in METRICS.all():
            page.locator("#field-metricType").select_option(kind.type_name)
            wanted = always | {"config", "metricType"} | in_form(rule.fields) | in_form(kind.fields)
            assert shown(page) == wanted, (rule, kind)
    assert violations(page) == []


def test_a_rule_with_a_field_of_its_own(site: Site, open_page: Open) -> None:
    site.configure("off")
    page = open_page(site.url)
    page.console.allowed.append("400")
    open_form(page, "Add an app")
    page.locator("#field-name").fill("mailer")
    page.locator("#field-ruleType").select_option("PerContainer")
    page.locator("#field-metricType").select_option("Redis")
    page.get_by_label("URL").locator("visible=true").fill("redis://r/0")
    page.get_by_label("Key", exact=True).locator("visible=true").fill("mails")
    page.get_by_role("button", name="Save").last.click()
    text(page, "#field-config-targetPerContainer-problem", "is missing: ruleType PerContainer needs it")
    page.get_by_label("Items for each container").locator("visible=true").fill("5")
    page.get_by_role("button", name="Save").last.click()
    wait_for(lambda: not page.locator("#app-dialog").is_visible())
    saved = site.config()["apps"][-1]
    assert (saved["ruleType"], saved["metricType"]) == ("PerContainer", "Redis")
    # The kind is the default and was absent, so it stays absent.
    assert saved["config"] == {"targetPerContainer": 5, "url": "redis://r/0", "key": "mails"}
    open_form(page, "Edit mailer of the configuration")
    assert page.get_by_label("Items for each container").locator("visible=true").input_value() == "5"
    page.get_by_label("Kind").locator("visible=true").select_option("stream")
    page.get_by_role("button", name="Save").last.click()
    wait_for(lambda: site.config()["apps"][-1]["config"].get("kind") == "stream")


def test_several_metrics_in_place_of_rule_and_queue(site: Site, open_page: Open) -> None:
    site.configure("off")
    page = open_page(site.url)
    page.console.allowed.append("400")
    open_form(page, "Edit checkout")
    several = page.get_by_label("Several metrics, as JSON")
    several.fill('[{"ruleType": "Wait", "metricType": "Redis", "url": "redis://r/0"}')
    several.blur()
    assert shown(page) & {"ruleType", "metricType", "config.targetQueueLength"} == set()
    page.get_by_role("button", name="Save").last.click()
    text(page, "#field-metrics-problem", "^is not JSON: ")
    several.fill('[{"ruleType": "Wait", "metricType": "Redis", "url": "redis://r/0", "key": "a"}]')
    page.get_by_role("button", name="Save").last.click()
    text(page, "#field-metrics-problem", "is missing: ruleType Wait needs it")
    several.fill(
        '[{"ruleType": "Wait", "metricType": "Redis", "url": "redis://r/0", "key": "a", "maxWaitSeconds": 5}]'
    )
    page.get_by_role("button", name="Save").last.click()
    wait_for(lambda: not page.locator("#app-dialog").is_visible())
    saved = site.config()["apps"][0]
    assert saved["metrics"][0]["maxWaitSeconds"] == 5
    assert {"ruleType", "metricType"} & {*saved} == set()
    open_form(page, "Edit checkout")
    assert '"maxWaitSeconds": 5' in page.get_by_label("Several metrics, as JSON").input_value()


def test_a_command_may_be_a_list(site: Site, open_page: Open) -> None:
    site.configure("off")
    page = open_page(site.url)
    for command, saved in (
        ('["sh", "-c", "echo  a b"]', ["sh", "-c", "echo  a b"]),
        ("", ["sh", "-c", "echo  a b"]),  # left as it is
        ("[ -e file ]", "[ -e file ]"),
    ):
        open_form(page, "Edit checkout")
        if command:
            page.get_by_label("Command", exact=True).fill(command)
        page.get_by_role("button", name="Save").last.click()
        wait_for(lambda: not page.locator("#app-dialog").is_visible())
        assert site.config()["apps"][0]["config"]["command"] == saved


@pytest.mark.parametrize("answer", ["not there", "something else", "nothing"])
def test_a_server_without_declarations(site: Site, open_page: Open, answer: str) -> None:
    """Rule, metric and their fields can still be written, and are offered once the server declares them."""
    site.configure("off")
    page = open_page(site.url)
    page.console.allowed += ["404", "ERR_"]
    if answer == "nothing":
        page.route(SCHEMA, lambda route: route.abort())
    else:
        status, body = (404, '{"error": "there is no such page"}') if answer == "not there" else (200, "[]")
        page.route(SCHEMA, lambda route: route.fulfill(status=status, body=body))
    reload(page)
    open_form(page, "Edit checkout")
    text(page, "#app-note", "does not list its rules and metrics")
    assert page.get_by_label("Rule").locator("visible=true").input_value() == "Queue"
    assert '"query"' in page.get_by_label("More of its config").input_value()
    assert violations(page) == []
    page.get_by_label("At least").locator("visible=true").fill("3")
    page.get_by_role("button", name="Save").last.click()
    wait_for(lambda: not page.locator("#app-dialog").is_visible())
    first, saved = site.apps()[0], site.config()["apps"][0]
    assert saved == {**first, "minContainers": 3}
    page.unroute(SCHEMA)
    open_form(page, "Edit checkout")
    page.locator('[name^="config.query"]:visible').wait_for()
    assert not page.locator("#app-note").is_visible()
