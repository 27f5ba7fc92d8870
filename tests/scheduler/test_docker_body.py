"""What a Docker engine is asked to create."""

from __future__ import annotations

import re

import pytest

from microscaling.demand.container import ContainerOptions, Mount, Port
from microscaling.demand.drain import Busy, Way
from microscaling.demand.task import Task
from microscaling.scheduler.docker.body import LABEL, create_body


def test_what_is_left_out_is_as_the_go_agent_did_it() -> None:
    task = Task("p1", image="img", command=" run  --fast ", network_mode="host", publish_all_ports=True)
    task.env = ["A=1"]
    assert create_body(task, "n1") == {
        "Image": "img",
        "Cmd": ["run", "--fast"],
        "Env": ["A=1"],
        "Labels": {LABEL: "p1", "com.microscaling.nonce": "n1"},
        "HostConfig": {"NetworkMode": "host", "PublishAllPorts": True, "Binds": [], "Mounts": []},
    }


def test_without_a_command_the_image_has_its_own() -> None:
    assert "Cmd" not in create_body(Task("p1", image="img"), "n1")


ADDED = [
    (ContainerOptions(memory=1 << 20), "Memory", 1 << 20),
    (ContainerOptions(cpus=1.5), "NanoCpus", 1_500_000_000),
    (ContainerOptions(networks=("front", "back")), "NetworkMode", "front"),
    (
        ContainerOptions(ports=(Port(80, host="8080"), Port(80, host_ip="127.0.0.1", host="8000-8010"))),
        "PortBindings",
        {
            "80/tcp": [
                {"HostIp": "", "HostPort": "8080"},
                {"HostIp": "127.0.0.1", "HostPort": "8000-8010"},
            ]
        },
    ),
    (ContainerOptions(mounts=(Mount("bind", "/src", "/dst", True),)), "Binds", ["/src:/dst:ro"]),
    (
        ContainerOptions(mounts=(Mount("volume", "data", "/dst"), Mount("tmpfs", "", "/tmp"))),
        "Mounts",
        [
            {"Type": "volume", "Source": "data", "Target": "/dst", "ReadOnly": False},
            {"Type": "tmpfs", "Target": "/tmp", "ReadOnly": False},
        ],
    ),
]


@pytest.mark.parametrize(("options", "key", "value"), ADDED)
def test_what_a_configuration_adds(options: ContainerOptions, key: str, value: object) -> None:
    assert create_body(Task("p1", container=options), "n")["HostConfig"][key] == value


def test_own_labels_do_not_hide_ours() -> None:
    task = Task("p1", container=ContainerOptions(labels={LABEL: "forged", "team": "blue"}))
    assert create_body(task, "n")["Labels"] == {LABEL: "p1", "team": "blue", "com.microscaling.nonce": "n"}


def test_host_names_of_their_own_where_the_source_knows_consumers_by_them() -> None:
    task = Task("Mail & more.x", image="x", network_mode="host")
    assert "Hostname" not in create_body(task, "n")
    task.busy = Busy(Way.SOURCE)
    names = {create_body(task, nonce)["Hostname"] for nonce in ("1", "2")}
    assert len(names) == 2
    assert all(re.fullmatch("mail-more-x-[0-9a-f]{12}", name) for name in names)
    assert "ExtraHosts" not in create_body(task, "1")["HostConfig"]
    task.network_mode = "bridge"
    assert "Hostname" not in create_body(task, "1"), "it is a part of the id"
