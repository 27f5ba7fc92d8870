"""Which containers of an engine are services, and how many of each can run."""

from __future__ import annotations

from typing import Any

import pytest

from microscaling.clients.docker.compose import COPY_OF, OWN, Scope
from microscaling.config.services.discovery import service_of, templates
from microscaling.config.services.labels import is_enabled
from microscaling.config.services.limits import limit_of
from microscaling.config.services.plugin import ServicesConfig
from microscaling.errors import ConfigError
from microscaling.settings import Settings

OF = "com.docker.compose."


def labels(project: str, service: str, number: int = 1, **more: str) -> dict[str, str]:
    named = {f"{OF}{name.replace('_', '-')}": text for name, text in more.items()}
    return {
        f"{OF}project": project, f"{OF}service": service, f"{OF}container-number": str(number),
        f"{OF}oneoff": "False", **named,
    }  # fmt: skip


def listed(id: str, created: int = 1, **of: Any) -> dict[str, Any]:
    return {"Id": id, "Created": created, "Labels": of["labels"]}


def inspected(
    name: str = "/shop-web-1", of_host: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    return {
        "Name": name,
        "Config": {
            "Labels": labels("shop", "web") | {"microscaling.enable": "true"},
            "Image": "web:1",
            **more,
        },
        "HostConfig": of_host or {},
        "NetworkSettings": {"Networks": {"back": {"IPAMConfig": None}}},
    }


@pytest.mark.parametrize(
    ("projects", "expected"),
    [(None, "shop/web"), ({"shop"}, "web"), ({"shop", "other"}, "shop/web"), ({"other"}, "")],
)
def test_names_are_fixed_by_the_scope(projects: set[str] | None, expected: str) -> None:
    scope = Scope(None if projects is None else frozenset(projects))
    assert scope.task_of(labels("shop", "web")) == expected


@pytest.mark.parametrize(
    "not_one",
    [
        {f"{OF}oneoff": "True"}, {"com.docker.swarm.service.id": "x"}, {f"{OF}hook": "x"},
        {f"{OF}service": ""},
        {f"{OF}project": ""},
    ],
)  # fmt: skip
def test_what_is_no_service(not_one: dict[str, str]) -> None:
    assert Scope().task_of(labels("shop", "web") | not_one) == ""


def test_the_youngest_container_of_compose_stands_for_its_service() -> None:
    found = [
        listed("old", 5, labels=labels("shop", "web", 1)),
        listed("new", 7, labels=labels("shop", "web", 2)),
        listed("copy", 9, labels=labels("shop", "web", 3) | {COPY_OF: "old"}),
        listed("agent", 9, labels=labels("shop", "agent")),
        listed("second-agent", 9, labels=labels("shop", "agent", 2)),
    ]
    assert templates(found, Scope(frozenset({"shop"})), own="agent") == {"web": "new"}


@pytest.mark.parametrize("folder", ["/var/lib/docker/containers", "/containers/storage/overlay-containers"])
def test_the_agents_own_container_is_found(folder: str) -> None:
    id = 32 * "a1"
    assert OWN.search(f"1 2 0:3 {folder}/{id}/hostname /etc/hostname rw - ext4 /dev/a rw")[1] == id  # type: ignore[index]
    on_the_machine = f"1 2 0:3 / {folder}/{id}/userdata/shm rw - tmpfs shm rw"
    assert OWN.search(on_the_machine) is None, "a mount of each container, that the machine of the engine has"


def test_the_label_of_an_image_enables_nothing() -> None:
    of_image = service_of("web", inspected(), {"microscaling.enable": "true"})
    assert of_image.refusal.startswith("microscaling.enable is a label of its image, which does not count")
    found = service_of("web", inspected(StopTimeout=30), {})
    assert (found.image, found.stop_grace_s, found.most, found.refusal) == ("web:1", 30.0, None, "")


def test_the_label_of_an_image_wins_in_no_spelling() -> None:
    own = labels("shop", "web") | {"Microscaling.Enable": "true", "microscaling.enable": "false"}
    found = service_of("web", inspected(Labels=own), {"Microscaling.Enable": "true"})
    assert not is_enabled(found.labels)


def test_what_the_engine_removes_at_its_end_is_refused() -> None:
    assert "AutoRemove" in service_of("web", inspected(of_host={"AutoRemove": True}), {}).refusal


@pytest.mark.parametrize(
    ("of_host", "most", "word"),
    [
        ({"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}, 1, "port 8080 of the host"),
        ({"PortBindings": {"80/tcp": [{"HostPort": "8080-8083"}]}}, 4, "8080-8083"),
        ({"PortBindings": {"80/tcp": [{"HostPort": ""}], "81/tcp": None}}, None, ""),
        ({"NetworkMode": "container:abc"}, 1, "network_mode"),
    ],
)
def test_what_cannot_be_scaled(of_host: dict[str, Any], most: int | None, word: str) -> None:
    found, reasons = limit_of(inspected(of_host=of_host), "shop-web-1")
    assert found == most
    assert word in " ".join(reasons)


def test_names_and_addresses_that_only_one_can_have() -> None:
    named = service_of("web", inspected("/my-web"), {})
    assert named.most == 1
    assert "container_name" in named.reasons[0]
    fixed = inspected()
    fixed["NetworkSettings"]["Networks"]["back"]["IPAMConfig"] = {"IPv4Address": "172.30.0.9"}
    assert limit_of(fixed, "shop-web-1")[0] == 1
    for usual in ("/shop-web-1", "/shop_web_1"):
        assert service_of("web", inspected(usual), {}).most is None


@pytest.mark.parametrize(("cap", "why"), [("", "is not set"), ("ten", "expected a whole number")])
def test_the_cap_is_needed(cap: str, why: str) -> None:
    with pytest.raises(ConfigError) as refused:
        ServicesConfig(Settings(), {"MSS_MAX_CONTAINERS": cap} if cap else {})
    assert refused.value.problems[0].startswith(f"MSS_MAX_CONTAINERS: {why}")
