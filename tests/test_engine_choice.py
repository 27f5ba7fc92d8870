"""The Docker engine that an agent chooses, as its users see it: the first line of the log, or exit code 2."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.test_docker_client import Engine, engine
from tests.test_main import ROOT, TOY, run, start

__all__ = ["engine"]

APPS = json.dumps(
    {"maxContainers": 1, "apps": [{"name": "a", "maxContainers": 1, "config": {"image": "none"}}]}
)
DOCKER = {**TOY, "MSS_SCHEDULER": "DOCKER", "MSS_CONFIG_DATA": APPS, "MSS_PULL_IMAGES": "false"}

TLS = {"DOCKER_HOST": "tcp://h", "DOCKER_TLS_VERIFY": "1"}
LABEL = {"MSS_CONFIG": "LABEL", "MSS_API_ADDRESS": "127.0.0.1:9"}


def environ(folder: Path, **variables: str) -> dict[str, str]:
    """Without anything of whoever runs the tests."""
    none = dict.fromkeys(("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"), "")
    own = {"MSS_HEALTH_FILE": str(folder / "health"), "DOCKER_CONFIG": str(folder), "HOME": str(folder)}
    return {**DOCKER, **none, **own, **variables}


def write_context(folder: Path, name: str, host: str) -> None:
    meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))


def first_line(process: subprocess.Popen[str]) -> str:
    """Without level and time; then the process is stopped."""
    try:
        assert process.stderr
        line = process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0
        return line.partition(": ")[2].strip()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"DOCKER_HOST": "/var/run/docker.sock"}, 'got "/var/run/docker.sock"; write unix:///var/run/docker.sock'),
        ({"DOCKER_HOST": "npipe:////./pipe/docker_engine"}, "npipe:// is for Windows"),
        ({"DOCKER_HOST": "fd://"}, "fd:// is an address at which an engine listens"),
        ({"DOCKER_HOST": "tcp://"}, "the host is missing"),
        ({"DOCKER_HOST": "tcp://127.0.0.1:70000"}, "a number from 1 to 65535"),
        ({"DOCKER_HOST": "unix:///tmp"}, "/tmp is a directory, not a socket"),
        ({"DOCKER_HOST": "unix:///etc/hosts"}, "/etc/hosts is not a socket"),
        ({**TLS, "DOCKER_CERT_PATH": "/no/such"}, "there is no ca.pem in /no/such"),
        ({"DOCKER_CONTEXT": "nope"}, 'DOCKER_CONTEXT: the context "nope" does not exist'),
        ({"DOCKER_HOST": "fd://", **LABEL}, "an engine listens"),
        ({"DOCKER_HOST": "fd://", "MSS_DRY_RUN": "true"}, "an engine listens"),
    ],
)  # fmt: skip
def test_what_can_never_answer_is_one_line_and_code_2(
    tmp_path: Path, variables: dict[str, str], says: str
) -> None:
    code, out, err = run(**environ(tmp_path, **variables))
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("microscaling: DOCKER_")
    assert says in err


def test_another_scheduler_does_not_care() -> None:
    process = start(**{**TOY, "DOCKER_HOST": "fd://"})
    assert "Docker" not in first_line(process)


def test_the_first_line_of_the_log_says_which_engine_and_why(tmp_path: Path) -> None:
    write_context(tmp_path, "mine", f"unix://{tmp_path}/mine.sock")
    process = start(**environ(tmp_path, DOCKER_HOST=f"unix://{tmp_path}/none.sock"))
    assert first_line(process) == f"Docker engine unix://{tmp_path}/none.sock: from DOCKER_HOST"
    process = start(**environ(tmp_path, DOCKER_CONTEXT="mine"))
    said = f'Docker engine unix://{tmp_path}/mine.sock: from the context "mine" (DOCKER_CONTEXT)'
    assert first_line(process) == said


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to hide the default socket from one process")
def test_without_the_default_socket_the_current_context_is_asked(tmp_path: Path, engine: Engine) -> None:
    """As with rootless engines, Colima and Docker Desktop, where nobody sets DOCKER_HOST."""
    write_context(tmp_path, "rootless", f"unix://{engine.server_address}")
    (tmp_path / "config.json").write_text('{"currentContext": "rootless"}')
    (tmp_path / "empty").mkdir()
    hide = f"mount --bind {tmp_path}/empty /run && exec {sys.executable} -m microscaling"
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", hide],
        cwd=ROOT,
        env={**os.environ, **environ(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    line = first_line(process)
    if "mount" in line or "unshare" in line:
        pytest.skip(f"no mounts here: {line}")
    said = 'from the current context "rootless", as there is no /var/run/docker.sock'
    assert line == f"Docker engine unix://{engine.server_address}: {said}"


AS_SOMEBODY_ELSE = """
import logging, os
from microscaling.clients.docker.engine import choose, warn_of_rights
logging.basicConfig()
os.setgroups([])
os.setresgid(65532, 65532, 65532)
os.setresuid(65532, 65532, 65532)
warn_of_rights(choose(os.environ))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
@pytest.mark.parametrize("mode", [0o660, 0o666])
def test_a_socket_that_it_may_not_use_is_named(tmp_path: Path, mode: int) -> None:
    """And waited for: its owner can mend that meanwhile."""
    path = f"/tmp/mss-test-{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        try:
            os.chmod(path, mode)
            done = subprocess.run(
                [sys.executable, "-c", AS_SOMEBODY_ELSE],
                cwd=ROOT,
                env=environ(tmp_path, DOCKER_HOST=f"unix://{path}"),
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
        finally:
            os.unlink(path)
    said = f"user 65532 may not use {path} (group root, mode 660): waiting until it may"
    assert (said in done.stderr) == (mode == 0o660)
    assert bool(done.stderr) == (mode == 0o660)
