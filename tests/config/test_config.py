"""Where the list of tasks comes from."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from microscaling.config.envvar import EnvVarConfig
from microscaling.config.file import MAX_BYTES, FileConfig
from microscaling.config.hardcoded import HardcodedConfig
from microscaling.errors import ConfigError
from microscaling.metric.nsq import NSQMetric
from microscaling.settings import Settings

DATA = {"maxContainers": 5, "apps": [{"name": "a", "maxContainers": 3, "config": {"command": "22:22"}}]}
AS_YAML = b"maxContainers: 5\napps:\n- name: a\n  maxContainers: 3\n  config:\n    command: 22:22\n"


def read(path: Path, data: bytes | None = None) -> tuple[object, ...]:
    if data is not None:
        path.write_bytes(data)
    tasks, cap = FileConfig(Settings(config_file=str(path))).get_apps("")
    return tasks[0].name, tasks[0].max_containers, tasks[0].command, cap


def test_hardcoded_is_the_go_agents() -> None:
    (consumer, remainder), cap = HardcodedConfig(Settings()).get_apps("")
    assert cap == 10
    for task, name, image, priority in (
        (consumer, "consumer", "microscaling/queue-demo:latest", 1),
        (remainder, "remainder", "microscaling/priority-2:latest", 2),
    ):
        assert (task.name, task.image, task.priority) == (name, image, priority)
        assert (task.min_containers, task.max_containers, task.max_delta) == (1, 10, 9)
    assert isinstance(consumer.metric, NSQMetric)
    assert not consumer.is_remainder()
    assert remainder.is_remainder()


def test_envvar() -> None:
    tasks, cap = EnvVarConfig(Settings(config_data=json.dumps(DATA))).get_apps("")
    assert (tasks[0].name, cap) == ("a", 5)


@pytest.mark.parametrize("data", ["", "  ", '{"apps": 3}', "\udcff"])
def test_envvar_names_itself(data: str) -> None:
    with pytest.raises(ConfigError, match=r"^MSS_CONFIG_DATA: "):
        EnvVarConfig(Settings(config_data=data)).get_apps("")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", json.dumps(DATA).encode()),
        ("a", b"\xef\xbb\xbf" + json.dumps(DATA).encode()),
        ("a.yml", json.dumps(DATA).encode()),
        ("a.yaml", AS_YAML),
        ("a.YAML", b"\xef\xbb\xbf" + AS_YAML.replace(b"\n", b"\r\n")),
    ],
)
def test_file(tmp_path: Path, name: str, data: bytes) -> None:
    assert read(tmp_path / name, data) == ("a", 3, "22:22", 5)


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("a.json", AS_YAML, "does not begin like JSON, and only .yml and .yaml are read as YAML"),
        ("a.json", b"none", "not JSON: line 1, column 1: "),
        ("a.json", b"", "not JSON: it is empty"),
        ("a.json", b'{"apps": [{}]}', "apps[0].name: is missing"),
        ("a.yml", b"a: [", "not YAML: line 1, column 5: "),
        ("a.yml", b"\xff", "not YAML: byte 1 is not UTF-8"),
        ("a.yml", b"a: \x00", "not YAML: unacceptable character"),
        ("a.yml", b"a: !!int x", "not YAML: a value does not fit its tag"),
        (
            "a.yml",
            b"a: !!python/name:os.system",
            "not YAML: line 1, column 4: could not determine a constructor",
        ),
        ("a.yml", b"? [a]\n: b", "not YAML: line 1: a key has to be text"),
        ("a.yml", b"&a {b: *a}", "not YAML: line 1, column 1: found unconstructable recursive node"),
        ("a.yml", b"[" * 10_000, "not YAML that can be read: nested too deeply"),
        ("a.yml", b"{maxContainers: .nan, apps: []}", "maxContainers: expected a whole number, got nan"),
        ("a.yml", b"{maxContainers: 1_000, apps: []}", 'maxContainers: expected a whole number, got "1_000"'),
        ("a.json", b" " * (MAX_BYTES + 1), "is longer than"),
    ],
)
def test_bad_file(tmp_path: Path, name: str, data: bytes, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(tmp_path / name, data)
    assert str(error.value).startswith(f"{tmp_path / name}: {problem}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: None, "cannot be read: No such file"),
        (os.mkdir, "cannot be read: Is a directory"),
        (os.mkfifo, "is not a regular file"),
    ],
)
def test_no_file(tmp_path: Path, make: Callable[[Path], None], problem: str) -> None:
    make(tmp_path / "a.json")
    with pytest.raises(ConfigError, match=problem):
        read(tmp_path / "a.json")


def test_no_path() -> None:
    with pytest.raises(ConfigError, match=r"^MSS_CONFIG_FILE: is empty"):
        FileConfig(Settings()).get_apps("")


def test_yaml_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    monkeypatch.delitem(sys.modules, "microscaling.utils.yaml_text", raising=False)
    with pytest.raises(ConfigError, match=r"pip install '\.\[yaml\]' in the clone"):
        read(tmp_path / "a.yml", AS_YAML)


def test_yaml_that_overrides_what_it_merged_repeats_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = b"x-all: &all {name: b, maxContainers: 1}\nmaxContainers: 5\napps: [{<<: *all, name: a}]\n"
    assert read(tmp_path / "a.yml", text) == ("a", 1, "", 5)
    assert not caplog.messages


def test_yaml_that_repeats_a_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"maxContainers: is there more than once: remove one$"):
        read(tmp_path / "a.yml", AS_YAML + b"maxContainers: 5\n")
