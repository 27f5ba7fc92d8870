"""Proxies that ask for a name once, and services that are told of changes; without an engine."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from microscaling.clients.docker.compose import PROJECT, SERVICE, Scope
from microscaling.clients.docker.on_change_labels import labels_of
from microscaling.errors import PermanentError
from microscaling.scheduler.compose.on_change import OnChange
from microscaling.scheduler.compose.proxies import kind_of, once_named
from tests.services.service import wait_for
from tests.web.stage import EXAMPLES, PROXIES


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("nginx", "nginx"),
        ("nginx:1.25-alpine", "nginx"),
        ("registry:5000/team/my-nginx@sha256:00", "nginx"),
        ("haproxytech/haproxy-debian", "haproxy"),
        ("caddy:2", "caddy"),
        ("traefik:2.11", ""),
        ("example/web:3", ""),
        ("sha256:0011", ""),
    ],
)
def test_images(image: str, name: str) -> None:
    kind = kind_of(image)
    assert (kind.name if kind else "") == name


@pytest.mark.parametrize(
    ("proxy", "text", "line"),
    [
        ("nginx", "proxy_pass http://web;", True),
        ("nginx", "  proxy_pass  http://web:80/api/;", True),
        ("nginx", "upstream u { server web:8080 weight=2; }", True),
        ("nginx", "upstream u { server web:8080 resolve; }", False),
        ("nginx", "set $service web; proxy_pass http://$service:80;", False),
        ("nginx", "# proxy_pass http://web;", False),
        ("nginx", "proxy_pass http://website;", False),
        ("nginx", "proxy_pass http://web.example.com;", False),
        ("haproxy", "    server s1 web:80 check", True),
        ("haproxy", "    server s1 web:80 check resolvers docker", True),
        ("haproxy", "    server-template web 20 web:80 check resolvers docker", False),
        ("haproxy", "    server s1 webapi:80", False),
        ("caddy", "reverse_proxy web:80", True),
        ("caddy", "reverse_proxy /api/* other:80 web:80", True),
        ("caddy", "    to web:80", True),
        ("caddy", "    dynamic a web 80 {", False),
        ("caddy", "reverse_proxy my-web:80", False),
    ],
)
def test_lines_that_name_a_service_once(proxy: str, text: str, line: bool) -> None:
    kind = kind_of(proxy)
    assert kind is not None
    assert bool(once_named(kind, text, "web")) is line


@pytest.mark.parametrize("proxy", PROXIES)
def test_the_examples_do_not(proxy: str) -> None:
    kind = kind_of(proxy)
    assert kind is not None
    assert once_named(kind, (EXAMPLES / PROXIES[proxy][0]).read_text(), "web") == ""


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ({}, ("", ())),
        ({"microscaling.on-change.signal": "HUP"}, ("HUP", ())),
        ({"microscaling.onChange.signal": "sigusr2"}, ("USR2", ())),
        ({"microscaling.on-change.exec": '["nginx", "-s", "reload"]'}, ("", ("nginx", "-s", "reload"))),
    ],
)
def test_labels(labels: Mapping[str, str], found: tuple[str, tuple[str, ...]]) -> None:
    assert labels_of(labels) == found


@pytest.mark.parametrize(
    "labels",
    [
        {"microscaling.on-change.signal": "TERM"},
        {"microscaling.on-change.signal": "9"},
        {"microscaling.on-change.exec": "nginx -s reload"},
        {"microscaling.on-change.exec": "[]"},
        {"microscaling.on-change.exec": "[1]"},
    ],
)
def test_labels_that_are_wrong(labels: Mapping[str, str]) -> None:
    with pytest.raises(ValueError, match=r"microscaling\.on-change\.\w+: expected"):
        labels_of(labels)


def entry(id: str, project: str, state: str = "running", **labels: str) -> dict[str, Any]:
    named = {f"microscaling.on-change.{name}": value for name, value in labels.items()}
    return {"Id": id, "State": state, "Labels": {PROJECT: project, SERVICE: "proxy", **named}}


class Told:
    """Containers that want to be told, and what they were told."""

    def __init__(self, *containers: dict[str, Any], scope: Scope = Scope()) -> None:  # noqa: B008
        self.calls: list[tuple[str, object]] = []
        self.containers = containers
        self.fails = False
        self.asked = threading.Event()
        self.on_change = OnChange(self._listed, lambda: scope, self._call, self._call)

    def _listed(self, label: str) -> list[Mapping[str, Any]]:
        self.asked.set()
        return [one for one in self.containers if label in one["Labels"]]

    def _call(self, id: str, what: object) -> None:
        if self.fails:
            raise PermanentError("no such command")
        self.calls.append((id, what))


def test_those_of_the_project_that_run_are_told_once_for_several_changes() -> None:
    told = Told(
        entry("p1", "shop", signal="HUP"),
        entry("p2", "shop", exec='["reload"]'),
        entry("p3", "shop", "exited", signal="HUP"),
        entry("p4", "other", signal="HUP"),
    )
    for _ in range(5):
        told.on_change.changed("shop")
    wait_for(lambda: len(told.calls) == 2)
    told.on_change.changed("shop")
    wait_for(lambda: len(told.calls) == 4)
    told.on_change.close()
    assert told.calls[:2] == [("p1", "HUP"), ("p2", ("reload",))]


def test_a_project_that_is_not_the_agents_is_not_told() -> None:
    told = Told(entry("p1", "shop", signal="HUP"), scope=Scope(frozenset({"other"})))
    told.on_change.changed("shop")
    wait_for(told.asked.is_set)
    told.on_change.close()
    assert told.calls == []


def test_a_call_that_fails_is_said_once_and_tried_at_the_next_change(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = Told(entry("p1", "shop", signal="HUP"))
    told.fails = True
    for _ in range(2):
        told.asked.clear()
        told.on_change.changed("shop")
        wait_for(lambda: "p1 is not told of changes: no such command" in caplog.text)
    told.fails = False
    told.on_change.changed("shop")
    wait_for(lambda: told.calls == [("p1", "HUP")])
    told.on_change.close()
    assert caplog.text.count("is not told of changes") == 1
