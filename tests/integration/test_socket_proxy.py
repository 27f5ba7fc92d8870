"""The agent behind the filter of deploy/socket-proxy: with exactly its rules, and without each of them."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient
from docker.errors import APIError, NotFound

from microscaling.demand.container import ContainerOptions
from microscaling.demand.task import Task
from microscaling.demand.warm import Warm
from microscaling.errors import NotReady, PermanentError
from microscaling.scheduler.docker.backend import DockerBackend
from microscaling.scheduler.docker.body import create_body
from tests.fakes.server import FakeServer
from tests.integration import engines
from tests.integration.agents import ROOT, AgentProcess, Witness, app, wait_for
from tests.integration.engines import give_up
from tests.integration.registries import RealRegistry
from tests.integration.test_compose import compose_command

CONFIG = (ROOT / "deploy/socket-proxy/haproxy.cfg").read_text()
WOLLOMATIC = (ROOT / "deploy/socket-proxy/wollomatic.env").read_text()
DOCS = (ROOT / "docs/security.md").read_text()
RULE = re.compile(
    r"^ +(#?)http-request allow if \{ method (\w+) \} \{ path -m reg '\^(\S+)\$' \} +# (\w+)$", re.MULTILINE
)
RULES = {name: (method, path) for mark, method, path, name in RULE.findall(CONFIG) if not mark}
"""Name -> method and regular expression of the path."""
OPTIONAL = {name: (method, path) for mark, method, path, name in RULE.findall(CONFIG) if mark}
"""The same, for those in comments."""
REQUESTS = {
    name: f"{method} {path}"
    for name, method, path in re.findall(r"^\| `(\w+)` \| (\w+) \| `(\S+)` \|", DOCS, re.MULTILINE)
}
"""Name -> request, as the documentation writes it."""
STOPPED = Warm(1, signal="CONT", stops=True)
LABELLED = 'FROM mss-test/sleeper\nLABEL com.microscaling.max-containers="2"\n'


class Proxy:
    """A real HAProxy in front of an engine's socket, on a socket of its own."""

    def __init__(self, folder: Path, engine: Path, text: str = CONFIG) -> None:
        self.socket = folder / "filtered.sock"
        self.host = f"unix://{self.socket}"
        self.engine = engine
        self.config = folder / "haproxy.cfg"
        self.log_path = folder / "haproxy.log"
        self._write(text)

    def __enter__(self) -> Proxy:
        command = ["haproxy", "-W", "-f", str(self.config)]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self._listens, "for HAProxy")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)
        print(self.log_path.read_text())  # shown if the test fails

    def reload(self, text: str) -> None:
        """With other rules; what is under way is cut off within 5 s. Returns once nobody has the old ones."""
        self._write(text)
        before, old = self._workers(), self._running()

        def begins() -> bool:
            # Its master hears no signal while it runs itself anew, as it does right after its start, too.
            self.process.send_signal(signal.SIGUSR2)
            time.sleep(0.5)
            return self._workers() > before

        wait_for(begins, "for a worker with the new rules")
        wait_for(lambda: not old & self._running(), "for the end of the worker with the old ones")

    def _listens(self) -> bool:
        # Its socket has its name a moment before it listens there. And `reload` counts from the first worker.
        with socket.socket(socket.AF_UNIX) as client:
            return self._workers() > 0 and client.connect_ex(str(self.socket)) == 0

    def _workers(self) -> int:
        """How many it has started so far."""
        return self.log_path.read_text().count("New worker")

    def _running(self) -> set[str]:
        """The pids of its workers."""
        return set(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split())

    def asked(self) -> set[tuple[int, str, str]]:
        """Status, method and path of each request so far."""
        lines = re.findall(r"^(\d+) ([A-Z]+) (\S+)", self.log_path.read_text(), re.MULTILINE)
        return {(int(status), method, path) for status, method, path in lines}

    def _write(self, text: str) -> None:
        text = text.replace("/run/socket-proxy/docker.sock", str(self.socket))
        self.config.write_text(text.replace("/var/run/docker.sock", str(self.engine)))


def without(rule: str, config: str = CONFIG) -> str:
    lines = config.splitlines(keepends=True)
    kept = [line for line in lines if not line.endswith(f"# {rule}\n")]
    assert len(lines) - len(kept) == 1
    return "".join(kept)


def allows(rule: tuple[str, str], method: str, path: str) -> bool:
    return rule[0] == method and re.fullmatch(rule[1], path) is not None


@pytest.fixture
def engine_socket(engine: APIClient) -> Path:
    """Of the engine, which has to have one here, as has to be HAProxy."""
    if not shutil.which("haproxy"):
        give_up("HAProxy is missing (the package haproxy)")
    path = Path("/var/run/docker.sock")
    if not path.is_socket():
        give_up(f"there is no {path}")
    return path


@pytest.fixture
def networks(engine: APIClient, prefix: str) -> Iterator[list[str]]:
    names = [f"{prefix}{uuid.uuid4().hex[:6]}" for _ in range(2)]
    try:
        for name in names:
            engine.create_network(name, internal=True)
        yield names
    finally:
        engines.remove(engine, engines.ours(engine, prefix))
        for name in names:
            with contextlib.suppress(NotFound):
                engine.remove_network(name)


@pytest.fixture
def images(engine: APIClient, tmp_path: Path) -> Iterator[dict[str, str]]:
    """In a registry, and here: one with a label, and one that ends at once."""
    names: dict[str, str] = {}
    try:
        with (
            RealRegistry(tmp_path) as registry,
            engines.built(engine, f"mss-test/proxied-{uuid.uuid4().hex[:8]}", LABELLED) as labelled,
        ):
            for name, image in (("team/labelled:v1", labelled), ("exits", "mss-test/exits")):
                names[name] = registry.has(engine, image, name)
                engine.tag(image, names[name])
            yield names
    except engines.Missing as missing:
        give_up(missing)
    finally:
        for image in names.values():
            with contextlib.suppress(NotFound):
                engine.remove_image(image, force=True)


@pytest.fixture
def apps(prefix: str, images: dict[str, str], networks: list[str]) -> list[dict[str, Any]]:
    """What uses all that the agent can: `a` and `c` have 1 container, 2 by the label of their image, `c` on
    two networks; `b` ends at once, again and again."""
    labelled, exits = images["team/labelled:v1"], images["exits"]
    alone: dict[str, Any] = {"maxContainers": 1, "config": {"networkMode": "none"}}
    on_two = {"networks": networks, "publishAllPorts": False}
    return [
        app(f"{prefix}a", 1, labelled, **alone),
        app(f"{prefix}b", 2, exits, **alone),
        app(f"{prefix}c", 3, labelled, minContainers=0, maxContainers=1, config=on_two),
    ]


@contextlib.contextmanager
def agent_behind(
    host: str, folder: Path, apps: list[dict[str, Any]], end_s: int = 40
) -> Iterator[AgentProcess]:
    """An agent that also pulls, and reads labels; it gives up its end after `end_s`."""
    with FakeServer({"maxContainers": 10, "apps": apps}) as server:
        settings = {"MSS_CONFIG": "LABEL", "MSS_API_ADDRESS": server.endpoint, "MSS_PULL_IMAGES": "true"}
        settings |= {"DOCKER_HOST": host, "MSS_EXIT_TIMEOUT_S": f"{end_s}"}
        with AgentProcess(folder, [], **settings) as agent:
            yield agent


def test_exactly_the_rules_are_needed(
    engine: APIClient, tmp_path: Path, prefix: str, apps: list[dict[str, Any]], engine_socket: Path
) -> None:
    witness = Witness(engine, prefix)
    with Proxy(tmp_path, engine_socket) as proxy, agent_behind(proxy.host, tmp_path, apps) as agent:
        witness.wait(a=2, c=2)
        agent.says("exit code 3, last lines: cannot start: no database")
        engine.kill(witness.running(f"{prefix}a")[0])
        agent.says("exit code 137")
        witness.wait(a=2, c=2)
        assert agent.stop() == 0
        assert "refused" not in agent.log()
    assert not witness.left()
    asked = proxy.asked()
    assert {status for status, _, _ in asked} <= {200, 201, 204, 304, 404}
    used = {name for name, rule in RULES.items() if any(allows(rule, *request) for _, *request in asked)}
    assert used == set(RULES)


ALL = {"a": 2, "c": 2}
MISSING = [
    # rule, what runs without it, exit code when stopped, what is said of what comes of it
    ("version", {}, 0, "waiting: GET /version is refused"),
    ("events", {}, 0, "waiting: GET /events is refused"),
    ("list", {}, 0, "waiting: GET /containers/json is refused"),
    ("create", {}, 0, "could not be created: POST /containers/create is refused"),
    ("start", {}, 0, "could not be started: POST /containers/ID/start is refused"),
    ("stop", ALL, 1, "possibly left: "),
    ("remove", ALL, 1, "possibly left: "),
    ("logs", ALL, 0, "exit code 3, last lines: (none)"),
    ("inspect", ALL, 0, "exit code 3, last lines: (none)"),
    ("pull", ALL, 0, "a local image is used"),
    ("image", {"a": 1, "c": 1}, 0, "its labels cannot be read, so none applies: GET /images/NAME/json is"),
    ("networks", {"a": 2}, 0, "could not be created: POST /networks/NAME/connect is refused"),
]


@pytest.mark.parametrize(("rule", "runs", "code", "effect"), MISSING)
def test_a_rule_that_is_missing_is_named(
    engine: APIClient,
    tmp_path: Path,
    prefix: str,
    apps: list[dict[str, Any]],
    engine_socket: Path,
    rule: str,
    runs: dict[str, int],
    code: int,
    effect: str,
) -> None:
    """Once, with the way out; and whatever does not need it goes on."""
    witness = Witness(engine, prefix)
    with (
        Proxy(tmp_path, engine_socket, without(rule)) as proxy,
        # Only where something is left does it take that long.
        agent_behind(proxy.host, tmp_path, apps, 3 if code else 40) as agent,
    ):
        witness.wait(**{"a": 0, "c": 0} | runs)
        if code == 0:
            agent.says(effect)
        assert agent.stop() == code
        log = agent.log()
    assert effect in log
    refused = f"{REQUESTS[rule]} is refused (HTTP 403: no rule of the socket proxy allows this) by the engine"
    named = [
        line
        for line in log.splitlines()
        if line.startswith("ERROR ") and "is refused" in line and "allow it" in line
    ]
    assert len(named) == 1, named
    assert refused in named[0]
    assert named[0].endswith("allow it there; all requests of the agent are listed in docs/security.md")
    assert "Traceback" not in log
    assert bool(witness.left()) == bool(code), "1: it has left something behind"


def test_every_rule_was_taken_away() -> None:
    assert {row.values[0] if hasattr(row, "values") else row[0] for row in MISSING} == set(RULES)


def test_rules_and_an_engine_that_come_late_are_waited_for(
    engine: APIClient, tmp_path: Path, prefix: str, engine_socket: Path
) -> None:
    witness = Witness(engine, prefix)
    late = tmp_path / "late.sock"
    apps = [app(f"{prefix}a", 1, maxContainers=1, config={"networkMode": "none"})]
    with (
        Proxy(tmp_path, late, without("list")) as proxy,
        AgentProcess(tmp_path, apps, DOCKER_HOST=proxy.host) as agent,
    ):
        agent.says("waiting: HTTP 503 for GET /version")
        late.symlink_to(engine_socket)
        agent.says("GET /containers/json is refused")
        proxy.reload(CONFIG)
        witness.wait(a=1)
        assert agent.stop() == 0
    assert not witness.left()


PLAIN = create_body(Task("x", image="mss-test/sleeper", network_mode="none"), "nonce")
HOST = PLAIN["HostConfig"]
ROOT_ON_THE_HOST = {**PLAIN, "HostConfig": {**HOST, "Binds": ["/:/host"]}}
TRICKS = [
    json.dumps(ROOT_ON_THE_HOST),
    json.dumps({**PLAIN, "HostConfig": {**HOST, "Privileged": True}}),
    json.dumps({**PLAIN, "HostConfig": {**HOST, "UsernsMode": "host"}}),
    json.dumps({**PLAIN, "HostConfig": {**HOST, "NetworkMode": "host"}}),
    json.dumps({**PLAIN, "HostConfig": {**HOST, "NetworkMode": "container:x"}}),
    json.dumps(
        {**PLAIN, "HostConfig": {**HOST, "Mounts": [{"Type": "bind", "Source": "/", "Target": "/x"}]}}
    ),
    json.dumps({**PLAIN, "hostconfig": {"privileged": True}}),
    json.dumps({**PLAIN, "Image": "mss-test/stubborn"}),
    json.dumps({**PLAIN, "User": "0"}),
    json.dumps({**PLAIN, "Env": ['A"B']}).replace('\\"', '"'),
    json.dumps(PLAIN)[:-1] + ', "HostConfig": {"Privileged": true}}',
    json.dumps(PLAIN).replace("[]}}", '[]}, "HostConfig": {"Privileged": true}, "Cmd": ["]}"]}'),
    json.dumps(PLAIN) + 20_000 * " " + json.dumps({"HostConfig": {"Privileged": True}}),
    20_000 * " " + json.dumps(ROOT_ON_THE_HOST),
]


def test_who_may_create_is_root_unless_the_body_is_looked_at(
    engine: APIClient, tmp_path: Path, prefix: str, engine_socket: Path
) -> None:
    closer = re.sub(r"^    #(?=option|http-request)", "    ", CONFIG, flags=re.MULTILINE)
    closer = closer.replace(r"example/worker:1\.4|example/batch:2\.0", "mss-test/sleeper")
    assert closer.count("mss-test/sleeper") == 1
    task, witness = f"{prefix}a", Witness(engine, prefix)
    apps = [app(task, 1, maxContainers=2, config={"networkMode": "none", "command": "sleep 9999"})]
    with Proxy(tmp_path, engine_socket) as proxy:
        ask = functools.partial(create, proxy.host, engine)
        assert ask(json.dumps(ROOT_ON_THE_HOST)) == 201
        proxy.reload(closer)
        wait_for(lambda: ask(json.dumps(ROOT_ON_THE_HOST)) == 403, "for the new rules")
        assert ask(json.dumps(PLAIN)) == 201
        assert [trick for trick in TRICKS if ask(trick) != 403] == []
        passed = {"MSS_PASS_ENV": "ODD,MORE", "ODD": '"\\\n]}é', "MORE": ""}
        with AgentProcess(tmp_path, apps, DOCKER_HOST=proxy.host, **passed) as agent:
            witness.wait(a=2)
            assert agent.stop() == 0
            assert "refused" not in agent.log()
    assert not witness.left()


def create(host: str, engine: APIClient, body: str) -> int:
    """The status that a request to create this container is answered with; nothing is left of it."""
    client = APIClient(host, version="1.41")
    try:
        json_ = {"Content-Type": "application/json"}
        answer = client.post(f"{client.base_url}/v1.41/containers/create", data=body.encode(), headers=json_)
    finally:
        client.close()
    if answer.status_code == 201:
        engine.remove_container(answer.json()["Id"], force=True)
    return int(answer.status_code)


@pytest.fixture
def haproxy_image(engine: APIClient) -> Iterator[str]:
    """This machine's HAProxy and the libraries that it needs."""
    program = shutil.which("haproxy") or give_up("HAProxy is missing (the package haproxy)")
    linked = subprocess.check_output(["ldd", program], text=True)
    files = [program, *re.findall(r"(/\S+) \(0x", linked)]
    lines = [f"COPY f{i} {path}\n" for i, path in enumerate(files)]
    content = {f"f{i}": Path(path).read_bytes() for i, path in enumerate(files)}
    dockerfile = f"FROM {engines.BUSYBOX}\n{''.join(lines)}ENV PATH={Path(program).parent}:/bin\n"
    with engines.built(engine, f"mss-test/haproxy-{uuid.uuid4().hex[:8]}", dockerfile, **content) as image:
        yield image


def test_the_compose_file_has_a_proxy_that_may_do_nothing_else(
    engine: APIClient, tmp_path: Path, prefix: str, haproxy_image: str
) -> None:
    """It comes up as it is written there, and the agent finds its socket in the volume."""
    project = f"mss{prefix}proxy"
    compose = [*compose_command(), "-p", project, "-f", str(ROOT / "deploy/docker-compose.socket-proxy.yml")]
    environ = {**os.environ, "HAPROXY_IMAGE": haproxy_image, "MSS_CONFIG_DATA": "{}"}

    def run(*words: str) -> None:
        done = subprocess.run([*compose, *words], env=environ, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr

    witness = Witness(engine, prefix)
    try:
        run("up", "-d", "socket-proxy")
        folder = engine.inspect_volume(f"{project}_filtered")["Mountpoint"]
        filtered = Path(folder, "docker.sock")
        wait_for(filtered.exists, "for the socket of the filter")
        apps = [app(f"{prefix}a", 1, maxContainers=2, config={"networkMode": "none"})]
        with AgentProcess(tmp_path, apps, DOCKER_HOST=f"unix://{filtered}") as agent:
            witness.wait(a=2)
            assert agent.stop() == 0
        client = APIClient(f"unix://{filtered}", version="1.41")
        with pytest.raises(APIError, match="no rule of the socket proxy allows this"):
            client.info()
        client.close()
    finally:
        run("down", "-v")


REFUSED = [
    ("POST", "/v1.23/containers/" + 64 * "0" + "/start"),  # there, it may carry a HostConfig
    ("POST", "/containers/create"),
    ("POST", "/v1.41/containers/create/"),
    ("GET", "/v1.41/images/../containers/json"),
    ("GET", "/v1.41/images/x/../../containers/json"),
    ("GET", "/v1.41/images/a%2Fb/json"),
    ("GET", "/v1.41/images/get"),
    ("GET", "/v1.41/containers/some-name/json"),
    ("GET", "/v1.41/containers/" + 64 * "0" + "/archive"),
    ("POST", "/v1.41/containers/" + 64 * "0" + "/exec"),
    ("POST", "/v1.41/build"),
    ("PUT", "/v1.41/containers/" + 64 * "0" + "/archive"),
    ("DELETE", "/v1.41/images/x"),
    ("HEAD", "/version"),
]


@pytest.mark.parametrize(("method", "path"), REFUSED)
def test_what_the_rules_keep_out(method: str, path: str) -> None:
    assert not any(allows(rule, method, path) for rule in RULES.values())


NAMES = [
    "x",
    "team/app",
    "team/app:v1.2",
    "host.example:5000/a/b-c__d:1",
    "a@sha256:" + 64 * "0",
    "a%40sha256:0",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_images_are_let_through(name: str) -> None:
    assert allows(RULES["image"], "GET", f"/v1.41/images/{name}/json")


def test_there_is_one_list_of_rules() -> None:
    """The documentation's, HAProxy's, and the other proxy's."""
    rules = RULES | OPTIONAL
    for name, (method, path) in rules.items():
        example = re.sub("(?<=services/|.configs/)ID", 25 * "0", REQUESTS[name])
        example = example.replace("/ID", "/" + 64 * "0").replace("/NAME/", "/some-name/")
        example = example if name == "version" else example.replace(" /", " /v1.41/")
        assert allows((method, path), *example.split()), name
    assert set(REQUESTS) == set(rules)
    others = re.findall(r"^# (\w+)\n(#?)SP_ALLOW_([A-Z]+)_\d+=(\S+)$", WOLLOMATIC, re.MULTILINE)
    assert {name: (method, path) for name, _, method, path in others} == rules
    assert {name for name, mark, *_ in others if mark} == set(OPTIONAL)
    keys = re.findall(r"^#?(SP_\w+)=", WOLLOMATIC, re.MULTILINE)
    assert len(keys) == len(set(keys)) == len(rules) + 3


def test_a_program_that_stops_itself_needs_one_rule_more(
    engine: APIClient, engine_socket: Path, tmp_path: Path, prefix: str
) -> None:
    task = Task(f"{prefix}a", image=engines.BUSYBOX, network_mode="none", warm=STOPPED)
    command = ("sh", "-c", "kill -STOP $$; sleep 9")
    task.container = ContainerOptions(command=command, request={"HostConfig.Init": True})

    def is_ready(backend: DockerBackend, id: str) -> bool:
        with contextlib.suppress(NotReady):
            backend.check_ready(task, id)
            return True
        return False

    text = re.sub(r"^( +)#(?=http-request allow .* # top$)", r"\1", CONFIG, flags=re.MULTILINE)
    for config, allowed in ((CONFIG, False), (text, True)):
        (folder := tmp_path / f"{allowed:d}").mkdir()  # a longer one may be too long for a socket
        with (
            Proxy(folder, engine_socket, config) as proxy,
            contextlib.closing(DockerBackend(proxy.host, pull_images=False)) as backend,
        ):
            id = backend.create(task, "n")
            try:
                backend.start(id)
                if allowed:
                    wait_for(lambda: is_ready(backend, id))  # noqa: B023
                else:
                    with pytest.raises(PermanentError, match="/top is refused"):
                        backend.check_ready(task, id)
                    with pytest.raises(PermanentError, match="/stats is refused"):
                        backend.memory(id)
            finally:
                backend.remove(id)
