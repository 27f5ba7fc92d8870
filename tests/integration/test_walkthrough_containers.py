"""The quickstart with Docker, its page, and the README work as printed, in a fresh clone and a container with
Debian's minimum that has the engine's socket."""

from __future__ import annotations

import pytest

from scripts.walkthrough import __main__ as walkthrough
from scripts.walkthrough import container
from tests.integration.engines import give_up
from tests.pages import ROOT


@pytest.mark.skipif("os.environ.get('DOCKER_HOST')", reason="the page takes the engine of this machine")
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no clone")
def test_with_docker(engine_with_images: None) -> None:
    for image in (container.IMAGE, *container.MADE_HERE.values()):
        if not container.is_there(image):
            give_up(f"{image} is missing: run scripts/base-images {image.rpartition('/')[2]}")
    walkthrough.containers()
