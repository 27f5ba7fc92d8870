"""The tables of the docs are those that `make docs` writes, links lead somewhere, and the README is short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from microscaling import __version__
from scripts import docs
from tests.pages import DOCS, FENCE, README, ROOT

WORDS = 900
LINK = re.compile(r"\]\(((?!https?:)[^)#\s]*)(?:#([^)\s]+))?\)")
MENTION = re.compile(
    r"docs/(?:sources/)?[\w-]+\.(?:md|svg|png)\b|\b(?:deploy|examples)/[\w./-]+\.(?:ya?ml|service|cfg|env|py)\b"
)
IMAGE = re.compile(
    r"(?<![\w./])microscaling/microscaling\b(?!\.git|-py|/|\.db)(:\$\{\w+\}|:\$\(\w+\)|:[\w.]*\w)?"
)
TAGS = {f":{__version__}", ":VERSION", ":$(VERSION)", ":${server}"}
OF_GO = re.compile(r"(?:older|0\.9\.2|Go agent)")


@pytest.mark.parametrize("page", docs.PAGES, ids=lambda path: path.name)
def test_pages_are_as_written(page: Path) -> None:
    text = page.read_text("utf-8")
    assert docs.filled(text) == text, "run `make docs`"


def test_every_table_is_on_a_page() -> None:
    text = "\n".join(page.read_text("utf-8") for page in docs.PAGES)
    assert set(docs.BLOCK.findall(text)) == set(docs.TABLES)


def test_a_page_that_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("Before\n<!-- made by make docs: settings -->\n| old |\n<!-- end -->\nAfter\n")
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    monkeypatch.setattr(docs, "PAGES", [page])
    assert docs.main(["--check"]) == 1
    assert capsys.readouterr().out == "page.md differs: make docs writes it\n"
    assert "| old |" in page.read_text()
    assert docs.main([]) == 0
    text = page.read_text()
    assert text.startswith("Before\n<!-- made")
    assert text.endswith("<!-- end -->\nAfter\n")
    assert "`MSS_SCHEDULER`" in text
    assert docs.main(["--check"]) == 0


def headings(page: Path) -> set[str]:
    """Of a page, as links name them."""
    found = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", docs.PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in LINK.findall(page.read_text("utf-8")):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert not anchor or anchor in headings(target), f"{path}#{anchor}"


def sources() -> list[Path]:
    """All files of ours that may name a page to somebody."""
    found = [
        path for pattern in ("*.py", "*.js", "*.html") for path in (ROOT / "microscaling").rglob(pattern)
    ]
    found += [
        *(ROOT / "scripts").rglob("*.py"),
        *(ROOT / "deploy").rglob("*.*"),
        *(ROOT / "examples").rglob("*.*"),
    ]
    return [*found, ROOT / "docker-compose.yml", ROOT / "Makefile", ROOT / "CHANGELOG.md", *docs.PAGES]


def test_what_is_named_is_there() -> None:
    """Pages and files that code, messages and pages name without a link."""
    named = {(path, name) for path in sources() for name in MENTION.findall(path.read_text("utf-8"))}
    assert len({name for _, name in named}) > 10
    assert [(str(path), name) for path, name in named if not (ROOT / name).exists()] == []


def test_the_readme_is_short() -> None:
    """Counted as `wc -w` does."""
    assert len(README.read_text("utf-8").split()) <= WORDS


def test_the_readme_leads_to_every_page() -> None:
    linked = {path for path, _ in LINK.findall(README.read_text("utf-8"))}
    assert {f"docs/{page.name}" for page in DOCS.glob("*.md")} <= linked


def test_the_image_has_a_tag_that_exists_only_here() -> None:
    """Without one, an engine that has not built it would pull the Go agent."""
    for path in sources():
        for line in path.read_text("utf-8").splitlines():
            tags = {match[1] for match in IMAGE.finditer(line)}
            if path.name != "CHANGELOG.md" and not OF_GO.search(line):
                assert tags <= TAGS, f"{path.name}: {line}"


def test_all_clone_the_same_repository() -> None:
    found = [re.findall(r"git clone (\S+)", page.read_text("utf-8")) for page in docs.PAGES]
    (url,) = {url for urls in found for url in urls}
    assert f"url = {url}\n" in (ROOT / "setup.cfg").read_text("utf-8")
