"""Words of Compose in a task's `config`: a real engine shows of our container what it shows of Compose's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from docker import APIClient

from microscaling.api.apps import apps_from_parsed
from microscaling.demand.task import Task
from microscaling.scheduler.docker.backend import DockerBackend
from microscaling.settings import Settings
from tests.integration.engines import BUSYBOX, give_up

HOST = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
NEWER = ("gpus", "device requests", "long devices", "limits")
"""Compose 1.29, of Debian, does not know these words, or only heeds them in a swarm."""
GPU = {"driver": "nvidia", "capabilities": ["gpu"], "count": 1}
WORDS: dict[str, dict[str, Any]] = {
    "user": {"user": "1000:1000"},
    "read_only": {"read_only": True},
    "privileged": {"privileged": True},
    "cap_drop": {"cap_drop": ["ALL"]},
    "cap_add": {"cap_add": ["NET_ADMIN", "SYS_TIME"]},
    "security_opt": {"security_opt": ["no-new-privileges:true", "seccomp:unconfined"]},
    "seccomp": {"security_opt": ["seccomp:PROFILE"]},
    "init": {"init": True},
    "no init": {"init": False},
    "tmpfs": {"tmpfs": ["/run", "/tmp:size=64m,mode=1777"]},
    "one tmpfs": {"tmpfs": "/run"},
    "ulimits": {"ulimits": {"nofile": {"soft": 1024, "hard": 2048}, "nproc": 100}},
    "devices": {"devices": ["/dev/null:/dev/nothing:r", "/dev/zero"]},
    "long devices": {"devices": [{"source": "/dev/null", "target": "/dev/nothing", "permissions": "r"}]},
    "shm_size": {"shm_size": "128m"},
    "extra_hosts": {"extra_hosts": ["db:10.0.0.1"]},
    "map of extra_hosts": {"extra_hosts": {"db": "10.0.0.1", "here": "host-gateway"}},
    "dns": {"dns": ["10.0.0.1", "10.0.0.2"], "dns_search": "example.org", "dns_opt": ["ndots:2"]},
    "hostname": {"hostname": "worker", "domainname": "example.org"},
    "entrypoint": {"entrypoint": ["/bin/sh", "-c"], "command": ["echo  a b"]},
    "entrypoint as text": {"entrypoint": "/bin/sh -c 'echo  a'"},
    "no entrypoint": {"entrypoint": [], "command": ["ls"]},
    "command": {"command": ["sh", "-c", "echo 'a  b'"]},
    "command as text": {"command": "ls -l /"},
    "healthcheck": {
        "healthcheck": {
            "test": ["CMD", "true"],
            "interval": "1m30s",
            "timeout": "500ms",
            "retries": 3,
            "start_period": "5s",
        }
    },
    "healthcheck in a shell": {"healthcheck": {"test": "true && true"}},
    "no healthcheck": {"healthcheck": {"disable": True}},
    "logging": {"logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "2"}}},
    "stop_signal": {"stop_signal": "SIGINT"},
    "pids_limit": {"pids_limit": 100},
    "sysctls": {"sysctls": {"net.core.somaxconn": 1024}},
    "list of sysctls": {"sysctls": ["net.core.somaxconn=1024"]},
    "working_dir": {"working_dir": "/tmp"},
    "group_add": {"group_add": ["mail", 1000]},
    "ipc": {"ipc": "shareable"},
    "pid": {"pid": "host"},
    "memory": {"mem_limit": "64m", "mem_reservation": "32m", "memswap_limit": "128m"},
    "processors": {"cpus": 0.5, "cpu_shares": 512, "cpuset": "0"},
    "environment": {"environment": {"A": "1", "B": "two words", "P": "pa$$w"}, "env_file": "ENV_FILE"},
    "labels": {"labels": {"team": "blue"}},
    "volumes": {"volumes": ["/etc:/host:ro"]},
    "secrets": {"secrets": ["token", {"source": "token", "target": "other"}]},
    "configs": {"configs": {"conf": {"file": "FILE", "target": "/etc/conf"}}},
    "restart": {"restart": "no"},
    "gpus": {"gpus": "all"},
    "device requests": {"deploy": {"resources": {"reservations": {"devices": [GPU]}}}},
    "limits": {"deploy": {"resources": {"limits": {"cpus": "0.5", "memory": "64m", "pids": 9}}}},
}
OF_COMPOSE = [name for name in WORDS if name not in (*NEWER, "configs")]
"""`configs` is only for a swarm in Compose 1.29."""
EXPECTED: dict[str, tuple[str, Any]] = {
    "gpus": (
        "DeviceRequests",
        [{"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}],
    ),
    "device requests": (
        "DeviceRequests",
        [{"Driver": "nvidia", "Count": 1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}],
    ),
    "long devices": (
        "Devices",
        [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing", "CgroupPermissions": "r"}],
    ),
    "limits": ("NanoCpus", 500_000_000),
    "configs": ("Mounts", [{"Type": "bind", "Source": "FILE", "Target": "/etc/conf", "ReadOnly": True}]),
}
"""For the words that Compose 1.29 does not have: a field of HostConfig."""
UNLIKE = {
    "Config": ("Labels", "Hostname", "AttachStdout", "AttachStderr", "StopTimeout"),
    "HostConfig": ("Binds", "Mounts", "NetworkMode", "RestartPolicy", "PublishAllPorts", "VolumesFrom"),
}
"""Fields that differ whatever the words: names and labels, the agent's own grace, and the same mount in
another form, which the list of mounts shows."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("words")
    contents = {
        "PROFILE": '{"defaultAction": "SCMP_ACT_ALLOW"}',
        "ENV_FILE": 'A=0\nC=three\nD=\'four #4\'\nE="five"\n# no\nF="a\\d+\\.x\\tb\\"\\\\"\nG=${A}$$\n',
        "FILE": "x",
    }
    for name, content in contents.items():
        (folder / name).write_text(content)
    return {name: str(folder / name) for name in contents}


def written(config: Any, files: dict[str, str]) -> Any:
    """The configuration with the paths of the files."""
    text = json.dumps(config)
    for name, path in files.items():
        text = text.replace(f'"{name}"', f'"{path}"').replace(f":{name}", f":{path}")
    return json.loads(text)


def inspected(engine: APIClient, id: str, words: dict[str, Any]) -> dict[str, Any]:
    """What the words have an influence on, without empty values: engines add those as they like."""
    found = engine.inspect_container(id)
    shown: dict[str, Any] = {
        part: {key: value for key, value in found[part].items() if value and key not in but}
        for part, but in UNLIKE.items()
    }
    shown["Config"]["Env"] = sorted(found["Config"]["Env"])
    if "hostname" in words:
        shown["Config"]["Hostname"] = found["Config"]["Hostname"]
    shown["Config"].pop("Volumes", None)  # Compose lists the places of binds there as well
    shown["labels"] = {k: v for k, v in found["Config"]["Labels"].items() if k in words.get("labels", {})}
    shown["Mounts"] = sorted(
        (mount["Type"], mount.get("Source"), mount["Destination"], mount["RW"]) for mount in found["Mounts"]
    )
    return shown


@pytest.fixture(scope="module")
def compose(
    engine_with_images: None, prefix: str, files: dict[str, str], tmp_path_factory: Any
) -> Iterator[str]:
    """The name of a project of Compose with a container for each of its words."""
    if shutil.which("docker-compose") is None:
        give_up("docker-compose is not here")
    services = {
        f"s{i}": {"image": BUSYBOX, "network_mode": "bridge", **WORDS[name]}
        for i, name in enumerate(OF_COMPOSE)
    }
    project = {"services": services, "secrets": {"token": {"file": "FILE"}}}
    file = tmp_path_factory.mktemp("compose") / "docker-compose.yml"
    file.write_text(json.dumps(written(project, files)))
    command = ["docker-compose", "-p", f"{prefix}words", "-f", str(file)]
    try:
        done = subprocess.run([*command, "up", "--no-start"], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        yield f"{prefix}words"
    finally:
        subprocess.run([*command, "down", "-t", "0"], capture_output=True, timeout=300)


@pytest.fixture
def backend() -> Iterator[DockerBackend]:
    made = DockerBackend(HOST, pull_images=False)
    yield made
    made.close()


def task(name: str, words: dict[str, Any], files: dict[str, str]) -> Task:
    config = written({"image": BUSYBOX, "networkMode": "bridge", "publishAllPorts": False, **words}, files)
    app = {"name": name, "maxContainers": 3, "config": config}
    data = {"maxContainers": 9, "apps": [app], "secrets": {"token": {"file": files["FILE"]}}}
    return apps_from_parsed(data, Settings(), strict=True)[0][0]


@pytest.mark.parametrize("name", OF_COMPOSE)
def test_as_compose(
    name: str, engine: APIClient, compose: str, backend: DockerBackend, prefix: str, files: dict[str, str]
) -> None:
    words = WORDS[name]
    id = backend.create(task(f"{prefix}words", words, files), "n")
    mine = inspected(engine, id, words)
    theirs = f"{compose}_s{OF_COMPOSE.index(name)}_1"
    assert mine == inspected(engine, theirs, words)


def test_each_word_changes_the_container(
    engine: APIClient, backend: DockerBackend, prefix: str, files: dict[str, str]
) -> None:
    """So none is compared with Compose in vain."""
    plain = inspected(engine, backend.create(task(f"{prefix}plain", {}, files), "p"), {})
    for name, words in WORDS.items():
        found = inspected(engine, backend.create(task(f"{prefix}words", words, files), name), words)
        assert (found != plain) == (name not in ("restart", "no init")), name


@pytest.mark.parametrize("name", EXPECTED)
def test_words_that_compose_1_29_lacks(
    name: str, engine: APIClient, backend: DockerBackend, prefix: str, files: dict[str, str]
) -> None:
    id = backend.create(task(f"{prefix}words", WORDS[name], files), "n")
    key, value = written(EXPECTED[name], files)
    assert engine.inspect_container(id)["HostConfig"][key] == value
