"""Generated parts of the reference are those the code gives today."""

from __future__ import annotations

from pathlib import Path

import generate
import pytest

PAGES = [page for page in generate.pages() if "<!-- generated: " in page.read_text("utf-8")]


def test_there_are_generated_pages() -> None:
    assert len(PAGES) >= 8


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_up_to_date(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert generate.filled(text) == text, "run: python docs/tools/generate.py"


def test_a_stale_page_would_be_noticed() -> None:
    page = "<!-- generated: exit-codes -->\n\n| code | means |\n\n<!-- end -->\n"
    assert generate.filled(page) != page
    assert "| `75` |" in generate.filled(page)
