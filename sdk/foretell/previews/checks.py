"""What a preview of anyone's must be before it is shown: of the right kind, and safe text only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from foretell.previews.values import Histogram, Image, Line, Numbers, Preview, Table, Text
from foretell.text import visible

MOST_ITEMS = 10_000


def checked(found: Any) -> Preview:
    """``found`` with every text in it made safe.

    Raises:
        TypeError: it is no preview, or not a whole one.
    """
    if not isinstance(found, Numbers | Text | Table | Image | Line | Histogram):
        raise TypeError(f"returned {type(found).__name__}, which is no preview")
    head: dict[str, Any] = {
        "title": visible(found.title),
        "warnings": tuple(map(visible, found.warnings)),
    }
    if isinstance(found, Numbers):
        return _numbers(found, head)
    if isinstance(found, Text):
        lines = tuple(visible(line) for line in found.lines[:MOST_ITEMS])
        return Text(lines=lines, **head)
    if isinstance(found, Table):
        return _table(found, head)
    if isinstance(found, Histogram):
        return _histogram(found, head)
    if isinstance(found, Image):
        return replace(_image(found), **head)
    return replace(_line(found), **head)


def _numbers(found: Numbers, head: dict[str, Any]) -> Numbers:
    return Numbers(
        facts=tuple((visible(label), visible(text)) for label, text in found.facts[:MOST_ITEMS]),
        histogram=None if found.histogram is None else _histogram(found.histogram, {}),
        line=None if found.line is None else _line(found.line),
        **head,
    )


def _table(found: Table, head: dict[str, Any]) -> Table:
    if any(len(row) != len(found.header) for row in found.rows):
        raise TypeError("returned a table whose rows have another length than its header")
    rows = tuple(tuple(visible(cell) for cell in row) for row in found.rows[:MOST_ITEMS])
    return Table(header=tuple(visible(name) for name in found.header), rows=rows, **head)


def _histogram(found: Histogram, head: dict[str, Any]) -> Histogram:
    if found.labels and len(found.labels) != len(found.counts):
        raise TypeError("returned a histogram with another number of labels than of counts")
    return Histogram(
        counts=tuple(max(0, int(count)) for count in found.counts[:MOST_ITEMS]),
        labels=tuple(visible(label) for label in found.labels[:MOST_ITEMS]),
        low=float(found.low),
        high=float(found.high),
        **head,
    )


def _line(found: Line) -> Line:
    values = np.asarray(found.values, dtype=np.float64).reshape(-1)[:MOST_ITEMS]
    return replace(found, values=values, label=visible(found.label))


def _image(found: Image) -> Image:
    levels, missing = np.asarray(found.levels), np.asarray(found.missing, dtype=bool)
    shape = levels.shape[:2]
    whole = levels.ndim == 2 or (levels.ndim == 3 and levels.shape[2] == 3)
    if levels.dtype != np.uint8 or not whole or missing.shape != shape or not levels.size:
        raise TypeError(
            f"returned an image of {levels.dtype} {levels.shape}, not uint8 (h, w) or (h, w, 3)"
        )
    return replace(found, levels=levels, missing=missing)
