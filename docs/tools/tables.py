"""Markdown tables and code, with the signs that would break them made harmless."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def cell(text: object) -> str:
    """Text that fits into one cell."""
    return " ".join(str(text).split()).replace("|", "\\|")


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; empty when there are no rows."""
    shown = [[cell(value) for value in row] for row in rows]
    if not shown:
        return ""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in shown])


def code(text: object) -> str:
    """Text as inline code; empty text stays empty."""
    return f"`{text}`" if str(text) else ""


def fence(text: str, language: str = "python") -> str:
    """A block of code."""
    return f"```{language}\n{text}\n```"
