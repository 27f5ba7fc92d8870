"""Programs that no package of Debian has in these versions, built from Go modules into the user's cache.

The tests use those that lie there; only `make test-engines` builds them, as each takes many minutes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


class NotBuilt(Exception):
    """A program cannot be built here."""


@dataclass(frozen=True, slots=True)
class Program:
    """One version of a program; `stamp` is the variable of the module that has its version."""

    name: str
    module: str
    version: str
    package: str
    stamp: str
    tags: str = ""

    @property
    def path(self) -> Path:
        """The place of the binary, which may be missing."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cache / "microscaling-tests/bin" / f"{self.name}-{self.version.lstrip('v')}"

    @property
    def is_there(self) -> bool:
        return os.access(self.path, os.X_OK)

    @property
    def missing(self) -> str:
        return f"{self.path.name} is not in {self.path.parent}: `make test-engines` builds it"


COMPOSE_5 = Program("compose", "github.com/docker/compose/v5", "v5.6.0", "./cmd", "internal.Version")
COMPOSE_2 = Program("compose", "github.com/docker/compose/v2", "v2.40.3", "./cmd", "internal.Version")
MOBY = Program(
    "dockerd", "github.com/moby/moby/v2", "v2.0.0-beta.24", "./cmd/dockerd", "dockerversion.Version",
    "exclude_graphdriver_btrfs",
)  # fmt: skip
"""The next Docker Engine after 28: its releases are called 29, its module version 2."""
PROGRAMS = (COMPOSE_5, COMPOSE_2, MOBY)


def build(program: Program, say: Callable[[str], None]) -> None:
    """Builds a program unless it is there. Raises NotBuilt."""
    if program.is_there:
        say(f"{program.path} is there")
        return
    say(f"building {program.path}, which takes minutes")
    program.path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "source"), program.path.with_name(f"{program.path.name}.new")
        # A copy, as Go's own is read-only: with it go.mod counts in full, whose `exclude` lines
        # make `go install` refuse a program, and go.sum is there to check what is downloaded.
        subprocess.run(["cp", "-r", "--no-preserve=mode", _downloaded(program), source], check=True)
        stamp = f"{program.module}/{program.stamp}={program.version.lstrip('v')}"
        # Flags, as GOFLAGS in the environment is for the person who builds, such as -p=1.
        options = ["-mod=mod", "-trimpath", f"-ldflags=-s -w -X {stamp}", f"-tags={program.tags}"]
        done = _go("build", *options, "-o", str(made), program.package, cwd=source)
        if done.returncode:
            raise NotBuilt(f"{program.module}@{program.version} would not build:\n{done.stderr[-3000:]}")
        made.replace(program.path)


def _downloaded(program: Program) -> Path:
    """Returns Go's folder with the source of a program."""
    what = f"{program.module}@{program.version}"
    done = _go("mod", "download", "-json", what)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = {"Error": done.stderr}
    if answer.get("Error"):
        raise NotBuilt(f"{what} cannot be had from the Go module proxy (go env GOPROXY): {answer['Error']}")
    return Path(answer["Dir"])


def _go(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    go = shutil.which("go")
    if go is None:
        raise NotBuilt("go is missing: install Go 1.26 or later (https://go.dev/dl)")
    environ = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOTOOLCHAIN": "local"}
    return subprocess.run([go, *words], cwd=cwd, env=environ, capture_output=True, text=True, check=False)
