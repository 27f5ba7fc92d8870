"""A bare machine: a container with Debian's minimum, in which nothing of ours is."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

IMAGE = "microscaling-base/bare"
NAME = "mss-walk"
"""Of the container, and of what Compose makes."""
TASK = "com.microscaling.microscaling-in-a-box"
TASKS = ("bulk", "urgent")
"""Of the agents that the pages start."""
SOCKET = "/var/run/docker.sock"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
OF_THE_MACHINE = (
    "BUILD_NETWORK", "BUSYBOX_IMAGE", "NSQ_IMAGE", "PYTHON_IMAGE", "PIP_DEFAULT_TIMEOUT",
    "PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_TRUSTED_HOST", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip
"""Variables that say how packages and images are to be had on this machine."""
MADE_HERE = {
    "BUSYBOX_IMAGE": "microscaling-base/busybox",
    "NSQ_IMAGE": "microscaling-base/nsq",
    "PYTHON_IMAGE": "microscaling-base/python",
}
"""By scripts/base-images, for machines that cannot pull them."""


def docker(*words: str) -> str:
    """Runs a command of Docker's. Returns its output. Raises CalledProcessError."""
    return subprocess.run(["docker", *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def is_there(image: str) -> bool:
    """Does the engine have the image?"""
    return not subprocess.run(["docker", "image", "inspect", image], capture_output=True).returncode


@contextlib.contextmanager
def bare(name: str, home: Path, repository: str, engine: bool, **variables: str) -> Iterator[str]:
    """A container of this name for the time of the block, on the host's network. `home` has the same path
    inside, so that engine and container mean the same by it. A clone of `repository` is one of our last
    commit. With `engine`, the host's socket is in it."""
    root = str(Path(__file__).parents[2])
    clone = ["clone", "-q", "--bare", root, str(home / "repository.git")]
    subprocess.run(["git", "-c", "safe.directory=*", *clone], check=True)  # whoever owns this folder
    environ = {
        "HOME": str(home),
        "DEBIAN_FRONTEND": "noninteractive",
        "COMPOSE_PROJECT_NAME": NAME,
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"url.{home}/repository.git.insteadOf",
        "GIT_CONFIG_VALUE_0": repository,
        "GIT_CONFIG_KEY_1": "safe.directory",
        "GIT_CONFIG_VALUE_1": "*",
        **of_the_machine(),
        **variables,
    }
    mounts = [f"{home}:{home}", *[f"{SOCKET}:{SOCKET}"] * engine]
    if Path(CERTIFICATES).exists():  # the authorities that this machine trusts
        mounts.append(f"{CERTIFICATES}:/machine.crt:ro")
        environ |= dict.fromkeys(("PIP_CERT", "SSL_CERT_FILE"), "/machine.crt")
    options = [word for value in mounts for word in ("-v", value)]
    options += [word for pair in environ.items() for word in ("-e", "=".join(pair))]
    remove(name, engine)
    docker("run", "-d", "--name", name, "--network", "host", *options, IMAGE, "sleep", "infinity")
    try:
        yield name
    finally:
        # Its files are root's, whoever runs this.
        subprocess.run(["docker", "exec", name, "sh", "-c", f"rm -rf {home}/* {home}/.[!.]*"])
        remove(name, engine)


def of_the_machine() -> dict[str, str]:
    """The variables that the machine needs, as its user would have set them."""
    made = {variable: image for variable, image in MADE_HERE.items() if is_there(image)}
    if made:
        made["BUILD_NETWORK"] = "host"
    return made | {variable: os.environ[variable] for variable in OF_THE_MACHINE if os.environ.get(variable)}


def remove(name: str, engine: bool) -> None:
    """Removes the container; with `engine` also what a walk that was cut off has left on it."""
    quietly("rm", "-f", name)
    if not engine:  # what is there may be that of a walk beside this one
        return
    of_compose = f"label=com.docker.compose.project={NAME}"
    agents = docker("ps", "-aq", "--filter", of_compose).split()
    for left in agents:
        quietly("rm", "-f", left)
    # Only once their agent has gone, which would start them anew.
    for task in TASKS if agents else ():
        for left in docker("ps", "-aq", "--filter", f"label={TASK}={task}").split():
            quietly("rm", "-f", "-v", left)
    for kind in ("volume", "network"):
        for left in docker(kind, "ls", "-q", "--filter", of_compose).split():
            quietly(kind, "rm", left)


def quietly(*words: str) -> None:
    """Runs a command of Docker's that may fail, as when there is nothing to do."""
    subprocess.run(["docker", *words], capture_output=True)


def at_work() -> list[str]:
    """The names of containers that an agent has started on the engine."""
    return docker("ps", "--format", "{{.Names}}", "--filter", f"label={TASK}").split()
