"""Pieces of HTML. Every text goes through :func:`safe`; nothing else makes markup of data."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from foretell.redact import redact_text
from foretell.text import visible


def safe(text: object, keep: str = "") -> str:
    """Text as HTML: secrets hidden, controls made visible, markup escaped."""
    return html.escape(visible(redact_text(str(text)), keep=keep))


def tag(name: str, body: str, style: str = "") -> str:
    """An element around safe HTML."""
    chosen = f' class="{style}"' if style else ""
    return f"<{name}{chosen}>{body}</{name}>"


def section(title: str, *parts: str) -> str:
    """A titled part; nothing where there is nothing in it."""
    body = "".join(parts)
    return f"<section>{tag('h2', safe(title))}{body}</section>" if body else ""


def table(
    header: Sequence[str], rows: Iterable[Sequence[object]], numbers: Iterable[int] = ()
) -> str:
    """A table; nothing where there are no rows.

    Args:
        header: Names of the columns; empty for a table without.
        rows: Texts.
        numbers: Columns to align to the right.
    """
    right = frozenset(numbers)

    def line(cell: str, values: Sequence[object]) -> str:
        cells = (
            tag(cell, safe(value), "n" if i in right else "") for i, value in enumerate(values)
        )
        return tag("tr", "".join(cells))

    body = "".join(line("td", row) for row in rows)
    if not body:
        return ""
    return tag("table", (line("th", header) if header else "") + body)


def pairs(rows: Iterable[tuple[str, object]]) -> str:
    """Labelled texts, those that say something."""
    lines = (
        tag("tr", tag("th", safe(label)) + tag("td", safe(text)))
        for label, text in rows
        if str(text)
    )
    body = "".join(lines)
    return tag("table", body) if body else ""


def tiles(rows: Iterable[tuple[str, str]]) -> str:
    """Figures people look at first."""
    cards = (
        tag("div", f"{tag('b', safe(text))}{tag('span', safe(label))}", "tile")
        for label, text in rows
        if text
    )
    return tag("div", "".join(cards), "tiles")


def folded(title: str, body: str) -> str:
    """Something to be opened; no script needed."""
    return f"<details>{tag('summary', safe(title))}{body}</details>"


def pre(text: str) -> str:
    """Lines as they are, made safe."""
    return tag("pre", safe(text, keep="\n"))
