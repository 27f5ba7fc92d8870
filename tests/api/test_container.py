"""The optional keys of `config`, in the forms of the Compose specification."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from microscaling.api.apps import apps_from_data
from microscaling.demand.container import ContainerOptions, Mount, Port
from microscaling.demand.task import Task
from microscaling.errors import ConfigError
from microscaling.settings import Settings


def task(**config: Any) -> Task:
    data = {"maxContainers": 9, "apps": [{"name": "a", "maxContainers": 3, "config": config}]}
    return apps_from_data(json.dumps(data).encode(), Settings())[0][0]


def test_nothing_given_is_as_the_go_agent_did_it() -> None:
    plain = task()
    assert plain.container == ContainerOptions()
    assert (plain.network_mode, plain.publish_all_ports, plain.env) == ("host", True, [])


@pytest.mark.parametrize(
    ("config", "mode", "publish"),
    [
        ({"publishAllPorts": False}, "host", True),  # as the Go agent had it; the engine ignores it there
        ({"networkMode": "bridge", "publishAllPorts": False}, "bridge", False),
        ({"networks": ["n"], "publishAllPorts": False}, "n", False),
        ({"networks": ["n"]}, "n", True),
    ],
)
def test_network_decides_whether_publishing_means_anything(
    config: dict[str, Any], mode: str, publish: bool
) -> None:
    made = task(**config)
    assert (made.network_mode, made.publish_all_ports) == (mode, publish)


@pytest.mark.parametrize(
    ("entry", "ports"),
    [
        (80, [Port(80)]),
        ("80", [Port(80)]),
        ("8080:80", [Port(80, host="8080")]),
        ("8000-8010:80/udp", [Port(80, "udp", host="8000-8010")]),
        ("127.0.0.1:8080:80", [Port(80, host_ip="127.0.0.1", host="8080")]),
        ("127.0.0.1::80", [Port(80, host_ip="127.0.0.1")]),
        ("[::1]:8080:80", [Port(80, host_ip="::1", host="8080")]),
        ("80-81", [Port(80), Port(81)]),
        ("90-91:80-81", [Port(80, host="90"), Port(81, host="91")]),
        ({"target": 80}, [Port(80)]),
        ({"target": 80, "published": "8080", "host_ip": "127.0.0.1"}, [Port(80, "tcp", "127.0.0.1", "8080")]),
        (
            {"target": 80, "published": 8080, "protocol": "udp", "mode": "host"},
            [Port(80, "udp", host="8080")],
        ),
    ],
)
def test_ports(entry: Any, ports: list[Port]) -> None:
    assert task(networkMode="bridge", ports=[entry]).container.ports == tuple(ports)


@pytest.mark.parametrize(
    ("entry", "mount"),
    [
        ("data:/d", Mount("volume", "data", "/d")),
        ("/d", Mount("volume", "", "/d")),
        ("/etc:/e:ro", Mount("bind", "/etc", "/e", True)),
        ({"type": "tmpfs", "target": "/t"}, Mount("tmpfs", "", "/t")),
        (
            {"type": "bind", "source": "/s", "target": "/t", "read_only": True},
            Mount("bind", "/s", "/t", True),
        ),
    ],
)
def test_volumes(entry: Any, mount: Mount) -> None:
    assert task(volumes=[entry]).container.mounts == (mount,)


@pytest.mark.parametrize(
    ("config", "name", "value"),
    [
        ({"memory": "64m"}, "memory", 64 * 2**20),
        ({"memory": "1gb"}, "memory", 2**30),
        ({"memory": "1.5G"}, "memory", 3 * 2**29),
        ({"memory": "64MiB"}, "memory", 64 * 2**20),
        ({"memory": "512kib"}, "memory", 2**19),
        ({"memory": "1t"}, "memory", 2**40),
        ({"memory": ".5g"}, "memory", 2**29),
        ({"memory": "2."}, "memory", 2),
        ({"memory": 1000}, "memory", 1000),
        ({"cpus": 0.5}, "cpus", 0.5),
        ({"cpus": "1.5"}, "cpus", 1.5),
        ({"labels": ["a=b=c", "d"]}, "labels", {"a": "b=c", "d": ""}),
        ({"labels": {"a": "b", "c": 1, "d": None}}, "labels", {"a": "b", "c": "1", "d": ""}),
        ({"networks": ["x", "y"]}, "networks", ("x", "y")),
        ({"networks": {"x": None, "y": {}}}, "networks", ("x", "y")),
        ({"stopGraceSeconds": 2.5}, "stop_grace_s", 2.5),
        ({"stopGraceSeconds": 0}, "stop_grace_s", 0.0),
    ],
)
def test_options(config: dict[str, Any], name: str, value: object) -> None:
    assert getattr(task(**config).container, name) == value


@pytest.mark.parametrize(
    "env",
    [
        ["A=1=2", "B=", "FROM_AGENT", "NOT_THERE"],
        {"A": "1=2", "B": "", "FROM_AGENT": None, "NOT_THERE": None},
    ],
)
def test_env(env: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_AGENT", "x")
    monkeypatch.delenv("NOT_THERE", raising=False)
    assert task(env=env).env == ["A=1=2", "B=", "FROM_AGENT=x"]


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"ports": ["80"]}, "ports: the containers are on the host's network"),
        ({"networkMode": "bridge", "networks": ["n"]}, "networkMode: networks are given too"),
        ({"networkMode": "service:x"}, "networkMode: expected host, none, bridge or container:NAME"),
        ({"networks": {"n": {"aliases": ["x"]}}}, "networks.n: options of a network are not supported"),
        ({"networks": [3]}, "networks[0]: expected the name of a network, got 3"),
        ({"volumes": ["./a:/b"]}, "volumes[0]: expected an absolute path on the engine's host"),
        ({"volumes": ["a"]}, "volumes[0]: expected an absolute path in the container"),
        ({"volumes": ["a:/b:z"]}, "volumes[0]: expected SOURCE:TARGET"),
        (
            {"volumes": [{"type": "bind", "source": "/a", "target": "/b", "bind": {}}]},
            "volumes[0].bind: there is no",
        ),
        (
            {"volumes": [{"type": "npipe", "target": "/b"}]},
            "volumes[0]: type: expected bind, volume or tmpfs",
        ),
        ({"memory": "64q"}, "memory: expected bytes, or text such as"),
        ({"memory": "64ib"}, "memory: expected bytes, or text such as"),
        ({"memory": -1}, "memory: expected bytes, or text such as"),
        ({"cpus": "many"}, "cpus: expected a number of processors from 0 to 4096"),
        ({"cpus": True}, "cpus: expected a number of processors from 0 to 4096"),
        ({"stopGraceSeconds": -1}, "stopGraceSeconds: expected a number of seconds from 0 to 3600"),
        ({"env": {"A": True}}, "env.A: expected text or a number, got true: put it in quotes"),
        ({"env": ["=x"]}, "env[0]: there is no name before the ="),
        ({"env": "A=1"}, 'env: expected a list, got "A=1"'),
        (
            {"labels": ["com.microscaling.nonce=1"]},
            "labels.com.microscaling.nonce: the agent itself sets this",
        ),
        ({"publishAllPorts": "yes"}, 'publishAllPorts: expected true or false, got "yes"'),
    ],
)
def test_problem(config: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        task(**config)
    assert len(error.value.problems) == 1
    assert str(error.value).startswith("apps[0].config." + problem)


@pytest.mark.parametrize(
    "port",
    ["x", "0", "65536", "80:", "1-2:3-5", "9-8", "80/icmp", "1.2.3:80:80", "a:80:80", True, 1.5, {},
     {"target": "x"}, {"target": 80, "publish": 3}, None],
)  # fmt: skip
def test_bad_port(port: object) -> None:
    with pytest.raises(ConfigError) as error:
        task(networkMode="bridge", ports=[port])
    assert str(error.value).startswith("apps[0].config.ports[0]")


@pytest.mark.parametrize(("host", "warned"), [("8080", True), ("8000-8001", True), ("8000-8002", False)])
def test_too_few_ports_of_the_host(host: str, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "mssconfig"):
        task(networkMode="bridge", ports=[f"{host}:80"])
    assert any("of up to 3 containers can have this port" in message for message in caplog.messages) == warned


def test_values_of_variables_stay_out_of_errors() -> None:
    with pytest.raises(ConfigError) as error:
        task(env=["=hunter22", {"PASSWORD": "hunter22"}])
    assert "hunter22" not in str(error.value)
