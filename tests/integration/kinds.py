"""The kinds of engines that tests run on: this machine's, and others of the tests' own, each with a network
of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from scripts.test_engines.binaries import MOBY
from tests.integration import engines
from tests.integration.podman import OwnPodman

MACHINE, DOCKER, MOBY_2, PODMAN = "machine", "docker", "moby", "podman"


@contextlib.contextmanager
def running(kind: str) -> Iterator[str]:
    """An engine of a kind for the time of the block: its address. It has the test images. Raises Missing."""
    if kind == MACHINE:
        yield engines.host_of_the_machine()
        return
    own = (
        OwnPodman() if kind == PODMAN else own_moby() if kind == MOBY_2 else engines.OwnEngine(networks=True)
    )
    try:
        own.start()
        with contextlib.closing(engines.connect(own.host)) as client:
            engines.make_images(client)
        yield own.host
    finally:
        own.remove()


def own_moby() -> engines.OwnEngine:
    """Docker's next engine, not started. Skips without it, in CI too, which does not build it."""
    if not MOBY.is_there:
        pytest.skip(MOBY.missing)
    own = engines.OwnEngine(str(MOBY.path), networks=True)
    # Debian's runc knows no time namespaces, and its docker-proxy not the options of this engine.
    own.config = {"features": {"time-namespaces": False}, "userland-proxy": False}
    return own
