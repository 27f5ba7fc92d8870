"""Every example of the README and the docs is one that works, as people copy them.

Configurations are read, Compose files and manifests parsed, and commands looked at. What starts an agent
keeps its environment out of the containers. scripts/walkthrough runs README and quickstart as they stand.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from microscaling import __version__, arguments
from microscaling.api.demand import read_demand
from microscaling.clients.docker.on_change_labels import is_on_change, labels_of
from microscaling.config.file import FileConfig
from microscaling.config.services.labels import is_enabled
from microscaling.config.services.task import task_of
from microscaling.server.domain.reports import read_report
from microscaling.settings import Settings, files, variables
from microscaling.simulate import arguments as simulated
from scripts.docs import OF_THE_IMAGE
from tests.commands import Command, commands
from tests.pages import DOCS, README, ROOT, Block, blocks, blocks_of

yaml = pytest.importorskip("yaml")

EXAMPLES = ROOT / "examples" / "quickstart"
COMPOSE = ROOT / "examples" / "compose" / "docker-compose.yml"
COMPOSE_FILES = [
    ROOT / "docker-compose.yml",
    *(ROOT / "deploy").glob("docker-compose*.yml"),
    ROOT / "deploy" / "swarm.yml",
    *EXAMPLES.glob("docker*.yml"),
    COMPOSE,
]
MANIFESTS = [*COMPOSE_FILES, ROOT / "deploy" / "kubernetes.yaml"]
UNITS = sorted((ROOT / "deploy").glob("*.service"))
CREATES_NO_CONTAINERS = ("COMPOSE", "KUBERNETES", "MARATHON", "PROCESS", "SWARM", "TOY")
OTHER_VARIABLES = {"DOCKER_SOCKET", "PYTHON_IMAGE", "SERVER_PORT"}
"""Of the compose files and the Makefile."""
ELSEWHERE = {
    ("check.md", "text"): "tests/check/test_check.py",
    ("commands.md", "text"): "tests/control/test_commands.py",
    ("compose.md", "sh"): "tests/integration/test_compose_example.py",
    ("metrics.md", "yaml"): "tests/telemetry/test_prometheus.py",
    ("plugins.md", "python"): "tests/test_plugins_page.py",
    ("plugins.md", "toml"): "tests/test_plugins_page.py",
    ("plugins.md", "json"): "tests/test_plugins_page.py",
    ("swarm.md", "sh"): "tests/integration/test_swarm.py",
    ("warm.md", "sh"): "tests/integration/test_warm.py",
    ("warm.md", "python"): "tests/integration/test_warm.py",
    ("security.md", "text"): "tests/integration/test_socket_proxy.py",
    ("quickstart.md", "text"): "tests/test_quickstart.py",
    ("notifications.md", "json"): "tests/notify/test_notifier.py",
    ("operations.md", "text"): "tests/test_quickstart.py",
}
"""Page and language of blocks -> the file that tries them."""
NARROW = (("server",), ("schema",), ("check",), ("simulate",))
"""Commands that start no container."""
WALKED = ("README.md", "quickstart.md")
"""Pages whose commands scripts/walkthrough runs."""
PUSH = (
    "curl -X PUT http://microscaling:8000/api/users/shop/tasks/mailer/measurement  "
    '-H "Authorization: Bearer $MSS_SERVER_TOKEN" -H "Content-Type: application/json"  '
    """-d '{"waiting": 12, "running": 3}'"""
)
BY_HAND = {
    PUSH: "sent in tests/server/test_push.py",
    "docker buildx imagetools inspect python:3.12.13-slim-bookworm": "asks a registry",
    "dockerd-rootless-setuptool.sh install": "sets up an engine for a user; tried by hand, as the page says",
    "kubectl apply -n NAMESPACE -f deploy/kubernetes.yaml": "applied in test_kubernetes_real.py",
    "systemctl --user start podman.socket": "tests/integration/test_podman.py starts Podman's service itself",
}
"""Commands that are not run here, and why."""


def test_each_block_is_handled() -> None:
    unknown = [
        str(b) for b in blocks() if (b.page.name, b.language) not in ELSEWHERE and b.language not in HANDLERS
    ]
    assert unknown == [], "blocks of code that no test tries"
    assert [name for name in ELSEWHERE.values() if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(
    "block", [b for b in blocks() if (b.page.name, b.language) not in ELSEWHERE], ids=str
)
def test_blocks(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in re.findall(r"\$\{(\w+)\}", block.text):
        monkeypatch.setenv(name, "secret")
    monkeypatch.chdir(tmp_path)
    HANDLERS[block.language](block)
    assert caplog.messages == []


def check_yaml(block: Block) -> None:
    found = yaml.safe_load(block.text)
    if "apps" in found:
        read_configuration(block.text, "yaml")
    elif "services" in found:
        Path("docker-compose.yml").write_text(block.text.replace("VERSION", __version__))
        check_compose(Path("docker-compose.yml").resolve())
    elif "config" in found:  # a task's, without its name
        read_task(found)
    elif "url" in found:  # what a task's config says of its source
        read_task({"metricType": "HTTP", "config": found})
    elif "labels" in found:  # what a Compose file says of a service that is no task
        assert all(is_on_change(label) or label.startswith("traefik.") for label in found["labels"])
        labels_of(found["labels"])
    elif "cap_drop" in found:  # what a Compose file says of a service
        service = {"image": f"microscaling/microscaling:{__version__}", **found}
        Path("docker-compose.yml").write_text(yaml.safe_dump({"services": {"agent": service}}))
        check_compose(Path("docker-compose.yml").resolve())
    else:
        assert found["kind"] == "Role"  # tests/scheduler/test_kubernetes.py compares it


def read_task(part: dict[str, Any]) -> None:
    app = {"name": "a", "maxContainers": 1, "ruleType": "PerContainer", **part}
    app["config"] = {"targetPerContainer": 1, **part["config"]}
    if "targetQueueLength" in app["config"]:
        app["ruleType"] = "SimpleQueue"
        del app["config"]["targetPerContainer"]
    read_configuration(json.dumps({"maxContainers": 1, "apps": [app]}), "json")


def read_configuration(text: str, language: str) -> None:
    path = Path(f"tasks.{language}")
    path.write_text(text)
    tasks, cap = FileConfig(Settings(config_file=str(path))).get_apps("")
    assert tasks
    assert cap > 0


def check_json(block: Block) -> None:
    """A configuration, or messages of the server's page."""
    decoder, rest = json.JSONDecoder(), block.text.strip()
    while rest:
        found, end = decoder.raw_decode(rest)
        if "apps" in found:
            read_configuration(rest[:end], "json")
        elif "tasks" in found.get("metrics", ()):
            assert read_report(rest[:end]).tasks
        elif "demand" in found:
            assert read_demand(rest[:end].encode())
        else:
            assert block.page.name == "server.md", "what is it?"
        rest = rest[end:].lstrip()


def check_shell(block: Block) -> None:
    done = subprocess.run(["sh", "-n"], input=block.text, capture_output=True, text=True)
    assert done.stderr == ""
    for command in commands(block.text):
        check_command(command, block)


def check_command(command: Command, block: Block) -> None:
    known = {*variables(), *files(), *OF_THE_IMAGE, "DOCKER_HOST", *OTHER_VARIABLES}
    assert {*command.environ} <= known, command.line
    line = command.line.partition(" #")[0].strip()
    if command.arguments is not None:
        parse = simulated.arguments_of if command.arguments[:1] == ("simulate",) else arguments.parse
        parse(command.arguments[parse is not arguments.parse :])
        assert is_narrow(command.environ) or command.arguments[:1] in NARROW, line
        assert not command.image or command.image.endswith(f":{__version__}"), line
    elif command.words[0] == "make":
        assert re.search(rf"^{command.words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), line
    elif command.words[1:2] == ("-m",):
        assert command.words[2] == "venv" or importlib.util.find_spec(command.words[2]), line
    else:
        assert block.page.name in WALKED or line in BY_HAND, f"nothing runs this: {line}"


def check_python(block: Block) -> None:
    assert block.text == (EXAMPLES / "worker.py").read_text()


def check_proxy(block: Block) -> None:
    """A part of an example, which tests/web runs as a whole."""
    name = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg", "caddyfile": "Caddyfile"}[block.language]
    example = {line.strip() for line in (ROOT / "examples" / "web" / name).read_text().splitlines()}
    assert [line for line in block.text.splitlines() if line.strip() not in example] == []


HANDLERS: Mapping[str, Callable[[Block], None]] = {
    **dict.fromkeys(("nginx", "haproxy", "caddyfile"), check_proxy),
    "json": check_json,
    "python": check_python,
    "sh": check_shell,
    "yaml": check_yaml,
}


def test_the_quickstarts_files_are_as_shown() -> None:
    tasks = (EXAMPLES / "tasks.yaml").read_text()
    assert [b.text for b in blocks_of(DOCS / "quickstart.md", "yaml")] == [tasks]
    (of_readme,) = (block for block in blocks_of(README, "yaml") if "apps:" in block.text)
    assert tasks.startswith(of_readme.text)
    assert tasks[len(of_readme.text) :].startswith("  - name: ")


def test_the_compose_file_is_as_shown() -> None:
    """But for what builds its images, and for the places that an environment may change."""
    shown = [blocks_of(page, "yaml")[0].text for page in (README, DOCS / "compose.md")]
    assert shown[0] == shown[1]
    file = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", COMPOSE.read_text("utf-8"))
    services = (found := yaml.safe_load(file))["services"]
    for service in services.values():
        service.pop("build", None)
        service.pop("pull_policy", None)
    assert found == yaml.safe_load(shown[0])


def test_labels_in_compose_files_are_right(caplog: pytest.LogCaptureFixture) -> None:
    texts = [block.text for block in blocks("yaml")] + [path.read_text("utf-8") for path in COMPOSE_FILES]
    read = []
    for name, service in (
        item for text in texts for item in yaml.safe_load(text).get("services", {}).items()
    ):
        labels = service.get("labels") or service.get("deploy", {}).get("labels") or {}
        if is_enabled(labels):
            warned: list[str] = []
            read.append(task_of(name, labels, 10, Settings(), warned.append))
            assert warned == []
    assert {task.name for task in read} >= {"worker", "batch", "checkout"}


def test_the_quickstarts_containers_do_what_its_processes_do() -> None:
    tasks, containers = (
        yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text()) for name in ("tasks", "containers")
    )
    for app in (*tasks["apps"], *containers["apps"]):
        for key in ("image", "networkMode", "volumes", "databaseURL"):
            app["config"].pop(key, None)
        app["config"]["command"] = app["config"]["command"].replace("/worker.py", "worker.py")
    assert tasks == containers
    read = FileConfig(Settings(config_file=str(EXAMPLES / "containers.yaml"))).get_apps("")
    assert read[1] == 6


@pytest.mark.parametrize("path", COMPOSE_FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_compose_files(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSS_CONFIG_DATA", "{}")
    check_compose(path)


def check_compose(path: Path) -> None:
    """Compose itself reads it; without one that is all we can say."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        command = ["docker", "compose"]
    elif shutil.which("docker-compose"):
        command = ["docker-compose"]
    else:
        pytest.skip("neither docker compose nor docker-compose is here to read it")
    done = subprocess.run(
        [*command, "-f", str(path), "config", "-q"], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")


def is_narrow(environ: Mapping[str, str]) -> bool:
    passed = environ.get("MSS_PASS_ENV", "")
    creates_none = environ.get("MSS_SCHEDULER") in CREATES_NO_CONTAINERS or "MSS_DRY_RUN" in environ
    return passed not in ("", "*") or creates_none


def agents_of(manifest: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Name and environment of every agent in a Compose file, or in objects of Kubernetes."""
    for found in yaml.safe_load_all(manifest):
        for name, service in (found.get("services") or {}).items():
            if "microscaling/microscaling" in service.get("image", "") and not _is_server(service):
                yield name, service.get("environment", {})
        pod = found.get("spec", {}).get("template", {}).get("spec", {})
        for container in pod.get("containers", ()):
            yield container["name"], {v["name"]: v.get("value", "") for v in container["env"]}


def _is_server(service: dict[str, Any]) -> bool:
    return "server" in service.get("command", ())


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_manifests(path: Path) -> None:
    agents = list(agents_of(path.read_text("utf-8")))
    assert agents, "no agent in it: is it known here how it looks?"
    assert [name for name, environ in agents if not is_narrow(environ)] == []


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units(path: Path) -> None:
    unit = path.read_text("utf-8")
    said = re.findall(r"^Environment=(\w+)=(.*)$", unit, re.MULTILINE)
    starts_server = re.search(r"^ExecStart=\S+ server$", unit, re.MULTILINE)  # which starts no containers
    assert starts_server or is_narrow(dict(said))


def block(text: str, page: Path = DOCS / "operations.md") -> Block:
    return Block(page, 1, "sh", text)


@pytest.mark.parametrize(
    "text",
    [
        "MSS_PASS_ENV=* microscaling",
        "A=b MSS_PASS_ENV=none \\\n    microscaling",
        "MSS_PASS_ENV=none MSS_DRYRUN=true microscaling -f tasks.yaml",
        "MSS_PASS_ENV=none microscaling --fiel tasks.yaml",
        "docker run --rm -e MSS_PASS_ENV=none microscaling/microscaling",
        "make nothing-of-the-kind",
        "python3 -m scripts.nothing",
        "rm -r /",
        "if",
    ],
)
def test_what_would_not_work_is_noticed(text: str) -> None:
    with pytest.raises((AssertionError, SystemExit)):
        check_shell(block(text))
