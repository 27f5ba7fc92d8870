"""The page, the server, an agent, and a real Docker engine."""

from __future__ import annotations

import pytest
from docker import APIClient

from tests.browser.conftest import Open, Site
from tests.browser.test_page import card, cells, expect_count
from tests.browser.test_why import says
from tests.integration.agents import Witness, app


@pytest.mark.integration
def test_slider_moves_containers(engine: APIClient, prefix: str, site: Site, open_page: Open) -> None:
    first, rest = prefix + "web", prefix + "batch"
    site.configure("manual", app(first, 1, maxContainers=8), app(rest, 2))
    witness = Witness(engine, prefix)
    with site.agent(MSS_SCHEDULER="DOCKER") as agent:
        page = open_page(site.url)
        slider = page.get_by_role("slider", name=f"Containers wanted of {first}")
        for value in (6, 2):
            slider.fill(str(value))
            witness.wait(web=value, batch=1)
            expect_count(cells(page, first), value)
        card(page, first).get_by_text("Containers", exact=True).click()
        rows = card(page, first).locator(".containers tbody tr")
        expect_count(rows, 2)
        says(rows.first, rf"^{first}-\d+[0-9a-f]{{12}}running\d+ (s|min)$")
        assert agent.stop() == 0
        expect_count(page.locator("#attach:visible"), 1)
    assert witness.left() == []
