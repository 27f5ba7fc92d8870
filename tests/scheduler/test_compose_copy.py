"""The request for a copy of a container that Compose made: pure."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import docker
import pytest
import requests
from docker.errors import APIError

from microscaling.clients.docker.compose import COPY_OF, NUMBER
from microscaling.scheduler.compose.copy import copy_of, is_usual, name_of
from microscaling.scheduler.compose.files import Files

ID = "0123456789ab" + "c" * 52
VOLUME = "d" * 64


def original(**more: Any) -> dict[str, Any]:
    config = {
        "Hostname": ID[:12], "Image": "web:1", "Env": ["A=b"], "ExposedPorts": {"80/tcp": {}},
        "MacAddress": "02:42:ac:12:00:02",
        "Labels": {
            "com.docker.compose.project": "shop", "com.docker.compose.service": "web", NUMBER: "1",
            "com.docker.compose.config-hash": "h", "com.docker.compose.replace": "web-1",
        },
    }  # fmt: skip
    host = {
        "NetworkMode": "shop_back", "Binds": ["shop_data:/data:rw", f"{VOLUME}:/cache:rw"],
        "PortBindings": {"80/tcp": [{"HostPort": ""}]}, "ContainerIDFile": "/x",
    }  # fmt: skip
    endpoint = {
        "Aliases": ["web", "shop-web-1", ID[:12]], "MacAddress": "02:42:ac:12:00:02",
        "IPAddress": "172.18.0.2",
        "IPAMConfig": {"IPv4Address": "172.18.0.2", "LinkLocalIPs": ["169.254.1.1"]}, "Links": ["db:db"],
        "NetworkID": "n", "DriverOpts": None,
    }  # fmt: skip
    made = {
        "Id": ID, "Name": "/shop-web-1", "Image": "sha256:1", "Config": config, "HostConfig": host,
        "Mounts": [
            {"Type": "volume", "Name": VOLUME, "Destination": "/cache"},
            {"Type": "volume", "Name": "shop_data", "Destination": "/data"},
        ],
        "NetworkSettings": {"Networks": {"shop_back": endpoint, "shop_front": {"Aliases": ["web"]}}},
    }  # fmt: skip
    for key, value in more.items():
        if isinstance(value, dict):
            made[key] |= value
        else:
            made[key] = value
    return made


def test_labels_carry_over_but_for_the_number_and_the_mark() -> None:
    labels = copy_of(original(), 3, "web:1", "1.41").body["Labels"]
    assert labels[NUMBER] == "3"
    assert labels[COPY_OF] == ID
    assert labels["com.docker.compose.config-hash"] == "h"
    assert "com.docker.compose.replace" not in labels


def test_what_is_of_one_container_alone_does_not() -> None:
    made = copy_of(original(), 3, "sha256:1", "1.41")
    assert made.name == "shop-web-3"
    assert made.body["Hostname"] == ""
    assert made.body["Image"] == "sha256:1"
    assert "MacAddress" not in made.body
    assert made.body["HostConfig"]["Binds"] == ["shop_data:/data:rw"]
    assert made.body["HostConfig"]["ContainerIDFile"] == ""
    assert made.body["Env"] == ["A=b"]


def test_endpoints_have_only_what_a_person_has_set() -> None:
    made = copy_of(original(), 3, "web:1", "1.41")
    assert made.body["NetworkingConfig"]["EndpointsConfig"] == {
        "shop_back": {
            "Aliases": ["web", "shop-web-3"],
            "Links": ["db:db"],
            "IPAMConfig": {"LinkLocalIPs": ["169.254.1.1"]},
        }
    }  # fmt: skip
    assert made.others == {"shop_front": {"Aliases": ["web"]}}


def test_newer_engines_take_all_networks_at_once() -> None:
    made = copy_of(original(), 3, "web:1", "1.44")
    assert set(made.body["NetworkingConfig"]["EndpointsConfig"]) == {"shop_back", "shop_front"}
    assert made.others == {}


@pytest.mark.parametrize("mode", ["host", "none", "bridge", "default", f"container:{ID}"])
def test_networks_without_endpoints(mode: str) -> None:
    networks = {"bridge": {"Aliases": None}} if mode in ("bridge", "default") else {"shop_back": {}}
    made = copy_of(
        original(HostConfig={"NetworkMode": mode}, NetworkSettings={"Networks": networks}), 2, "web:1", "1.41"
    )
    assert "NetworkingConfig" not in made.body
    assert made.others == {}
    assert ("ExposedPorts" in made.body) == (not mode.startswith("container:"))


@pytest.mark.parametrize(
    ("hostname", "mode", "expected"),
    [
        (ID[:12], "shop_back", ""),
        ("mine", "shop_back", "mine"),
        ("mine", "host", ""),
        ("m", "container:x", ""),
    ],
)
def test_a_hostname_that_a_person_has_set_stays(hostname: str, mode: str, expected: str) -> None:
    made = copy_of(
        original(Config={"Hostname": hostname}, HostConfig={"NetworkMode": mode}), 2, "web:1", "1.41"
    )
    assert made.body["Hostname"] == expected


def test_anonymous_volumes_in_mounts_become_new_ones() -> None:
    mounts = [
        {"Type": "volume", "Source": VOLUME, "Target": "/cache"},
        {"Type": "volume", "Source": "shop_data"},
    ]
    made = copy_of(original(HostConfig={"Mounts": mounts}), 2, "web:1", "1.41")
    assert made.body["HostConfig"]["Mounts"] == [{"Type": "volume", "Target": "/cache"}, mounts[1]]


def test_an_original_as_podman_shows_it() -> None:
    """It has the mode `bridge` for every network, no request for volumes without a name, and limits twice."""
    host = {"NetworkMode": "bridge", "NanoCpus": 500_000_000, "CpuPeriod": 100_000, "CpuQuota": 50_000}
    body = copy_of(original(HostConfig=host, Config={"Volumes": None}), 2, "web:1", "1.41").body
    assert "shop_back" in body["NetworkingConfig"]["EndpointsConfig"]
    assert body["Volumes"] == {"/cache": {}}
    assert (body["HostConfig"]["NanoCpus"], body["HostConfig"]["CpuQuota"]) == (500_000_000, 0)
    of_engine = {"Networks": {"podman": {"Aliases": [ID[:12]]}}}
    made = copy_of(original(HostConfig=host, NetworkSettings=of_engine), 2, "web:1", "1.41")
    assert "NetworkingConfig" not in made.body


@pytest.mark.parametrize(
    ("name", "copy", "usual"),
    [
        ("/shop-web-1", "shop-web-2", True),
        ("/shop_web_1", "shop_web_2", True),
        ("/sh_op_web_1", "sh_op_web_2", True),
        ("/0a1b2c3d4e5f_shop_web_1", "0a1b2c3d4e5f_shop_web_2", False),
        ("/my-own", "shop-web-2", False),
    ],
)
def test_names_have_the_separator_of_the_project(name: str, copy: str, usual: bool) -> None:
    made = original(Name=name)
    assert is_usual(made) is usual
    if usual:
        assert name_of(made, 2) == copy


@pytest.mark.parametrize(("status", "raises"), [(403, False), (500, True)])
def test_a_filter_that_keeps_secrets_in_costs_only_these(
    status: int, raises: bool, caplog: pytest.LogCaptureFixture
) -> None:
    answer = requests.Response()
    answer.status_code = status
    answer.request = requests.Request("GET", f"http://x/v1.41/containers/{ID}/changes").prepare()

    class Filtered(docker.APIClient):
        def __init__(self) -> None:
            """Connects to nothing."""

        def diff(self, container: str) -> list[dict[str, Any]]:
            raise APIError("refused", answer)

    with pytest.raises(APIError) if raises else nullcontext():
        Files().carry(Filtered(), original() | {"State": {"Status": "running"}}, "copy")


def test_secrets_are_looked_for_once_but_before_the_start_each_time() -> None:
    class Asked(docker.APIClient):
        def __init__(self) -> None:
            """Connects to nothing."""
            self.times = 0

        def diff(self, container: str) -> list[dict[str, Any]]:
            self.times += 1
            return []

    client, files = Asked(), Files()
    created, started = (original() | {"State": {"Status": status}} for status in ("created", "running"))
    files.carry(client, created, "copy")  # Compose may be about to write them
    files.learn(client, started)
    for copy in ("copy", "other"):
        files.carry(client, started, copy)
    assert client.times == 2
