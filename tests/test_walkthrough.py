"""The quickstart without Docker works as printed, in a fresh clone and a container with Debian's minimum."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.walkthrough import __main__ as walkthrough
from scripts.walkthrough import container
from scripts.walkthrough.page import Code, Text, read
from scripts.walkthrough.walk import Failed, Walk, gave_up
from tests.integration.engines import engine_answers, give_up
from tests.pages import FENCE, ROOT


@pytest.fixture
def bare() -> None:
    """All that a walk needs is here."""
    if not shutil.which("docker") or not engine_answers():
        give_up("no Docker engine answers (`scripts/engine start` starts one)")
    if not container.is_there(container.IMAGE):
        give_up(f"{container.IMAGE} is missing: run scripts/base-images bare")
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone")


def test_all_that_is_to_be_typed_is_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    walked: set[tuple[Path, str]] = set()

    class Listed:
        def section(self, page: Path, heading: str) -> None:
            walked.add((page, heading))

        def starts_anew(self, home: Path) -> None:
            pass

    @contextlib.contextmanager
    def walking(what: str, engine: bool) -> Iterator[tuple[Listed, Path]]:
        yield Listed(), Path("/home")

    monkeypatch.setattr(walkthrough, "walking", walking)
    monkeypatch.setattr(container, "at_work", list)
    assert walkthrough.main([]) == 0
    typed = set()
    for page in (walkthrough.README, walkthrough.QUICKSTART):
        for heading in re.findall(r"^##+ .*$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE):
            with contextlib.suppress(ValueError):  # nothing stands there
                if any(isinstance(part, Code) and part.language == "sh" for part in read(page, heading)):
                    typed.add((page, heading))
    assert typed - walked == OTHERWISE


@pytest.mark.parametrize(
    ("shown", "expected"),
    [("Stopping a_1 ... \x1b[31merror\x1b[0m\nERROR: for a_1  No such container: 312ebb\n", True),
     ("\x1b[31mERROR\x1b[0m: No such container: 312ebb\n", True),
     ("agent_1 | ERROR: for a_1  No such container: 312ebb\n", False),
     ("ERROR: for a_1  cannot stop container: 312ebb: permission denied\n", False),
     ("Stopping a_1 ... \x1b[32mdone\x1b[0m\n", False)],
)  # fmt: skip
def test_only_a_copy_that_went_in_that_instant_excuses_compose(shown: str, expected: bool) -> None:
    assert gave_up(shown) is expected


@pytest.mark.integration
def test_without_docker(bare: None) -> None:
    walkthrough.processes()


OTHERWISE = {(walkthrough.README, "## Coming from the Go agent")}
"""tests/integration/test_image.py runs an image in this way."""
AGENT = "microscaling -f tasks.yaml"
PAGE = """# Page
## One
In the folder, with `make`:

```sh
echo a \\
    b  # c
true
```
### Below
- so
  it is
## Two
```text
# 1
```
"""


def test_a_page_is_read_as_it_stands(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    words, code = read(page, "## One")
    assert words == Text("In the folder, with `make`:")
    assert isinstance(code, Code)
    assert code.commands() == ["echo a b  # c", "true"]
    assert read(page, "### Below") == [Text("- so it is")]
    assert read(page, "## Two") == [Code("text", ("# 1",))]
    with pytest.raises(ValueError, match="nothing below"):
        read(page, "## Three")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("page", "problem"),
    [
        ("```sh\nno-such-command\n```\n", "no-such-command: exit code 127"),
        (f"```sh\nbash -c 'echo nothing' {AGENT}\n```\n", "it ended without showing"),
        (f"```sh\nbash -c 'echo bulk: 0 -\\> 6 .; sleep 600' {AGENT}\n```\n", "does not say how to end it"),
        (f"```sh\nbash -c 'echo bulk: 0 -\\> 6 .; sleep 600' {AGENT}\ntrue\n```\n", "where to type it"),
    ],
)
def test_a_page_that_leads_nowhere_is_noticed(page: str, problem: str, bare: None, tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"## One\n{page}")
    with container.bare("mss-walk-test", tmp_path / "home", "https://example.com/", engine=False) as name:
        walk = Walk(name, tmp_path / "home", 8000)
        try:
            with pytest.raises(Failed, match=problem):
                walk.section(path, "## One")
        finally:
            walk.close()
