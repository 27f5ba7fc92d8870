"""What a person sees and does."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.browser.conftest import TOKEN, USER, Open, Site, reload
from tests.integration.agents import app, wait_for

HOSTILE = '<img src=x onerror="document.title=1">'


def cells(page: Any, task: str, state: str = "run") -> Any:
    return card(page, task).locator(f".cells .{state}")


def card(page: Any, task: str) -> Any:
    return page.locator("#tasks > li").filter(has=page.get_by_role("heading", name=task, exact=True))


def expect_count(locator: Any, least: int, most: int | None = None) -> None:
    most = least if most is None else most
    wait_for(lambda: least <= locator.count() <= most, f"{least} to {most} of {locator}")


def text(page: Any, selector: str, pattern: str) -> None:
    """Waits until the text of the first that is found matches."""
    found = page.locator(selector).first
    wait_for(lambda: re.search(pattern, found.text_content() or ""), f"{pattern} in {selector}")


def open_form(page: Any, button: str) -> None:
    """Clicks the button and waits for the form, which opens once the server has answered with its fields."""
    page.get_by_role("button", name=button, exact=True).click()
    page.locator("#app-dialog").wait_for()


def test_live_update_from_a_real_agent(scene: Site, open_page: Open) -> None:
    page = open_page(scene.url)
    expect_count(cells(page, "checkout"), 1)
    expect_count(cells(page, "batch"), 9)
    scene.queues.put("checkout", 500)
    expect_count(cells(page, "checkout"), 8)
    expect_count(cells(page, "batch"), 2)
    expect_count(page.locator("#shared .run"), 10)
    text(page, "#running", "^10$")
    text(page, "#decisions", "checkout.*→.*queue 500 of target 20")
    text(page, "#tasks .metric", "500 waiting, target 20")
    text(page, "#agents", "last word just now")
    picture = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(value => value > 0)"
    wait_for(lambda: page.locator("#shares canvas").evaluate(picture))


def test_nothing_is_known_yet(site: Site, open_page: Open) -> None:
    page = open_page(site.url, permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the command for a shell").click()
    wanted = ["MSS_API_ADDRESS=" + site.address, f"MSS_USER_ID={USER}", "MSS_DEMAND_ENGINE=SERVER"]
    # The page has it written, and waits for no answer.
    copied = "navigator.clipboard.readText()"
    wait_for(lambda: all(line in page.evaluate(copied) for line in wanted), f"{wanted} in the clipboard")
    assert page.locator("input[name=mode]").first.is_disabled()
    page.get_by_role("button", name="Take the demo's").click()
    expect_count(page.locator("#apps > li"), 2)
    assert [entry["name"] for entry in site.config()["apps"]] == ["priority-1", "priority-2"]


def test_a_task_without_a_reading_does_not_wait_for_nothing(site: Site, open_page: Open) -> None:
    site.configure("queue")
    page = open_page(site.url)
    text(page, "#tasks .metric", "^no reading, target 20$")
    with site.running.agent(USER) as agent:
        agent.report(checkout=(3, 3, 0), batch=(7, 7, 0))  # as the Go agent that measures nothing
        text(page, "#tasks .reason", "^Held: the agent has sent no reading of it")
        text(page, "#tasks .metric", "^no reading, target 20$")
        agent.report(checkout=(3, 3, 7), batch=(7, 7, 0))
        text(page, "#tasks .metric", "^7 waiting, target 20$")
        agent.report(checkout=(3, 3, 0), batch=(7, 7, 0))
        text(page, "#tasks .metric", "^0 waiting, target 20$")


@pytest.mark.parametrize(
    ("metric", "jobs", "words"),
    [
        (12, {"waiting": 12, "future": 30}, "12 waiting, 30 for later, running not known"),
        (16, {"waiting": 12, "running": 4, "stuck": 1}, "16 counted: 12 waiting, 4 running, 1 stuck"),
        (0, {"waiting": 12, "running": 0, "paused": True}, "0 counted: 12 waiting, paused"),
    ],
)
def test_jobs_by_their_state(
    site: Site, open_page: Open, metric: int, jobs: dict[str, Any], words: str
) -> None:
    site.configure("queue")
    page = open_page(site.url)
    with site.running.agent(USER) as agent:
        task = {"app": "checkout", "target": 20, "metric": metric, "jobs": jobs}
        agent.report({"name": "box", "tasks": [task]}, checkout=(3, 3, metric), batch=(7, 7, 0))
        text(page, "#tasks .metric", f"^{words}, target 20$")


def test_sliders_pause_and_modes(scene: Site, open_page: Open) -> None:
    page = open_page(scene.url)
    page.get_by_role("radio", name="Manual").check(force=True)
    slider = page.get_by_role("slider", name="Containers wanted of checkout")
    expect_count(cells(page, "checkout"), 1)
    slider.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    expect_count(cells(page, "checkout"), 5)
    text(page, "#decisions", "checkout.*the server wants 5|set by hand")
    page.get_by_role("button", name="Pause").click()
    text(page, "#mode-hint", "Paused")
    page.get_by_role("button", name="Resume").click()
    text(page, "#mode-hint", "sliders")
    page.get_by_role("radio", name="Manual").focus()
    page.keyboard.press("ArrowRight")
    text(page, "#mode-hint", "queues")
    wait_for(lambda: scene.running.get(f"/api/users/{USER}")["mode"] == "queue")


def test_edit_shows_problems_at_the_fields_then_saves(site: Site, open_page: Open) -> None:
    site.configure("off")
    page = open_page(site.url)
    page.console.allowed.append("400")  # a browser always tells of an answer of that kind
    edit = page.get_by_role("button", name="Edit checkout", exact=True)
    edit.click()
    least = page.get_by_label("At least").locator("visible=true")
    least.fill("ten")
    page.get_by_label("More of its config").fill('{"memory": "much", "labels": {"team": "a"}}')
    page.get_by_role("button", name="Save").last.click()
    text(page, "#field-minContainers-problem", 'expected a whole number, got "ten"')
    text(page, "#field-config-problem", "memory|bytes|64m")
    assert least.get_attribute("aria-invalid") == "true"
    assert least.evaluate("field => field === document.activeElement")
    least.fill("2")
    page.get_by_label("More of its config").fill('{"labels": {"team": "a"}}')
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Save").last.click()
    wait_for(lambda: not page.locator("#app-dialog").is_visible())
    saved = site.config()["apps"][0]
    assert (saved["minContainers"], saved["config"]["labels"]) == (2, {"team": "a"})
    assert saved["config"]["query"] == site.apps()[0]["config"]["query"]
    # A dialog tells of its end only a moment after it is hidden.
    wait_for(lambda: edit.evaluate("button => button === document.activeElement"))


def test_edit_is_pressed_before_the_configuration_has_come(site: Site, open_page: Open) -> None:
    site.configure("off")
    page = open_page(site.url)
    held: list[Any] = []
    page.route("**/config", lambda route: held.append(route))
    with page.expect_request("**/config"):
        reload(page)
    page.get_by_role("button", name="Edit checkout", exact=True).click()
    assert not page.locator("#app-dialog").is_visible()
    page.route("**/config", lambda route: route.continue_())
    for route in held:
        route.continue_()
    page.locator("#app-dialog").wait_for()


def test_add_remove_cap_and_download(site: Site, open_page: Open) -> None:
    site.configure("off")
    page = open_page(site.url)
    page.console.allowed.append("400")
    open_form(page, "Add an app")
    page.locator("#field-name").fill("mailer")
    page.get_by_label("Gets", exact=True).select_option("Remainder")
    assert not page.get_by_label("Its queue is in").is_visible()
    page.get_by_label("Image").fill("example/mailer")
    page.keyboard.press("Enter")
    expect_count(page.locator("#apps > li"), 3)
    page.get_by_role("button", name="Remove batch").click()
    page.locator("#confirm-yes").click()
    expect_count(page.locator("#apps > li"), 2)
    cap = page.get_by_label("Containers that all share")
    for value in ("lots", "12"):
        cap.fill(value)
        page.keyboard.press("Enter")
        text(page, "#cap-problem", 'got "lots"' if value == "lots" else "^$")
    wait_for(lambda: site.config()["maxContainers"] == 12)
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON").click()
    with open(download.value.path()) as file:
        assert [entry["name"] for entry in json.load(file)["apps"]] == ["checkout", "mailer"]


def test_what_is_being_typed_stays_while_somebody_else_saves(site: Site, open_page: Open) -> None:
    site.configure("off")
    page = open_page(site.url)
    cap = page.get_by_label("Containers that all share")
    wait_for(lambda: cap.input_value() == "10")
    cap.fill("12")
    put(site, 9, site.apps()[:1])
    expect_count(page.locator("#apps > li"), 1)
    assert cap.input_value() == "12"
    page.keyboard.press("Enter")
    wait_for(lambda: site.config()["maxContainers"] == 12)
    assert len(site.config()["apps"]) == 1
    put(site, 8, site.apps())
    wait_for(lambda: cap.input_value() == "8", "it is no longer being typed")


def test_somebody_else_was_faster(site: Site, open_page: Open) -> None:
    site.configure("off")
    page = open_page(site.url)
    page.console.allowed.append("412")
    open_form(page, "Edit batch")
    page.get_by_role("textbox", name="Priority").fill("7")
    page.route(
        "**/config",
        lambda route: route.continue_() if route.request.method == "GET" else conflict(route, site),
    )
    page.get_by_role("button", name="Save").last.click()
    text(page, "#app-problems", "the configuration has been changed elsewhere")
    page.unroute("**/config")
    page.get_by_role("button", name="Save").last.click()
    wait_for(lambda: site.config()["apps"][1]["priority"] == 7)
    assert site.config()["maxContainers"] == 9


def test_what_somebody_else_saves_is_not_lost_while_it_is_being_read(site: Site, open_page: Open) -> None:
    site.configure("off")
    page = open_page(site.url)
    page.console.allowed.append("412")
    open_form(page, "Edit batch")
    page.get_by_role("textbox", name="Priority").fill("7")
    held: list[Any] = []
    page.route(
        "**/config",
        lambda route: held.append(route) if route.request.method == "GET" else route.continue_(),
    )
    with page.expect_request("**/config"):
        put(site, 9, site.apps())
    save = page.get_by_role("button", name="Save").last
    with page.expect_response(lambda answer: answer.request.method == "PUT") as saved:
        save.click()
    assert saved.value.status == 412
    page.route("**/config", lambda route: route.continue_())
    for route in held:
        route.continue_()
    text(page, "#app-problems", "the configuration has been changed elsewhere")
    page.unroute("**/config")  # else the request would wait for this thread, which waits for it
    save.click()
    wait_for(lambda: site.config()["apps"][1]["priority"] == 7)
    assert site.config()["maxContainers"] == 9


def test_somebody_else_saves_while_the_form_is_open(site: Site, open_page: Open) -> None:
    """Saved is the app that is shown, wherever it is by then, and only if nobody else has changed it."""
    first, batch = site.apps()
    last = {**first, "name": "last", "priority": 3}
    site.configure("off", first, batch, last)
    page = open_page(site.url)
    open_form(page, "Edit batch")
    priority, save = page.locator("#field-priority"), page.get_by_role("button", name="Save").last
    priority.fill("7")
    put(site, 10, [batch, last])
    expect_count(page.locator("#apps > li"), 2)
    save.click()
    page.locator("#app-dialog").wait_for(state="hidden")
    batch = {**batch, "priority": 7}
    assert site.config()["apps"] == [batch, last]
    open_form(page, "Edit batch")
    priority.fill("8")
    batch = {**batch, "maxContainers": 5}
    put(site, 10, [batch, last])
    text(page, "#apps > li", "0 to 5|1 to 5")
    save.click()
    text(page, "#app-problems", "somebody else has changed batch: save again to have it as it is here")
    assert site.config()["apps"] == [batch, last]
    save.click()
    page.locator("#app-dialog").wait_for(state="hidden")
    assert site.config()["apps"] == [{**batch, "priority": 8, "maxContainers": 10}, last]
    open_form(page, "Edit batch")
    put(site, 10, [last])
    expect_count(page.locator("#apps > li"), 1)
    save.click()
    text(page, "#app-problems", "somebody else has removed batch")
    assert site.config()["apps"] == [last]


def conflict(route: Any, site: Site) -> None:
    """Somebody else saves, just before this request arrives."""
    put(site, 9, site.apps())
    route.continue_()


def put(site: Site, cap: int, apps: list[dict[str, Any]]) -> None:
    """Somebody else saves."""
    version = site.running.get(f"/api/users/{USER}/config")["version"]
    config = {"maxContainers": cap, "apps": apps}
    site.running.put(f"/api/users/{USER}/config", {"version": version, "config": config})


def test_token_login(guarded: Site, open_page: Open) -> None:
    page = open_page(guarded.url)
    field = page.get_by_label("Token of this server")
    field.fill("wrong")
    page.get_by_role("button", name="Log in").click()
    text(page, "#failed", "not the token")
    field.fill(TOKEN)
    page.keyboard.press("Enter")
    text(page, "#connection", "live")
    text(page, "#attach-shell", "MSS_API_TOKEN")
    assert TOKEN not in page.content()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")


def test_session_that_has_ended_leads_to_the_login(guarded: Site, open_page: Open) -> None:
    page = open_page(guarded.url)
    page.get_by_label("Token of this server").fill(TOKEN)
    page.keyboard.press("Enter")
    text(page, "#connection", "live")
    page.console.allowed += ["401", "ERR_", "EventSource"]
    guarded.stop()
    guarded.environ["MSS_SERVER_TOKEN"] = "another-token-of-that-server"
    guarded.start()
    page.wait_for_url("**/login")


def test_comes_back_after_a_restart_of_the_server(scene: Site, open_page: Open) -> None:
    page = open_page(scene.url)
    expect_count(cells(page, "batch"), 9)
    page.evaluate("window.thisIsTheSamePage = true")
    page.console.allowed += ["ERR_"]
    scene.stop()
    text(page, "#connection", "reconnecting")
    page.locator("#away").wait_for()
    assert cells(page, "batch").count() == 9  # what was seen last stays
    scene.start()
    text(page, "#connection", "live")
    scene.queues.put("checkout", 500)
    expect_count(cells(page, "checkout"), 8)
    text(page, "#announcements", "checkout from|Connected")
    assert page.evaluate("window.thisIsTheSamePage")


def test_names_are_data(site: Site, open_page: Open) -> None:
    name = HOSTILE.replace("1", "2")
    site.configure("off", app(HOSTILE, 1))
    page = open_page(site.url)
    with site.running.agent(USER) as agent:
        detail = {
            "name": HOSTILE,
            "hold": HOSTILE,
            "engine": "SERVER",
            "tasks": [{"app": name, "held": HOSTILE}],
        }
        agent.report(detail, **{HOSTILE: (1, 1, 0), name: (1, 1, 0)})
        expect_count(page.get_by_role("heading", name=HOSTILE), 1)
        text(page, "#agents", "<img")
        text(page, "#tasks", "Held: <img")
        open_form(page, f"Edit {HOSTILE}")
        text(page, "#app-title", "<img")
        assert page.locator("img[src=x]").count() == 0
        assert page.title() == f"{USER} · Microscaling"


def test_another_user(site: Site, open_page: Open) -> None:
    site.configure("off")
    page = open_page(f"{site.running.url}/?user=nobody")
    text(page, "#attach-shell", "MSS_USER_ID=nobody")
    wait_for(lambda: page.locator("#user option[value=shop]").count() == 1)
    page.locator("#user").select_option(USER)
    expect_count(page.locator("#tasks > li"), 2)
    page.locator("#user").select_option("")
    page.get_by_label("Name, as in").fill("it's me")
    page.keyboard.press("Enter")
    text(page, "#attach-shell", r"MSS_USER_ID='it'\\''s me'")
    page.go_back()
    expect_count(page.locator("#tasks > li"), 2)


def test_a_name_that_nobody_can_have(site: Site, open_page: Open) -> None:
    page = open_page(f"{site.running.url}/?user=a%2Fb")
    page.console.allowed.append("404")
    text(page, "#notice", 'Nothing can be shown of "a/b": no site can have this name')


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_sticks_out_of_a_narrow_screen(scene: Site, open_page: Open, width: int) -> None:
    page = open_page(scene.url, width=width)
    expect_count(cells(page, "batch"), 9)
    page.get_by_role("radio", name="Manual").check(force=True)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    open_form(page, "Edit checkout")
    box = page.locator("#app-dialog").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width


def test_dark_by_the_system_and_by_choice(site: Site, open_page: Open) -> None:
    page = open_page(site.url, color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    toggle = page.get_by_role("button", name="Colours")
    toggle.click()
    light = page.evaluate(ground)
    assert sum(map(int, re.findall(r"\d+", dark))) < 100 < 600 < sum(map(int, re.findall(r"\d+", light)))
    reload(page)
    assert page.evaluate(ground) == light
    toggle.click()
    assert page.evaluate(ground) == dark
