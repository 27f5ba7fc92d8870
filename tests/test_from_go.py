"""What the page for users of the Go agent says is so."""

from __future__ import annotations

import re
from pathlib import Path

from microscaling.config.images.labels import READERS
from microscaling.scheduler.docker.body import LABEL, NONCE_LABEL, NUMBER_LABEL
from microscaling.settings import variables
from tests.test_settings import OF_THE_IMAGE

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "from-go.md").read_text("utf-8")
GO_AGENTS = 24


def test_every_variable_is_there_and_the_go_agents_have_its_defaults() -> None:
    said = {name: default for name, (default, _) in variables().items()}
    table = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| (.*?) \|", PAGE, re.MULTILINE))
    assert table == {name: said[name] for name in table}
    assert len(table) == GO_AGENTS
    new = re.search(r"New ones,.*?\n\n", PAGE, re.DOTALL)
    assert new is not None
    assert {*re.findall(r"`([A-Z0-9_]+)`", new[0])} == {*said, *OF_THE_IMAGE} - {*table}


def test_every_label_is_there() -> None:
    labels = re.findall(r"^\| (com\.microscaling\.[a-z-]+) \|", PAGE, re.MULTILINE)
    assert labels == [LABEL, NUMBER_LABEL, NONCE_LABEL, *READERS]


def test_the_readme_leads_here() -> None:
    assert "(docs/from-go.md)" in (ROOT / "README.md").read_text("utf-8")
