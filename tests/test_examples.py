"""Whatever we ship that starts an agent keeps its environment out of the containers: people copy examples."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MANIFESTS = [
    path for folder in (ROOT, ROOT / "deploy") for path in sorted(folder.glob("*.y*ml")) if path.is_file()
]
UNITS = sorted((ROOT / "deploy").glob("*.service"))
AGENT = re.compile(r"(^|[\s/])microscaling( -f \S+)?$")
"""At the end of a command: the program, the module or the image."""
CREATES_NOTHING = ("KUBERNETES", "MARATHON", "TOY")


def is_narrow(environ: Mapping[str, str]) -> bool:
    passed = environ.get("MSS_PASS_ENV", "")
    return passed not in ("", "*") or environ.get("MSS_SCHEDULER") in CREATES_NOTHING


def commands_of(page: str) -> Iterator[str]:
    """Those in blocks of code that start an agent with settings; lines that go on in the next are one."""
    for line in re.sub(r"\\\n\s*", "", page).splitlines():
        command = line.partition(" # ")[0].rstrip()
        if line.startswith("    ") and "MSS_" in command and AGENT.search(command) and " ... " not in command:
            yield command.strip()


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


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_commands(page: Path) -> None:
    commands = list(commands_of(page.read_text("utf-8")))
    wide = [c for c in commands if not is_narrow(dict(re.findall(r"\b(MSS_[A-Z_]+)=(\S*)", c)))]
    assert wide == []
    if page.name == "README.md":
        assert len(commands) == 2


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests(path: Path) -> None:
    agents = list(agents_of(path.read_text("utf-8")))
    assert agents, "no agent in it: is it known here how it looks?"
    assert [name for name, environ in agents if not is_narrow(environ)] == []


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units(path: Path) -> None:
    said = re.findall(r"^Environment=(\w+)=(.*)$", path.read_text("utf-8"), re.MULTILINE)
    assert is_narrow(dict(said))


def test_what_is_not_narrow_is_noticed() -> None:
    (command,) = commands_of("    A=b MSS_CONFIG=FILE \\\n        microscaling   # so\n")
    assert command == "A=b MSS_CONFIG=FILE microscaling"
    assert not is_narrow({"MSS_CONFIG": "FILE"})
    assert not is_narrow({"MSS_PASS_ENV": "*"})
