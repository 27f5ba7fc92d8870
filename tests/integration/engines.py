"""Docker engines for the tests, and the images that they need. Nothing is pulled."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from docker import APIClient
from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from tests.leaks import of_each_process

LABEL = "com.microscaling.microscaling-in-a-box"
BUSYBOX = "mss-test/busybox"
IMAGES = {
    # Ends at once when it is asked to.
    "mss-test/sleeper": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"],
    # Ends as soon as it is started.
    "mss-test/exits": ["sh", "-c", "echo 'cannot start: no database'; exit 3"],
    # As PID 1 without a handler it does not hear SIGTERM.
    "mss-test/stubborn": ["sleep", "3600"],
}


class Missing(Exception):
    """There is no engine, or something that the tests need of it."""


REQUIRED = os.environ.get("MSS_TEST_ENGINE", "") == "required"


def give_up(why: object) -> NoReturn:
    """Skips the test, or fails it where an engine is required."""
    if REQUIRED:
        pytest.fail(f"{why}, but MSS_TEST_ENGINE=required", pytrace=False)
    pytest.skip(f"{why}")


@functools.cache
def keep_others_out() -> int:
    """Waits for other runs of the tests to end, and has those that come wait for this process's end."""
    path = Path(tempfile.gettempdir(), "microscaling-tests.lock")
    lock = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def host_of_the_machine() -> str:
    """The address of this machine's engine, or the one that DOCKER_HOST names in its place."""
    return os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


def connect(host: str | None = None, timeout_s: float = 30) -> APIClient:
    """A client of the engine at `host`, None: the one of this machine. Raises Missing."""
    host = host or host_of_the_machine()
    # Not raised while the library's error is handled: that would keep its socket, and a fixture keeps this.
    with contextlib.suppress(DockerException):
        return APIClient(base_url=host, version="auto", timeout=timeout_s)
    raise Missing(f"no Docker engine answers at {host} (`scripts/engine start` starts one)")


@contextlib.contextmanager
def client_with_images(host: str) -> Iterator[APIClient]:
    """A client of an engine that has the test images; the test is skipped if there is none."""
    try:
        client = connect(host)
    except Missing as missing:
        give_up(missing)
    with contextlib.closing(client):
        try:
            make_images(client)
        except Missing as missing:
            give_up(missing)
        yield client


def engine_answers(host: str | None = None, timeout_s: float = 10) -> bool:
    """Does the engine answer, also about each container with our label? Debian's can dead-lock on a
    single container (moby#46661), and then still lists it."""
    try:
        client = connect(host, timeout_s)
    except Missing:
        return False
    try:
        for container in ours(client):
            try:
                client.inspect_container(container["Id"])
            except NotFound:
                continue
        return True
    except (DockerException, RequestException):
        return False
    finally:
        client.close()


def ours(client: APIClient, prefix: str = "") -> list[dict]:
    """The containers with our label, in any state, whose task's name begins with `prefix`."""
    listed = client.containers(all=True, filters={"label": LABEL})
    return [c for c in listed if c["Labels"][LABEL].startswith(prefix)]


def remove(client: APIClient, containers: list[dict]) -> None:
    """Removes them, running or not, and waits until they have gone."""
    for container in containers:
        try:
            client.remove_container(container["Id"], v=True, force=True)
        except NotFound:
            pass
        except APIError as error:
            if error.status_code != 409:  # somebody else is removing it
                raise


def output_of(client: APIClient, container: str, *command: str) -> str:
    """Runs a command that prints something in a container; returns that, once it is there."""
    deadline = time.monotonic() + 30
    while True:
        made = client.exec_create(container, list(command))["Id"]
        output = str(client.exec_start(made).decode(errors="replace"))
        code = exit_code_of(client, made)
        if output:
            assert code == 0, output
            return output
        # Docker loses what a command prints if that has ended before anybody is there to read (moby#27289).
        assert time.monotonic() < deadline, f"{command} prints nothing"


def exit_code_of(client: APIClient, made: str) -> int:
    """The exit code of a command in a container that has closed its output, once it has ended as well."""
    deadline = time.monotonic() + 60
    # An engine is told of the end of a process after that of its output: until then Docker has no code, and
    # Podman has 0.
    while (found := client.exec_inspect(made))["Running"] or found["ExitCode"] is None:
        assert time.monotonic() < deadline, f"a command does not end: {found}"
        time.sleep(0.02)
    return int(found["ExitCode"])


def make_images(client: APIClient) -> None:
    """Makes the test images that are not there. Raises Missing."""
    if not _has(client, BUSYBOX):
        changes = ["ENV PATH=/bin", 'CMD ["sh"]']
        client.import_image_from_data(_busybox_root(), repository=BUSYBOX, tag="latest", changes=changes)
    for image, command in IMAGES.items():
        if not _has(client, image):
            _build(client, image, f"FROM {BUSYBOX}\nCMD {json.dumps(command)}\n")


@contextlib.contextmanager
def built(client: APIClient, image: str, dockerfile: str, **files: bytes) -> Iterator[str]:
    """An image for the time of the block. Raises Missing."""
    _build(client, image, dockerfile, **files)
    try:
        yield image
    finally:
        client.remove_image(image, force=True)


def _has(client: APIClient, image: str) -> bool:
    try:
        client.inspect_image(image)
    except NotFound:
        return False
    return True


def _build(client: APIClient, image: str, dockerfile: str, **files: bytes) -> None:
    context = _tar({"Dockerfile": dockerfile.encode(), **files})
    options = {"custom_context": True, "rm": True, "decode": True, "network_mode": "none"}
    for step in client.build(fileobj=context, tag=image, **options):
        if "error" in step:
            raise Missing(f"{image} cannot be built: {step['error']}")


def _busybox_root() -> bytes:
    path = shutil.which("busybox")
    binary = Path(path).read_bytes() if path else b""
    if not binary or b"/ld-" in binary[:4096]:
        raise Missing("no busybox that is linked statically: install busybox-static")
    tar = _tar({"bin/busybox": binary})
    applets = [
        name for name in subprocess.check_output([path, "--list"], text=True).split() if name != "busybox"
    ]
    with tarfile.open(fileobj=tar, mode="a") as archive:
        for name in sorted(applets):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    return tar.getvalue()


def _tar(files: dict[str, bytes]) -> io.BytesIO:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            archive.addfile(info, io.BytesIO(content))
    tar.seek(0)
    return tar


OWN_NETWORK = (
    "unshare",
    "--net",
    "setpriv",
    "--pdeathsig",
    "TERM",
    "sh",
    "-c",
    'ip link set lo up; exec "$@"',
    "",
)
"""Begins the command of an engine that has a network of its own, and does not outlive the tests."""


class OwnEngine:
    """An engine of the test's own, to be stopped, killed and restarted as it likes.

    It has a network of its own, with nothing in it: containers use that as their host's, or none, or with
    `networks` those that they make. Without that it would remove the bridge of the machine's engine
    (--bridge=none does). Needs root.
    """

    def __init__(self, dockerd: str = "dockerd", networks: bool = False) -> None:
        if os.geteuid() != 0 or not all(map(shutil.which, (dockerd, "ip", "setpriv", "unshare"))):
            raise Missing("an engine of one's own needs root, dockerd, ip, setpriv and unshare")
        self.dockerd = dockerd
        self.options = () if networks else ("--bridge=none", "--iptables=false", "--ip6tables=false")
        self.network = OWN_NETWORK
        """The words before those of dockerd that decide the network that it is in."""
        self.config: dict[str, Any] = {}
        self.folder = Path(tempfile.mkdtemp(prefix="mss-engine-"))
        self.host = f"unix://{self.folder}/docker.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str, wait_s: float = 60) -> None:
        """Starts it, and waits until it answers; `options` go to dockerd. Raises Missing."""
        folder = self.folder
        if self.process is None:  # what a dead one left keeps the next from starting
            managed = folder / "run/containerd"  # its containerd dies with it
            for left in (folder / "docker.pid", folder / "docker.sock", managed / "containerd.pid"):
                left.unlink(missing_ok=True)
            for left in managed.glob("*.sock*"):
                left.unlink()
        (folder / "daemon.json").write_text(json.dumps(self.config))
        with (folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *self.network,
                    self.dockerd,
                    f"--config-file={folder}/daemon.json",  # that of this machine is not for it
                    f"--host={self.host}",
                    f"--data-root={folder}/data",
                    f"--exec-root={folder}/run",
                    f"--pidfile={folder}/docker.pid",
                    *self.options,
                    *options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + wait_s
        while not engine_answers(self.host):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Missing("an own engine would not start:\n" + self.last_log_lines())
            time.sleep(0.05)

    def last_log_lines(self) -> str:
        return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-15:])

    def stop(self, wait_s: float = 40) -> None:
        """As an administrator stops it: the containers end as well (without --live-restore)."""
        self._end(signal.SIGTERM, wait_s)

    def kill(self) -> None:
        """As it crashes: the containers run on, unattended."""
        self._end(signal.SIGKILL, 10)

    def _end(self, number: int, wait_s: float) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    def remove(self) -> None:
        """Stops it, and removes all that it made: containers, mounts, files."""
        self.stop()
        deadline = time.monotonic() + 10
        while (shims := self.helpers()) and time.monotonic() < deadline:
            for pid in [*_children(shims), *shims]:  # a shim's children are the containers
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in sorted((m for m in mounts if m.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run(["umount", "-l", mount], check=False, stdin=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def helpers(self) -> list[int]:
        """The pids of what dockerd has started: containerd and its shims name our folder."""
        found = []
        for entry in of_each_process("cmdline"):
            try:
                program, _, words = entry.read_bytes().partition(b"\0")
            except OSError:
                continue
            if Path(program.decode()).name.startswith("containerd") and str(self.folder).encode() in words:
                found.append(int(entry.parent.name))
        return found


def _children(parents: list[int]) -> list[int]:
    found = []
    for entry in of_each_process("stat"):
        try:
            after_the_name = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(after_the_name[1]) in parents:
            found.append(int(entry.parent.name))
    return found
