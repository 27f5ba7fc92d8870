"""The Docker engine that an agent chooses, as its users see it: the first line of the log, or exit code 2."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.test_docker_client import Engine, engine
from tests.services.service import free_port
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
import os, sys
from microscaling import factory
from microscaling.__main__ import main
from microscaling.metric.base import METRICS
from microscaling.settings import Settings
from microscaling.target.base import RULES
# The other user may not be able to read Python's library: what the agent will import is imported now.
names = [group.names() for group in factory.CHOICES.values()]
settings = factory.prepared(Settings(docker_host="unix:///nonexistent.sock", state_dir="/nonexistent"), {})
factory.make_scheduler(settings, {}).cleanup()
METRICS.names(), RULES.names()
import encodings.idna, http.cookiejar, microscaling.agent, microscaling.engine.local, redis
import microscaling.utils.yaml_text
user = int(sys.argv[1])
os.setgroups([])
os.setresgid(user, user, user)
os.setresuid(user, user, user)
sys.exit(main(sys.argv[2:]))
"""


def start_as(user: int, *arguments: str, cwd: Path = ROOT, **environ: str) -> subprocess.Popen[str]:
    """The agent as another user, in none but its own group."""
    return subprocess.Popen(
        [sys.executable, "-c", AS_SOMEBODY_ELSE, str(user), *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], **environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str], until: str) -> str:
    """Reads its log to a line with these words, and returns that line."""
    assert process.stderr
    return next((line for line in process.stderr if until in line), "(its end)")


@pytest.fixture
def unused_socket() -> Iterator[str]:
    """A socket at which nothing listens, in a folder that all users can reach."""
    path = f"/tmp/mss-test-{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        yield path
        os.unlink(path)


NOBODY = pwd.getpwnam("nobody").pw_uid
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")


@needs_root
@pytest.mark.parametrize(
    ("user", "group", "mode", "way_out"),
    [
        (NOBODY, "daemon", 0o660, "sudo usermod -aG daemon nobody, then log in again"),
        (65532, "daemon", 0o660, "run the agent with that group (docker run --group-add 1)"),
        (NOBODY, "root", 0o660, "run the agent as root"),
        (NOBODY, "daemon", 0o600, "run the agent as root"),
    ],
)
def test_a_socket_without_permission_is_one_line_and_code_2(
    tmp_path: Path, unused_socket: str, user: int, group: str, mode: int, way_out: str
) -> None:
    shutil.chown(unused_socket, group=group)
    os.chmod(unused_socket, mode)
    process = start_as(user, **environ(tmp_path, DOCKER_HOST=f"unix://{unused_socket}"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    name = "nobody" if user == NOBODY else str(user)
    assert err.splitlines()[1:] == [
        "microscaling: permission denied while trying to connect to the Docker daemon socket at "
        f"unix://{unused_socket} (from DOCKER_HOST): this user, {name}, may not use it "
        f"(owner root, group {group}, mode {mode:o}): {way_out}"
    ]


@needs_root
def test_a_socket_in_a_folder_of_another_user(tmp_path: Path) -> None:
    """Such as that of a rootless engine of another user: it is not taken for a missing one."""
    folder = Path(f"/tmp/mss-test-{os.getpid()}")
    folder.mkdir(mode=0o700)
    try:
        process = start_as(NOBODY, **environ(tmp_path, DOCKER_HOST=f"unix://{folder}/docker.sock"))
        _, err = process.communicate(timeout=60)
    finally:
        folder.rmdir()
    assert process.returncode == 2
    assert err.splitlines()[-1].endswith(f"this user, nobody, may not look into {folder}")


@needs_root
@pytest.mark.parametrize("mode", [0o666, 0o000], ids=["all may", "is being made"])
def test_a_socket_that_may_yet_answer_is_waited_for(tmp_path: Path, unused_socket: str, mode: int) -> None:
    os.chmod(unused_socket, mode)
    with start_as(NOBODY, **environ(tmp_path, DOCKER_HOST=f"unix://{unused_socket}")) as process:
        says = "nothing listens on that socket" if mode else "permission denied while trying to connect"
        assert "waiting: " in (line := told(process, "waiting")), line
        assert says in line
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_while_it_waits_another_cause_is_said_too(tmp_path: Path) -> None:
    """Of a missing socket the other engines that are here; then it appears, and nothing listens."""
    (tmp_path / "podman").mkdir()
    path, other = tmp_path / "d.sock", tmp_path / "podman/podman.sock"
    at = {"DOCKER_HOST": f"unix://{path}", "XDG_RUNTIME_DIR": str(tmp_path)}
    with socket.socket(socket.AF_UNIX) as podman, socket.socket(socket.AF_UNIX) as engine:
        podman.bind(str(other))
        with start(**environ(tmp_path, **at)) as process:
            line = told(process, "waiting")
            assert f"cannot connect to the Docker daemon at unix://{path} (from DOCKER_HOST): " in line
            assert "there is no such socket; is the docker daemon running?" in line
            assert f"unix://{other}" in line
            engine.bind(str(path))
            assert "nothing listens on that socket" in told(process, "waiting")
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
    assert process.returncode == 0


def test_a_closed_port_is_waited_for(tmp_path: Path) -> None:
    host = f"tcp://127.0.0.1:{free_port()}"
    with start(**environ(tmp_path, DOCKER_HOST=host)) as process:
        line = told(process, "waiting")
        said = f"cannot connect to the Docker daemon at {host} (from DOCKER_HOST): connection refused"
        assert said in line
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
