"""Pages taken apart: their links, and the steps a reader would take.

What a fenced block means:

* ``console``: lines after ``$ `` are typed into one shell per page; the other lines are output that
  must appear, in this order. ``…`` stands for anything, and figures before a unit of time or speed
  are not compared.
* ``python``, after text that says *as `name`*: a file to be saved. Otherwise it is run, in one
  interpreter per page.
* ``output``: what the Python block above it prints.
* ``toml``, ``json``, ``text`` after text that says *as `name`*: a file to be saved.
* anything else is shown, not done; so is a block under ``<!-- not run -->``.

``<!-- interrupted -->`` above a console block: its one command gets a Ctrl-C once chunks are done.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SAVED = re.compile(r"\bas\s+`([\w./-]+)`")
_VOLATILE = re.compile(
    r"\d[\d,.]*(?=\s?(?:µs|ms|s|m|h|rows/s|B/s|kB/s|MB/s|tiles/s)\b)|\d\d:\d\d:\d\d"
)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Step:
    """One thing a reader does.

    Attributes:
        kind: ``save``, ``type``, ``run`` or ``interrupt``.
        text: The file's text, the commands, or the code.
        name: Of the file.
        output: Lines that must appear.
        line: Where it stands on the page.
    """

    kind: str
    text: str
    name: str = ""
    output: tuple[str, ...] = ()
    line: int = 0


def steps(text: str) -> list[Step]:
    """The steps of a page, in order."""
    found: list[Step] = []
    for match in _FENCE.finditer(text):
        before = text[: match.start()].rstrip()
        line = text.count("\n", 0, match.start()) + 2
        paragraph = before.rpartition("\n\n")[2]
        step = _step(match[1], match[2], paragraph, line)
        if step is not None and step.kind == "output":
            assert found, f"line {line}: output of nothing"
            assert found[-1].kind == "run", f"line {line}: output of nothing"
            found[-1] = Step("run", found[-1].text, output=step.output, line=found[-1].line)
        elif step is not None:
            found.append(step)
    return found


def _step(language: str, body: str, paragraph: str, line: int) -> Step | None:
    saved = _SAVED.search(paragraph)
    if paragraph.endswith("<!-- not run -->"):
        return None
    if language in ("python", "toml", "json", "text") and saved:
        return Step("save", body, name=saved[1], line=line)
    if language == "python":
        return Step("run", body, line=line)
    if language == "output":
        return Step("output", "", output=tuple(body.splitlines()))
    if language == "console":
        kind = "interrupt" if paragraph.endswith("<!-- interrupted -->") else "type"
        return Step(kind, body, line=line)
    return None


def commands(step: Step) -> list[tuple[str, list[str]]]:
    """The commands of a console block, each with the lines it must print."""
    found: list[tuple[str, list[str]]] = []
    for line in step.text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.startswith("> ") and found and not found[-1][1]:
            found[-1] = (f"{found[-1][0]}\n{line[2:]}", [])
        elif line.strip():
            found[-1][1].append(line)
    return found


def missing(expected: list[str], printed: str) -> str | None:
    """The first expected line that does not follow in what was printed; None when all do."""
    lines = [_steady(line) for line in printed.splitlines()]
    at = 0
    for wanted in expected:
        if not wanted.strip():
            continue
        pattern = re.compile(".*?".join(map(re.escape, _steady(wanted).split("…"))) + r"\s*\Z")
        while at < len(lines) and not pattern.match(lines[at]):
            at += 1
        if at == len(lines):
            return wanted
        at += 1
    return None


def _steady(line: str) -> str:
    return _VOLATILE.sub("#", line.rstrip())


def links(text: str) -> list[str]:
    """Targets of all links outside code."""
    return _LINK.findall(re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text)))


def anchors(path: Path) -> set[str]:
    """Anchors of a page's headings, as MyST and code hosts make them."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", h.lower()).strip().replace(" ", "-") for h in headings}
