"""Any preview as lines of plain text: for the command line, logs, and terminals without colour."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from foretell.previews import cells
from foretell.previews.statistics import number
from foretell.previews.values import Histogram, Image, Line, Numbers, Preview, Table, Text
from foretell.text import clip, visible

MOST_BARS = 12


def lines_of(preview: Preview, width: int, *, ascii_only: bool = False) -> list[str]:
    """A preview as safe lines of at most ``width`` characters: title, warnings, body."""
    head = [preview.title] if preview.title else []
    head += [f"! {warning}" for warning in preview.warnings]
    body = _body(preview, max(8, width), ascii_only)
    return [clip(line, width) for line in (*head, *body)]


@singledispatch
def _body(preview: object, width: int, ascii_only: bool) -> list[str]:
    raise TypeError(f"not a preview: {type(preview).__name__}")


@_body.register
def _(preview: Numbers, width: int, ascii_only: bool) -> list[str]:
    shown = _pairs(preview.facts, width)
    for part in (preview.histogram, preview.line):
        if part is not None:
            shown += _body(part, width, ascii_only)
    return shown


@_body.register
def _(preview: Histogram, width: int, ascii_only: bool) -> list[str]:
    counts = np.array(preview.counts, dtype=np.float64)
    counts[counts == 0] = np.nan
    if preview.labels:
        return _named_bars(preview, width, ascii_only)
    ends = f"[{number(preview.low)} .. {number(preview.high)}]"
    drawn = cells.bars(counts, max(8, width - len(ends) - 10), ascii_only=ascii_only)
    return [f"values {drawn} {ends}"]


@_body.register
def _(preview: Line, width: int, ascii_only: bool) -> list[str]:
    first, last = preview.span
    ends = f"{preview.label} {first:,} .. {last:,}"
    drawn = cells.bars(preview.values, max(8, width - len(ends) - 10), ascii_only=ascii_only)
    return [f"line   {drawn} {ends}"]


@_body.register
def _(preview: Text, width: int, ascii_only: bool) -> list[str]:
    return [visible(line) for line in preview.lines]


@_body.register
def _(preview: Table, width: int, ascii_only: bool) -> list[str]:
    rows = [preview.header, *preview.rows]
    widths = [max(len(visible(row[i])) for row in rows) for i in range(len(preview.header))]
    return [
        "  ".join(
            f"{visible(cell):<{size}}" for cell, size in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


@_body.register
def _(preview: Image, width: int, ascii_only: bool) -> list[str]:
    return [line[:width] for line in cells.ramp(preview)]


def _pairs(facts: tuple[tuple[str, str], ...], width: int) -> list[str]:
    """Labelled texts side by side, as many a line as fit."""
    lines, line = [], ""
    for label, text in facts:
        pair = visible(f"{label} {text}")
        if line and len(line) + 3 + len(pair) > width:
            lines.append(line)
            line = ""
        line = f"{line}   {pair}" if line else pair
    return [*lines, line] if line else lines


def _named_bars(preview: Histogram, width: int, ascii_only: bool) -> list[str]:
    """One bar a line, under its name."""
    sign = "#" if ascii_only else "█"
    most = max(preview.counts, default=0) or 1
    names = [clip(label, 24) for label in preview.labels[:MOST_BARS]]
    reach = max((len(name) for name in names), default=0)
    room = max(4, width - reach - 14)
    shown = [
        f"{name:<{reach}}  {sign * (count * room // most)} {count:,}"
        for name, count in zip(names, preview.counts, strict=False)
    ]
    more = len(preview.labels) - len(names)
    return [*shown, f"and {more:,} more"] if more > 0 else shown
