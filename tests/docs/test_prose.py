"""Links lead somewhere, every page can be reached, and the words are plain."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import anchors, links

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ROOT_PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = [*ROOT_PAGES, *sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)]
ALLOWED_HOSTS = (
    "https://www.dask.org",
    "https://semver.org",
)

FORBIDDEN = {
    "praise": r"blazing|seamless|effortless|powerful|cutting.edge|state.of.the.art|world.class"
    r"|game.chang|best.in.class|revolution|supercharge|unleash|delightful|magic\b",
    "filler": r"\bsimply\b|\bjust works\b|\bof course\b|\bobviously\b|\bplease note\b"
    r"|\bbasically\b",
    "left over": r"\bTODO\b|\bFIXME\b|\bTBD\b|\bXXX\b|lorem ipsum|coming soon|placeholder text"
    r"|to be written|\(number\)|\?\?\?",
    "a machine": r"/home/\w|/root/|/tmp/|/work/|\blocalhost:\d",
    "jargon": r"\bleverag|\butiliz|\bsynerg|\bholistic\b|\bdelve\b",
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page.read_text(encoding="utf-8")):
        if "://" in link:
            assert link.startswith(ALLOWED_HOSTS), link
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), link
        if DOCS in page.parents and place:
            assert DOCS in target.parents, f"{link} leaves the documentation"
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.parametrize("kind", FORBIDDEN)
def test_words_are_plain(page: Path, kind: str) -> None:
    found = re.findall(FORBIDDEN[kind], page.read_text(encoding="utf-8"), re.IGNORECASE)
    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_one_title_and_readable_lines(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1
    assert text.startswith("# ")
    if "<!-- generated" not in text:
        long = [line for line in text.splitlines() if len(line) > 110 and line[0] not in "|![-"]
        assert long == []


def test_every_promise_of_the_readme_names_tests_that_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.partition("## What it promises")[2].partition("## ")[0]
    named = re.findall(r"\]\((tests/[^)]+)\)", table)
    assert len(named) >= 15
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_picture_is_there_and_needs_no_network() -> None:
    picture = (DOCS / "picture" / "run.svg").read_text(encoding="utf-8")
    assert picture.startswith("<svg")
    assert "url(" not in picture.replace("url(#", "")
    assert "sdk" in picture


def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "trees"), str(DOCS), str(tmp_path / "html")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "html" / "tutorial" / "first-run.html").is_file()
