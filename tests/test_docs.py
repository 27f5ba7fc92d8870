"""The tables of the README and the docs are those that `make docs` writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import docs

LINK = re.compile(r"\]\(((?!https?:)[^)#\s]*)(?:#([^)\s]+))?\)")


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
    found = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", docs.PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in LINK.findall(page.read_text("utf-8")):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert not anchor or anchor in headings(target), f"{path}#{anchor}"
