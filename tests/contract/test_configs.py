"""What holds for every source of a configuration: the same description means the same, wherever it comes
from, and the network may do its worst."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from microscaling import factory
from microscaling.clients.http.client import Client
from microscaling.config import server as server_config
from microscaling.config.base import CONFIGS, Config
from microscaling.config.envvar import EnvVarConfig
from microscaling.config.file import FileConfig
from microscaling.config.images.base import Images
from microscaling.config.images.registry import RegistryImages
from microscaling.config.label import LabelConfig
from microscaling.config.server import ServerConfig
from microscaling.config.services.discovery import Discovery, Service
from microscaling.demand.task import Task
from microscaling.errors import ConfigError, ServerError
from microscaling.settings import Settings
from tests.fakes.registry import Registry
from tests.fakes.server import FakeServer
from tests.metric.faulty import Server, answers, faults
from tests.vectors.load import cases

VECTORS = cases("apps")
GOOD = json.dumps({"maxContainers": 7, "apps": [{"name": "a", "maxContainers": 3, "priority": 2}]}).encode()
BAD = b'{"maxContainers": "x", "apps": [{"name": "a", "maxContainers": 1.5}, {"maxContainers": 1}]}'
SERVICE = Service("a", {"microscaling.enable": "true", "microscaling.max": "3"}, 10.0, "a", None, ())
FIELDS = ("name", "priority", "min_containers", "max_containers", "max_delta", "is_scalable")
FIELDS += ("image", "command", "network_mode", "publish_all_ports", "env", "container")
USER = "me & you/é"


class Unlabelled(Images):
    def image_of(self, task: Task) -> str:
        return task.image

    def labels(self, image: str) -> Mapping[str, Any]:
        return {}


class Source:
    """A kind of source, and the place where it finds its data."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        self.stack = ExitStack()
        self.server: FakeServer | None = None
        if kind in ("SERVER", "LABEL"):
            self.server = self.stack.enter_context(FakeServer())

    def holds(self, data: bytes) -> Config:
        """The source, once this is what it has for the user."""
        if self.server is None:
            return self._local(data)
        none = ("404 Not Found", b"no such user")
        self.server.answer = lambda user: ("200 OK", data) if user == USER else none
        config = ServerConfig(Settings(api_address=self.server.endpoint))
        return config if self.kind == "SERVER" else LabelConfig(config, Unlabelled())

    def _local(self, data: bytes) -> Config:
        if self.kind == "ENVVAR":
            return EnvVarConfig(Settings(config_data=data.decode("utf-8", "surrogateescape")))
        path = self.folder / f"apps.{self.kind.rpartition('.')[2]}"
        path.write_bytes(data)
        return FileConfig(Settings(config_file=str(path)))

    @property
    def place(self) -> str:
        """What errors name."""
        if self.server is not None:
            return f"http://{self.server.endpoint}/apps/"
        return "MSS_CONFIG_DATA" if self.kind == "ENVVAR" else str(self.folder)


GOOD_AS_YAML = ("", '{"apps":[{"name":"a",}]}')
KINDS = ("SERVER", "ENVVAR", "FILE.json", "FILE.yaml", "LABEL")


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    made = Source(request.param, tmp_path)
    with made.stack:
        yield made


STRICTER_IN_YAML = re.compile(
    "ruleType: expected|: is not known|is missing|is empty or missing|more than once|is empty: it holds"
)
"""What a person who writes YAML has forgotten or misspelt: tests/config/test_yaml_strict.py."""


@pytest.fixture(autouse=True)
def a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one there is no SQS."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


def like_vector(task: Task, keys: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {"target": type(task.target).__name__, "metric": type(task.metric).__name__}
    return {key: kinds[key] if key in kinds else getattr(task, key) for key in keys}


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{i}") for i, case in enumerate(VECTORS)])
def test_vectors(case: dict[str, Any], source: Source) -> None:
    """The Go agent's descriptions mean the same through every source; but YAML is not as strict as JSON
    about what is no description at all."""
    config = source.holds(case["json"].encode())
    if case["error"] or case["stricter"]:
        if source.kind == "FILE.yaml" and case["json"].strip() in GOOD_AS_YAML:
            pytest.skip("no JSON, but good YAML")
        with pytest.raises(ConfigError):
            config.get_apps(USER)
        return
    if source.kind == "FILE.yaml" and '"ruleType":"queue"' in case["json"]:
        pytest.skip("in YAML values match in any case")
    try:
        tasks, cap = config.get_apps(USER)
    except ConfigError as error:
        if source.kind != "FILE.yaml" or not all(map(STRICTER_IN_YAML.search, error.problems)):
            raise
        pytest.skip("YAML is read more strictly")
    assert cap == case["max_containers"]
    wanted = case["tasks"] or []
    assert [like_vector(task, keys) for task, keys in zip(tasks, wanted, strict=True)] == wanted


def test_there_are_vectors_with_and_without_errors() -> None:
    bad = [bool(case["error"] or case["stricter"]) for case in VECTORS]
    assert bad.count(True) > 10
    assert bad.count(False) > 10


def test_the_same_data_gives_the_same_tasks(tmp_path: Path) -> None:
    config = {
        "image": "x/y:1",
        "command": "run it",
        "env": {"A": "b"},
        "ports": ["80"],
        "networkMode": "bridge",
    }
    app = {"name": "a", "priority": 3, "minContainers": 1, "maxContainers": 4, "config": config}
    data = json.dumps({"name": "me", "maxContainers": 9, "apps": [app]}).encode()
    told = []
    for kind in KINDS:
        source = Source(kind, tmp_path)
        with source.stack:
            (task,), cap = source.holds(data).get_apps(USER)
        # What the scheduler cannot do is refused in YAML, and ignored with a warning in JSON.
        options = task.container
        task.container = replace(options, words=(), ignored=(*options.words, *options.ignored))
        told.append((cap, [getattr(task, field) for field in FIELDS]))
    assert told[0][1][4] == 3
    assert [each for each in told if each != told[0]] == []


def test_every_problem_at_once_and_its_place(source: Source) -> None:
    with pytest.raises(ConfigError) as caught:
        source.holds(BAD).get_apps(USER)
    problems = caught.value.problems
    assert len(problems) == 3
    for problem, where in zip(
        problems, ("maxContainers", "apps[0].maxContainers", "apps[1].name"), strict=True
    ):
        assert problem.startswith(source.place)
        assert f": {where}: " in problem
        assert problem.isprintable()


@pytest.mark.parametrize("data", [b"", b"<html>sorry</html>", b'{"apps": [', b"[]", b"\xff\xfe", b'"text"'])
def test_what_is_no_configuration_is_an_error_that_names_its_place(source: Source, data: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        source.holds(data).get_apps(USER)
    assert caught.value.problems[0].startswith(source.place)
    assert caught.value.problems[0].isprintable()


def test_asked_again_it_reads_again(source: Source) -> None:
    assert source.holds(GOOD).get_apps(USER)[1] == 7
    config = source.holds(GOOD.replace(b"7", b"8"))
    assert [config.get_apps(USER)[1] for _ in range(2)] == [8, 8]


@pytest.mark.parametrize("kind", [plugin.type_name for plugin in CONFIGS.ours()])
def test_the_factory_knows_it_and_its_tasks_are_new_each_time(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source({"FILE": "FILE.json"}.get(kind, kind), tmp_path)
    with source.stack:
        environ = {"MSS_CONFIG": kind, "MSS_SCHEDULER": "TOY", "MSS_USER_ID": USER}
        environ |= {"MSS_CONFIG_DATA": GOOD.decode(), "MSS_CONFIG_FILE": str(tmp_path / "apps.json")}
        if kind == "SERVICES":  # with an engine: tests/integration/test_compose_live.py
            monkeypatch.setenv("MSS_MAX_CONTAINERS", "7")
            monkeypatch.setattr(Discovery, "services", lambda _: [SERVICE])
        elif kind != "HARDCODED":
            source.holds(GOOD)
        if source.server is not None:
            environ["MSS_API_ADDRESS"] = source.server.endpoint
        settings = Settings.from_env(environ)
        first, second = (factory.make_tasks(settings, {}) for _ in range(2))
    assert [task.name for task in first.tasks] == (
        ["consumer", "remainder"] if kind == "HARDCODED" else ["a"]
    )
    assert first.max_containers == second.max_containers == (10 if kind == "HARDCODED" else 7)
    assert not {id(task) for task in first.tasks} & {id(task) for task in second.tasks}


# The network

FAULTS = faults(GOOD)
FINAL = {
    *("status 404", "status 204", "redirect", "compressed", "not HTTP"),
    *("endless body", "endless header", "endless headers", "endless size of a chunk"),
}
"""What no server does that is only away for a moment."""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    client = functools.partial(Client, deadline_s=0.4)
    monkeypatch.setattr(server_config, "Client", lambda max_bytes: client(max_bytes=min(max_bytes, 100_000)))


def then_good(fault: Callable[..., bool]) -> Callable[..., bool]:
    """Does its worst three times, then gives a good answer."""

    def behave(server: Server, sock: Any) -> bool:
        return (fault if len(server) <= 3 else answers(GOOD))(server, sock)

    return behave


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_with_a_fault_is_waited_for_or_is_an_error(fault: str) -> None:
    with Server(then_good(FAULTS[fault])) as server:
        config = ServerConfig(Settings(api_address=server.endpoint))
        if fault in FINAL:
            with pytest.raises(ServerError, match=f"http://{server.endpoint}/apps/me"):
                config.get_apps("me")
        else:
            assert config.get_apps("me")[1] == 7
            assert len(server) >= 4, "a good answer may come too late on a busy machine"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_registry_with_a_fault_costs_the_labels_not_the_agent(
    fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    with FakeServer() as server, Server(FAULTS[fault]) as registry:
        app = {"name": "a", "priority": 5, "maxContainers": 2, "config": {"image": f"{registry.endpoint}/x"}}
        data = json.dumps({"maxContainers": 2, "apps": [app]}).encode()
        server.answer = lambda user: ("200 OK", data)
        images = RegistryImages(environ={}, within_s=0.4)
        images.patience_s = 0.0
        tasks, _ = LabelConfig(ServerConfig(Settings(api_address=server.endpoint)), images).get_apps("me")
    assert tasks[0].priority == 5
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(
        f"image {registry.endpoint}/x: its labels cannot be read, so none applies: "
    )


@pytest.mark.parametrize("fault", ["too many", "broken"])
def test_a_registry_that_comes_back_is_waited_for(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    with FakeServer() as server, Registry() as registry:
        label = {"com.microscaling.priority": "3"}
        registry.tag("x", "latest", registry.image("x", label))
        setattr(registry, fault.replace(" ", "_"), 6)
        app = {"name": "a", "priority": 5, "maxContainers": 2, "config": {"image": f"{registry.host}/x"}}
        data = json.dumps({"maxContainers": 2, "apps": [app]}).encode()
        server.answer = lambda user: ("200 OK", data)
        config = LabelConfig(ServerConfig(Settings(api_address=server.endpoint)), RegistryImages(environ={}))
        assert config.get_apps("me")[0][0].priority == 3
    assert len([m for m in caplog.messages if m.startswith("waiting: ")]) == 1
