"""Words of the Compose specification in a task's `config`: their forms, their refusals, and variables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from microscaling.api.apps import apps_from_parsed
from microscaling.api.schema.container import KEYS
from microscaling.api.schema.json_schema import json_schema
from microscaling.api.schema.refused import REFUSED
from microscaling.api.schema.words import WORDS
from microscaling.demand.container import Mount
from microscaling.demand.task import Task
from microscaling.errors import ConfigError
from microscaling.settings import Settings
from microscaling.utils import env_file


def task(config: dict[str, Any], strict: bool = False, **top: Any) -> Task:
    data = {"maxContainers": 9, "apps": [{"name": "a", "maxContainers": 3, "config": config}], **top}
    warnings: list[str] = []
    made = apps_from_parsed(data, Settings(), warnings.append, strict=strict)[0][0]
    assert warnings == []
    return made


def problems(config: dict[str, Any], **top: Any) -> list[str]:
    with pytest.raises(ConfigError) as error:
        task(config, **top)
    return [problem.removeprefix("apps[0].config.") for problem in error.value.problems]


GPU = {"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}
FORMS: list[tuple[dict[str, Any], str, Any]] = [
    ({"entrypoint": "/bin/run --name 'a b'"}, "Entrypoint", ["/bin/run", "--name", "a b"]),
    ({"entrypoint": ["/bin/run", "a b", 3]}, "Entrypoint", ["/bin/run", "a b", "3"]),
    ({"entrypoint": []}, "Entrypoint", []),
    ({"read_only": True}, "HostConfig.ReadonlyRootfs", True),
    ({"readOnly": "true"}, "HostConfig.ReadonlyRootfs", True),
    ({"cap_drop": ["ALL"]}, "HostConfig.CapDrop", ["ALL"]),
    ({"cap_add": ["NET_ADMIN"]}, "HostConfig.CapAdd", ["NET_ADMIN"]),
    ({"security_opt": ["no-new-privileges:true"]}, "HostConfig.SecurityOpt", ["no-new-privileges:true"]),
    ({"init": False}, "HostConfig.Init", False),
    ({"tmpfs": "/run"}, "HostConfig.Tmpfs", {"/run": ""}),
    ({"tmpfs": ["/run", "/tmp:size=1m"]}, "HostConfig.Tmpfs", {"/run": "", "/tmp": "size=1m"}),
    ({"ulimits": {"nofile": 9}}, "HostConfig.Ulimits", [{"Name": "nofile", "Soft": 9, "Hard": 9}]),
    (
        {"ulimits": {"memlock": {"soft": 5, "hard": "-1"}}},
        "HostConfig.Ulimits",
        [{"Name": "memlock", "Soft": 5, "Hard": -1}],
    ),
    (
        {"devices": ["/dev/null:/dev/x:r"]},
        "HostConfig.Devices",
        [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "r"}],
    ),
    (
        {"devices": [{"source": "/dev/null"}]},
        "HostConfig.Devices",
        [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/null", "CgroupPermissions": "rwm"}],
    ),
    ({"gpus": "all"}, "HostConfig.DeviceRequests", [GPU]),
    ({"gpus": 2}, "HostConfig.DeviceRequests", [{**GPU, "Count": 2}]),
    (
        {"gpus": [{"driver": "nvidia", "device_ids": ["0"], "options": {"a": 1}}]},
        "HostConfig.DeviceRequests",
        [{**GPU, "Driver": "nvidia", "Count": 0, "DeviceIDs": ["0"], "Options": {"a": "1"}}],
    ),
    (
        {"deploy": {"resources": {"reservations": {"devices": [{"capabilities": ["gpu"], "count": 1}]}}}},
        "HostConfig.DeviceRequests",
        [{**GPU, "Count": 1}],
    ),
    ({"deploy": {"resources": {"limits": {"cpus": "0.5"}}}}, "HostConfig.NanoCpus", 500_000_000),
    ({"deploy": {"resources": {"limits": {"memory": "1m"}}}}, "HostConfig.Memory", 2**20),
    ({"shm_size": "64m"}, "HostConfig.ShmSize", 2**26),
    ({"extra_hosts": ["db:10.0.0.1", "v6=[::1]"]}, "HostConfig.ExtraHosts", ["db:10.0.0.1", "v6:::1"]),
    ({"extra_hosts": {"h": "host-gateway"}}, "HostConfig.ExtraHosts", ["h:host-gateway"]),
    ({"dns": "10.0.0.1"}, "HostConfig.Dns", ["10.0.0.1"]),
    ({"hostname": "w"}, "Hostname", "w"),
    ({"healthcheck": {"test": "true"}}, "Healthcheck", {"Test": ["CMD-SHELL", "true"]}),
    (
        {"healthcheck": {"test": ["CMD", "a"], "interval": "1m30s", "timeout": "500ms", "retries": 2}},
        "Healthcheck",
        {"Test": ["CMD", "a"], "Interval": 90 * 10**9, "Timeout": 5 * 10**8, "Retries": 2},
    ),
    ({"healthcheck": {"disable": True}}, "Healthcheck", {"Test": ["NONE"]}),
    (
        {"logging": {"driver": "json-file", "options": {"max-file": 2}}},
        "HostConfig.LogConfig",
        {"Type": "json-file", "Config": {"max-file": "2"}},
    ),
    ({"stop_signal": "SIGINT"}, "StopSignal", "SIGINT"),
    ({"pids_limit": "100"}, "HostConfig.PidsLimit", 100),
    ({"sysctls": {"kernel.msgmax": 9}}, "HostConfig.Sysctls", {"kernel.msgmax": "9"}),
    ({"sysctls": ["kernel.msgmax=9"]}, "HostConfig.Sysctls", {"kernel.msgmax": "9"}),
]


@pytest.mark.parametrize(("config", "place", "value"), FORMS)
def test_forms(config: dict[str, Any], place: str, value: Any) -> None:
    assert task(config).container.request == {place: value}
    assert task(config, strict=True).container.request == {place: value}


def test_compose_s_spellings_are_ours() -> None:
    made = task(
        {"environment": {"A": 1}, "mem_limit": "1m", "network_mode": "bridge", "stop_grace_period": "1m30s"}
    )
    assert (made.env, made.network_mode) == (["A=1"], "bridge")
    assert (made.container.memory, made.container.stop_grace_s) == (2**20, 90.0)


def test_a_command_as_a_list_is_taken_as_it_is() -> None:
    made = task({"command": ["sh", "-c", "echo  a b"]})
    assert made.container.command == ("sh", "-c", "echo  a b")
    assert made.command == "sh -c 'echo  a b'"


GPU_REQUEST = {"capabilities": ["gpu"]}
SECRETS = {"token": {"file": "/etc/app/token"}}


@pytest.mark.parametrize(
    ("config", "mounts"),
    [
        ({"secrets": ["token"]}, [("/etc/app/token", "/run/secrets/token")]),
        ({"secrets": [{"source": "token", "target": "t"}]}, [("/etc/app/token", "/run/secrets/t")]),
        ({"secrets": [{"source": "token", "target": "/t"}]}, [("/etc/app/token", "/t")]),
        ({"secrets": {"own": {"file": "/own"}}}, [("/own", "/run/secrets/own")]),
        ({"configs": ["web"]}, [("/etc/web.conf", "/web")]),
        ({"configs": {"own": {"file": "/own", "target": "/etc/own"}}}, [("/own", "/etc/own")]),
    ],
)
def test_files(config: dict[str, Any], mounts: list[tuple[str, str]]) -> None:
    made = task(config, secrets=SECRETS, configs={"web": {"file": "/etc/web.conf"}})
    assert made.container.mounts == tuple(Mount("file", source, to, True) for source, to in mounts)


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"restart": "always"}, "restart: is refused: the agent itself replaces a container that ends"),
    ({"build": "."}, "build: is refused: nothing is built here: build it first, and name the image"),
    ({"container_name": "x"}, "container_name: is refused: the containers are called by the name of"),
    ({"depends_on": ["db"]}, "depends_on: is refused: the agent starts no other services"),
    ({"profiles": ["dev"]}, "profiles: is refused: a task is there or not"),
    ({"deploy": {"replicas": 3}}, "deploy.replicas: is refused: the agent decides how many run"),
    ({"deploy": {"placement": {}}}, "deploy.placement: is refused: of deploy only resources"),
    ({"deploy": {"resources": {"limits": {"cpus": 1}}}, "cpus": 2},
     "deploy.resources.limits.cpus: apps[0].config.cpus is given too"),
    ({"deploy": {"resources": {"reservations": {"devices": [GPU_REQUEST]}}}, "gpus": "all"},
     "deploy.resources.reservations.devices: apps[0].config.gpus is given too"),
    ({"env": {"A": 1}, "environment": {"B": 2}}, "environment: env is given too, which means the same"),
    ({"user": "a b"}, 'user: expected a user such as 1000, "1000:1000" or "www-data", got "a b"'),
    ({"read_only": "yes"}, 'read_only: expected true or false, got "yes"'),
    ({"cap_drop": ["NET ADMIN"]}, "cap_drop[0]: expected a capability such as NET_ADMIN, or ALL"),
    ({"cap_add": "ALL"}, 'cap_add: expected a list, got "ALL"'),
    ({"security_opt": ["no-new-privilege"]}, "security_opt[0]: expected no-new-privileges:true"),
    ({"security_opt": ["seccomp=/not/there"]},
     'security_opt[0]: the seccomp profile "/not/there" cannot be read: No such file'),
    ({"tmpfs": "run"}, "tmpfs: expected an absolute path"),
    ({"ulimits": {"files": 1}}, "ulimits.files: is no limit of processes; there are as, core, cpu"),
    ({"ulimits": {"nofile": {"soft": 2, "hard": 1}}}, "ulimits.nofile: soft, 2, is above hard, 1"),
    ({"devices": ["dev/fuse"]}, 'devices[0]: expected a device such as "/dev/fuse"'),
    ({"gpus": "some"}, 'gpus: expected all, a number of them, or a list of requests, got "some"'),
    ({"gpus": [{"count": 1, "device_ids": ["0"]}]}, "gpus[0].count: device_ids are given too"),
    ({"deploy": {"resources": {"reservations": {"devices": [{}]}}}},
     "deploy.resources.reservations.devices[0].capabilities: is missing"),
    ({"shm_size": "64q"}, 'shm_size: expected bytes, or text such as "64m"'),
    ({"extra_hosts": ["db"]}, 'extra_hosts[0]: expected "name:IP address"'),
    ({"dns": ["here"]}, 'dns: expected IP addresses, got "here"'),
    ({"hostname": "a_b"}, "hostname: expected a name of letters"),
    ({"entrypoint": "a 'b"}, "entrypoint: cannot be split into words (No closing quotation): give a list"),
    ({"healthcheck": {"test": ["curl"]}}, 'healthcheck.test: expected "CMD", then program and arguments'),
    ({"healthcheck": {"interval": 30}}, 'healthcheck.interval: expected a duration of 1 ms or more, such as'),
    ({"healthcheck": {"start_interval": "1s"}}, "healthcheck.start_interval: needs an engine of version 25"),
    ({"logging": {"drivers": "x"}}, "logging.drivers: is not known: there are driver, options"),
    ({"stop_signal": "SIGNOT"}, "stop_signal: expected a signal such as SIGINT"),
    ({"stop_grace_period": "2h"}, "stop_grace_period: expected at most 3600 seconds"),
    ({"pids_limit": "few"}, "pids_limit: expected a whole number, -1 or more"),
    ({"sysctls": {"net.core.somaxconn": 1}}, "sysctls: the containers are on the host's network"),
    ({"network_mode": "container:x", "hostname": "a"}, "hostname: is that of the other container"),
    ({"network_mode": "service:x"}, "network_mode: expected host, none, bridge or container:NAME"),
    ({"secrets": ["other"]}, 'secrets[0]: there is no "other" in secrets beside apps'),
    ({"secrets": [{"source": "token", "mode": 256}]}, "secrets[0].mode: a mounted file has the owner and"),
    ({"secrets": {"a": {"file": "a"}}}, "secrets.a.file: expected the absolute path of a file"),
    ({"configs": {"a": {"content": "x"}}}, "configs.a.file: expected the absolute path of a file"),
    ({"env_file": "/not/there"}, 'env_file: "/not/there": cannot be read: No such file'),
    ({"env_file": [{"path": "/a", "format": "raw"}]}, "env_file[0].format: is not known"),
    ({"image": "worker:${NOT_THERE}"}, "image: the variable NOT_THERE, which it refers to, is not set"),
    ({"command": [True]}, "command[0]: expected text, got true"),
    ({"security_opt": ["seccomp:builtin"]}, "security_opt[0]: is what engines do without it: leave it out"),
    ({"cpuset": "5-2"}, 'cpuset: expected numbers and ranges of processors such as 0-3 or 0,2, got "5-2"'),
    ({"cpu_shares": 2**18 + 1}, "cpu_shares: expected a whole number from 2 to 262144, got 262145"),
    ({"ulimits": {"nofile": {"soft": -1, "hard": 5}}}, "ulimits.nofile: soft, -1, is above hard, 5"),
    ({"ulimits": {"nofile": -2}}, "ulimits.nofile: a limit is 0 or more, or -1 for none"),
    ({"memswap_limit": "64m"}, "memswap_limit: needs memory, of which it is the sum with the swap"),
    ({"memswap_limit": "32m", "memory": "64m"}, "memswap_limit: is 33554432 bytes, below memory, 67108864"),
    ({"mem_reservation": "65m", "memory": "64m"}, "mem_reservation: reserves 68157440 bytes, above"),
    ({"deploy": {"resources": {"limits": {"memory": "64m"}, "reservations": {"memory": "65m"}}}},
     "deploy: reserves 68157440 bytes, above the limit of memory, which is 67108864"),
    ({"cap_drop": ["NET_ADMN"]}, 'cap_drop[0]: "NET_ADMN" is no capability of Linux; did you mean NET_ADMIN'),
    ({"cap_add": ["CAP_ALL"]}, 'cap_add[0]: "CAP_ALL" is no capability of Linux; did you mean ALL?'),
    ({"cpus": 0.0001}, "cpus: expected 0.01 processors or more, or 0 for no limit, got 0.0001"),
    ({"deploy": {"resources": {"limits": {"cpus": 0.001}}}}, "deploy.resources.limits.cpus: expected 0.01"),
    ({"networks": ["none", "bridge"]}, "networks: a container of none can be in no other network"),
    ({"networks": ["bridge", "host"]}, "networks: a container of host can be in no other network"),
]  # fmt: skip


@pytest.mark.parametrize(("config", "line"), REFUSALS)
def test_refusals(config: dict[str, Any], line: str) -> None:
    found = problems(config, secrets=SECRETS)
    assert found[0].startswith(line)


@pytest.mark.parametrize(
    "config",
    [
        {"secrets": {"a": {"file": "/a", "target": "t"}, "b": {"file": "/b", "target": "t"}}},
        {"configs": {"t": {"file": "/a"}, "b": {"file": "/b", "target": "/t"}}},
        {"volumes": ["a:/t"], "configs": {"t": {"file": "/a"}}},
    ],
)
def test_two_mounts_at_one_place_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r'two of volumes, secrets and configs are at ".*t": move one'):
        task(config)


@pytest.mark.parametrize("word", sorted(REFUSED))
def test_a_word_that_a_task_cannot_say_is_refused(word: str) -> None:
    assert problems({word: "x"}) == [f"{word}: is refused: {REFUSED[word]}"]


def test_every_word_of_compose_is_read_or_refused() -> None:
    """All properties of a service in the schema of the Compose specification."""
    spec = """
        annotations attach blkio_config build cap_add cap_drop cgroup cgroup_parent command configs
        container_name cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus
        cpuset credential_spec depends_on deploy develop device_cgroup_rules devices dns dns_opt dns_search
        domainname entrypoint env_file environment expose extends external_links extra_hosts gpus group_add
        healthcheck hostname image init ipc isolation label_file labels links logging mac_address mem_limit
        mem_reservation mem_swappiness memswap_limit models network_mode networks oom_kill_disable
        oom_score_adj pid pids_limit platform ports post_start pre_stop privileged profiles provider
        pull_policy read_only restart runtime scale secrets security_opt shm_size stdin_open
        stop_grace_period stop_signal storage_opt sysctls tmpfs tty ulimits use_api_socket user userns_mode
        uts volumes volumes_from working_dir
    """.split()  # noqa: SIM905 - words read better without quotes
    read = {spelling for key in KEYS for spelling in key.spellings} | {"image", "command"}
    assert [word for word in spec if word not in read and word not in REFUSED] == []
    assert [word for word in REFUSED if word in read] == []


@pytest.mark.parametrize("word", ["read_only", "capDrop", "environment", "env"])
def test_beside_config_a_word_is_at_the_wrong_place(word: str) -> None:
    """In JSON too: a container without it would be another one."""
    data = {"maxContainers": 9, "apps": [{"name": "a", "maxContainers": 3, word: ["x"]}]}
    with pytest.raises(ConfigError) as error:
        apps_from_parsed(data, Settings())
    assert str(error.value) == f"apps[0].{word}: is at the wrong place: write it as apps[0].config.{word}"


@pytest.mark.parametrize(
    ("app", "place"), [({"image": "x"}, "image"), ({"config": {"priority": 1}}, "config.priority")]
)
def test_in_yaml_every_key_has_one_place(app: dict[str, Any], place: str) -> None:
    """JSON is read as the Go agent reads it, with a warning."""
    warnings: list[str] = []
    data = {"maxContainers": 9, "apps": [{"name": "a", "maxContainers": 3, **app}]}
    apps_from_parsed(data, Settings(), warnings.append)
    assert warnings == [f"apps[0].{place}: is not known here, and ignored"]
    with pytest.raises(ConfigError, match=f"apps\\[0\\].{place}: is at the wrong place: write it as apps"):
        apps_from_parsed(data, Settings(), strict=True)


def test_restart_may_be_no() -> None:
    assert task({"restart": "no"}).container.request == {}


def test_a_word_that_begins_with_x_is_left_alone() -> None:
    assert task({"x-build": "."}).container.request == {}


def test_variables_are_filled_in_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TAG": "3", "ON": "true", "PORT": "80", "SIZE": "1m", "DIR": "/d", "N": "7"}.items():
        monkeypatch.setenv(name, value)
    made = task(
        {
            "image": "worker:${TAG}",
            "env": {"A": "${TAG}", "B": "$${TAG}", "C": "${ON}"},
            "network_mode": "bridge",
            "ports": ["${PORT}"],
            "volumes": ["${DIR}:/x"],
            "memory": "${SIZE}",
            "labels": ["size=${SIZE}"],
            "read_only": "${ON}",
            "publishAllPorts": "${ON}",
            "ulimits": {"nofile": "${N}"},
            "secrets": {"s": {"file": "${DIR}/s"}},
            "stopGraceSeconds": "${N}",
        }
    )
    assert made.image == "worker:3"
    assert made.env == ["A=3", "B=${TAG}", "C=true"]
    assert made.publish_all_ports
    options = made.container
    assert (options.ports[0].container, options.memory, options.labels) == (80, 2**20, {"size": "1m"})
    assert [mount.source for mount in options.mounts] == ["/d", "/d/s"]
    assert options.request["HostConfig.ReadonlyRootfs"] is True
    assert options.request["HostConfig.Ulimits"][0]["Hard"] == 7
    assert options.stop_grace_s == 7.0


def test_variables_are_filled_in_beside_apps_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIR", "/etc/app")
    made = task({"secrets": ["token"]}, secrets={"token": {"file": "${DIR}/token"}})
    assert made.container.mounts == (Mount("file", "/etc/app/token", "/run/secrets/token", True),)
    monkeypatch.delenv("DIR")
    data = {
        "apps": [{"name": "a", "config": {"secrets": ["token"]}}],
        "secrets": {"token": {"file": "${DIR}/t"}},
    }
    with pytest.raises(ConfigError, match=r"^secrets: the variable DIR, which it refers to, is not set"):
        apps_from_parsed(data, Settings())
    apps_from_parsed(data, Settings(), elsewhere=True)


def test_a_server_reads_no_variable_and_no_file_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAG", "3")
    config = {"image": "worker:${TAG}", "env_file": "/not/there", "security_opt": ["seccomp=/not/there"]}
    data = {"maxContainers": 9, "apps": [{"name": "a", "maxContainers": 3, "config": config}]}
    (made,), _ = apps_from_parsed(data, Settings(), elsewhere=True)
    assert (made.image, made.env) == ("", [])


def test_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_AGENT", "x")
    first, second = tmp_path / "first.env", tmp_path / "second.env"
    first.write_text("A=1\nB=1\nC=1\n")
    second.write_text("B=2\nC=2\nFROM_AGENT\n")
    maybe = {"path": str(tmp_path / "none"), "required": False}
    made = task({"env_file": [str(first), {"path": str(second)}, maybe], "env": {"C": 3}})
    assert made.env == ["A=1", "B=2", "C=3", "FROM_AGENT=x"]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("A = b c ", "b c"),
        ("export A=b", "b"),
        ("A=", ""),
        ("A=b#c", "b#c"),
        ("A=b # c", "b"),
        ("A='b # \"c'", 'b # "c'),
        ('A="b\\n\\"c" # d', 'b\n"c'),
        ("A=b=c", "b=c"),
        (r'A="a\d+\.x"', r"a\d+\.x"),
        (r'A="C:\dir\x"', r"C:\dir\x"),
        (r'A="a\\b\tc\'d\q"', "a\\b\tc'd\\q"),
        (r"A='a\n'", r"a\n"),
        (r"A=a\n", r"a\n"),
        ("A=a\u0085b\u2028c\x0bd", "a\u0085b\u2028c\x0bd"),
        ("A=b\r", "b"),
        ("A", None),
    ],
)
def test_line_of_an_env_file(line: str, value: str | None) -> None:
    (found,) = env_file.parse(f"# first\n\n{line}\n".encode())
    assert (found.number, found.name, found.value) == (3, "A", value)


@pytest.mark.parametrize("line", ["=b", "A='b", 'A="b', "a b=c", "'A'=b"])
def test_bad_line_of_an_env_file_is_not_quoted(line: str) -> None:
    with pytest.raises(ValueError, match=r"^line 2: expected NAME=value"):
        list(env_file.parse(f"OK=1\n{line}hunter22\n".encode()))


def test_variables_in_an_env_file_are_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAG", "3")
    file = tmp_path / "a.env"
    file.write_text("A=${TAG}\nB=\"x${TAG}\"\nC='${TAG}'\nD=$${TAG}$$\nTAG=4\nE=${TAG}\n")
    assert task({"env_file": str(file)}).env == ["A=3", "B=x3", "C=${TAG}", "D=${TAG}$$", "TAG=4", "E=4"]
    file.write_text("A=1\nB=${NOT_THERE}\n")
    assert problems({"env_file": str(file)}) == [
        f'env_file: "{file}": line 2: the variable NOT_THERE, which it refers to, is not set; set it, or put '
        "the value in single quotes"
    ]


def warned(config: dict[str, Any], strict: bool) -> tuple[Task, list[str]]:
    warnings: list[str] = []
    data = {"maxContainers": 9, "apps": [{"name": "a", "maxContainers": 3, "config": config}]}
    made = apps_from_parsed(data, Settings(), warnings.append, strict=strict)[0][0]
    return made, [warning.removeprefix("apps[0].config.") for warning in warnings]


def test_another_form_of_a_variable_in_an_env_file_is_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "a.env"
    file.write_text("A=${TAG:-hunter2}\n")
    made, warnings = warned({"env_file": str(file)}, strict=True)
    assert made.env == ["A=${TAG:-hunter2}"]
    assert warnings == [
        f'env_file: "{file}": line 1: a ${{ is taken literally: only the form ${{NAME}} is filled in'
    ]


def test_two_dollars_are_one_in_yaml_as_in_compose(monkeypatch: pytest.MonkeyPatch) -> None:
    """In JSON they stay, as the Go agent passes them on, with a warning."""
    monkeypatch.setenv("TAG", "3")
    values = {"P": "pa$$w", "Q": "$${TAG}", "R": "$$${TAG}", "S": "$$$$"}
    made, warnings = warned({"env": values, "labels": ["l=a$$"]}, strict=True)
    assert (made.env, warnings) == (["P=pa$w", "Q=${TAG}", "R=$3", "S=$$"], [])
    assert made.container.labels == {"l": "a$"}
    made, warnings = warned({"env": {"P": "pa$$w", "Q": "$${TAG}"}}, strict=False)
    assert made.env == ["P=pa$$w", "Q=${TAG}"]
    assert warnings == ["env.P: $$ is taken literally, and not as one $ as in Compose and in YAML"]


@pytest.mark.parametrize(
    "config",
    [
        {"healthcheck": {"test": "x", "x-note": 1}},
        {"logging": {"driver": "json-file", "x-note": 1}},
        {"deploy": {"x-note": 1, "resources": {"x-note": 1, "limits": {"x-note": 1}}}},
        {"volumes": [{"type": "volume", "source": "a", "target": "/a", "x-note": 1}]},
        {"network_mode": "bridge", "ports": [{"target": 80, "x-note": 1}]},
        {"ulimits": {"nofile": {"soft": 1, "hard": 1, "x-note": 1}}},
        {"networks": {"a": {"x-note": 1}}},
        {"secrets": {"a": {"file": "/a", "x-note": 1}}},
        {"gpus": [{"count": 1, "x-note": 1}]},
        {"devices": [{"source": "/dev/null", "x-note": 1}]},
    ],
)
def test_names_that_begin_with_x_are_ignored_in_inner_objects_too(config: dict[str, Any]) -> None:
    task(config, strict=True)
    data = {
        "maxContainers": 9,
        "apps": [{"name": "a", "priority": 1, "maxContainers": 3, "ruleType": "Remainder", "config": config}],
    }
    assert [error.message for error in Draft202012Validator(json_schema()).iter_errors(data)] == []


@pytest.mark.parametrize(
    "config",
    [
        {"cpuset": "0-3,5"},
        {"cpuset": 0},
        {"cap_drop": ["cap_net_admin", "all"], "cap_add": ["BPF", "CAP_SYS_TIME"]},
        {"memswap_limit": -1},
        {"memory": "64m", "mem_reservation": "64m", "memswap_limit": "64m"},
        {"cpus": 0.01},
        {"cpus": 0},
        {"networks": ["none"]},
        {"ulimits": {"nofile": -1}},
    ],
)
def test_what_engines_take_is_taken(config: dict[str, Any]) -> None:
    task(config, strict=True)


def test_seccomp_profile_is_read(tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text('{"defaultAction":   "SCMP_ACT_ALLOW"}')
    (option,) = task({"security_opt": [f"seccomp:{profile}"]}).container.request["HostConfig.SecurityOpt"]
    assert json.loads(option.removeprefix("seccomp=")) == {"defaultAction": "SCMP_ACT_ALLOW"}


def test_each_word_has_a_place_of_its_own() -> None:
    assert len({word.to for word in WORDS}) == len(WORDS)
