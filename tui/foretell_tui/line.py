"""Lines of styled text: all that panes paint. Nothing here knows a terminal.

A line is a list of spans, a span a text and the role it plays (``"bad"``, ``"dim"``, ...); what a
role looks like is the palette's business. Every line goes through :func:`fit`, which makes its text
safe: so nothing that comes from data reaches a terminal raw, whoever forgot to think of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TypeAlias

from foretell.text import visible
from rich.cells import cell_len, set_cell_size

Span: TypeAlias = tuple[str, str]
Line: TypeAlias = list[Span]

_REPEATED = 6
"""Combining marks after one character that are shown; a heap of them would leave the line."""


@lru_cache(maxsize=16384)
def safe(text: str) -> str:
    """``text`` without anything that a terminal would act on."""
    shown = visible(text)
    return shown if shown.isascii() else _without_heaps(shown)


def width_of(text: str) -> int:
    """Terminal cells that a safe text takes."""
    return len(text) if text.isascii() else cell_len(text)


def plain(line: Iterable[Span]) -> str:
    """The text of a line."""
    return "".join(text for text, _ in line)


def cut(text: str, width: int, dots: str = "…") -> str:
    """A safe text in at most ``width`` cells, the cut shown by ``dots``."""
    shown = safe(text)
    if width_of(shown) <= width:
        return shown
    if width <= len(dots):
        return dots[:width]
    return set_cell_size(shown, width - len(dots)).rstrip() + dots


def cut_left(text: str, width: int, dots: str = "…") -> str:
    """As :func:`cut`, keeping the end: for paths."""
    shown = safe(text)
    if width_of(shown) <= width:
        return shown
    if width <= len(dots):
        return dots[:width]
    while shown and width_of(shown) > width - len(dots):
        shown = shown[1:]
    return dots + shown


def left(text: str, width: int, dots: str = "…") -> str:
    """``text`` in exactly ``width`` cells, at their left."""
    shown = cut(text, width, dots)
    return shown + " " * (width - width_of(shown))


def right(text: str, width: int, dots: str = "…") -> str:
    """``text`` in exactly ``width`` cells, at their right."""
    shown = cut(text, width, dots)
    return " " * (width - width_of(shown)) + shown


def fit(line: Sequence[Span], width: int, role: str = "") -> Line:
    """The line in exactly ``width`` cells: cut or filled up, every text made safe.

    Args:
        line: Spans.
        width: Cells.
        role: Of the filling.
    """
    fitted: Line = []
    room = width
    for text, kind in line:
        if room <= 0:
            break
        shown = safe(text)
        cells = width_of(shown)
        if cells > room:
            shown, cells = set_cell_size(shown, room), room
        if shown:
            fitted.append((shown, kind))
        room -= cells
    if room > 0:
        fitted.append((" " * room, role))
    return fitted


def spread(start: Sequence[Span], end: Sequence[Span], width: int) -> Line:
    """``start`` at the left and ``end`` at the right; the start gives way."""
    taken = sum(width_of(safe(text)) for text, _ in end)
    if taken >= width:
        return fit(end, width)
    return [*fit(start, width - taken), *((safe(text), kind) for text, kind in end)]


def runs(glyphs: Sequence[str], roles: Sequence[str]) -> Line:
    """Single characters with their roles, neighbours of one role joined."""
    line: Line = []
    start = 0
    for at in range(1, len(glyphs) + 1):
        if at == len(glyphs) or roles[at] != roles[start]:
            line.append(("".join(glyphs[start:at]), roles[start]))
            start = at
    return line


def wrap(text: str, width: int) -> list[str]:
    """Safe lines of at most ``width`` cells; line ends of the text are kept, tabs are spaces."""
    lines: list[str] = []
    for part in text.expandtabs(4).split("\n"):
        shown = safe(part)
        while width_of(shown) > width > 0:
            head = set_cell_size(shown, width).rstrip()
            # Between words where there are words, but no line less than half full.
            blank = shown.rfind(" ", len(head) // 2, len(head) + 1)
            taken = max(1, blank if blank > 0 and shown[:blank].strip() else len(head))
            lines.append(shown[:taken].rstrip())
            shown = shown[taken:].lstrip(" ")
        lines.append(shown)
    return lines


_ASCII = {"…": ".", "–": "-", "·": "."}


def in_ascii(text: str) -> str:
    """A safe text for a terminal that knows ASCII only, as wide as it was."""
    if text.isascii():
        return text
    return "".join(
        char if char.isascii() else _ASCII.get(char, "?" * cell_len(char)) for char in text
    )


def _without_heaps(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for char in text:
        marks = marks + 1 if cell_len(char) == 0 else 0
        if marks <= _REPEATED:
            kept.append(char)
    return "".join(kept)
