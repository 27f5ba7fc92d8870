"""The demo on a Docker engine: what its containers run, and out of which image."""

from __future__ import annotations

import contextlib
import io
import logging
import secrets
import shutil
import tarfile
import time
from collections.abc import Iterator, Mapping
from typing import Any

from scripts.demo.dispenser import Dispenser
from scripts.demo.jobs import Jobs
from scripts.demo.record import PREFIX

CANDIDATES = ("busybox", "alpine", "microscaling-base/busybox", "microscaling/priority-1")
"""Small images with a shell and wget; the first that is there will do."""
MADE = "microscaling/demo-worker:latest"
LABEL = "com.microscaling.microscaling-in-a-box"
ANSWER_S, PULL_S, PROBE_S = 3, 30, 10
FORGOTTEN_S = 60

WORKER = """\
trap 'exit 0' TERM
failed=0
while [ $failed -lt 10 ]; do
    if wget -q -O /dev/null "$JOBS"; then failed=0; else failed=$((failed + 1)); fi
    sleep $SECONDS_A_JOB & wait $!
done
"""
COMMAND = 'sh -c eval${IFS}"$WORKER"'
"""An agent splits a command at white space, so there is none in what the shell is given."""


class NotHere(Exception):
    """Why containers cannot be shown on this machine."""


class Containers:
    """Real containers. Raises NotHere if there is no engine, or none that could take our jobs."""

    noun = "containers"
    scheduler = "DOCKER"

    def __init__(self, environ: Mapping[str, str], jobs: Jobs, seconds_a_job: float) -> None:
        from docker import APIClient
        from docker.errors import DockerException
        from docker.utils import kwargs_from_env

        logging.getLogger("urllib3").setLevel(logging.ERROR)
        self._seconds = seconds_a_job
        self._made = False
        self.prefix = f"demo-{secrets.token_hex(2)}-"
        where = environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
        if not where.startswith("unix://"):
            raise NotHere(f"DOCKER_HOST={where} is no socket of this machine")
        try:
            options: dict[str, Any] = {"base_url": where, **kwargs_from_env(dict(environ))}
            self._client: Any = APIClient(version="auto", timeout=ANSWER_S, **options)
            version = self._client.version()["Version"]
        except DockerException as error:
            denied = "Permission denied" in str(error)
            what = "this user may not use the Docker engine" if denied else "no Docker engine answers"
            raise NotHere(f"{what} at {where}") from None
        self.dispenser = Dispenser(jobs)
        self.dispenser.start()
        try:
            self._clear()
            self.image = self._find_image()
        except BaseException:
            self.close()
            raise
        self.head = f"Docker engine {version} at {where}: real containers of {self.image}"

    def app(self, queue: str) -> dict[str, Any]:
        """What the configuration says of a task's containers."""
        env = {"WORKER": WORKER, "JOBS": self.dispenser.url(queue), "SECONDS_A_JOB": str(self._seconds)}
        return {"image": self.image, "command": COMMAND, "env": env, "networkMode": "host"}

    def left(self) -> list[str]:
        """Containers of the demo that are still there."""
        return [c["Id"][:12] for c in self._ours() if c["Labels"][LABEL].startswith(self.prefix)]

    def _ours(self) -> list[Any]:
        """What this demo and others have made."""
        found = self._client.containers(all=True, filters={"label": LABEL})
        return [c for c in found if PREFIX.match(c["Labels"][LABEL])]

    def _clear(self) -> None:
        """A demo that was killed could not remove its containers; they have ended by themselves, or never
        started. A demo that runs beside this one starts what it has created at once."""
        for container in self._ours():
            forgotten = container["State"] == "created" and time.time() - container["Created"] > FORGOTTEN_S
            if container["State"] == "exited" or forgotten:
                self._client.remove_container(container, v=True)

    def close(self) -> None:
        """Leaves the engine as it was."""
        self.dispenser.stop()
        if self._made:
            with contextlib.suppress(Exception):
                self._client.remove_image(MADE, force=True)
        self._client.close()

    def _find_image(self) -> str:
        for image in self._images():
            if self._works(image):
                return image
        raise NotHere("the Docker engine has no image with a shell that reaches this machine")

    def _images(self) -> Iterator[str]:
        """What is there, then what can be made of this machine's busybox, then what can be pulled."""
        from docker.errors import DockerException

        for image in CANDIDATES:
            with contextlib.suppress(DockerException):
                self._client.inspect_image(image)
                yield image
        busybox = shutil.which("busybox")
        if busybox:
            with contextlib.suppress(DockerException, OSError):
                self._client.import_image_from_data(_root(busybox), *MADE.split(":"))
                self._made = True
                yield MADE
        print("Pulling the image busybox", flush=True)
        with contextlib.suppress(Exception):
            self._client.timeout = PULL_S
            self._client.pull("busybox", "latest")
            yield "busybox"

    def _works(self, image: str) -> bool:
        """Whether a container of it can take a job: an engine may run in a machine of its own."""
        url = self.dispenser.url("nothing")
        host = self._client.create_host_config(network_mode="host")
        container = None
        self._client.timeout = PROBE_S
        try:
            command = ["sh", "-c", f"wget -q -O /dev/null {url}"]
            container = self._client.create_container(
                image, command, host_config=host, use_config_proxy=False
            )["Id"]
            self._client.start(container)
            return bool(self._client.wait(container, timeout=PROBE_S)["StatusCode"] == 0)
        except Exception:  # whatever it is, this image will not do
            return False
        finally:
            if container:
                with contextlib.suppress(Exception):
                    self._client.remove_container(container, force=True, v=True)


def _root(busybox: str) -> bytes:
    """A file system of one program, as an archive. It runs if the program needs no libraries."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.add(busybox, "bin/busybox")
        for name in ("sh", "wget", "sleep"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return data.getvalue()
