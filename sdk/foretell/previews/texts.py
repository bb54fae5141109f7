"""Text: wrapped, cut, and with everything a terminal would obey made visible."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np

from foretell.previews.statistics import title_of
from foretell.previews.values import BlockMeta, Preview, Text
from foretell.text import clip, visible

MOST_CHARACTERS = 2_000
"""Of one row; the rest is counted, not shown."""
MOST_LINES = 500


def preview(meta: BlockMeta, block: np.ndarray, width: int, height: int) -> Preview | None:
    """Rows of text, or any block one value a line where text is asked for.

    Args:
        meta: What the block is.
        block: ``(rows, …)``.
        width, height: Cells there are.
    """
    wanted = meta.view == "text"
    if not wanted and (meta.view != "auto" or not _holds_text(block)):
        return None
    width, height = max(1, width), max(1, min(height, MOST_LINES))
    rows = block.reshape(len(block), -1) if block.ndim and block.size else block.reshape(0, 1)
    lines: list[str] = []
    for position, row in enumerate(rows):
        if len(lines) >= height:
            break
        lines += _lines(meta.row(position), row, width)
    empty = sum(1 for value in rows.flat if isinstance(value, str | bytes) and not value)
    warnings: tuple[str, ...] = ()
    if _holds_text(block) and rows.size and empty == rows.size:
        warnings = ("every text is empty",)
    return Text(lines=tuple(lines[:height]), title=title_of(meta, block), warnings=warnings)


def _holds_text(block: np.ndarray) -> bool:
    if block.dtype.kind in "US":
        return True
    return block.dtype == object and all(isinstance(value, str) for value in block.flat)


def _lines(row: int, values: np.ndarray, width: int) -> list[str]:
    """One row of the output as lines: its index, then what it says, wrapped."""
    mark = f"{row:,}  "
    if len(mark) >= width:
        mark = ""
    text, hidden = _joined(values)
    if hidden:
        text = f"{text}… {hidden:,} more"
    wrapped = textwrap.wrap(
        text, max(1, width - len(mark)), break_on_hyphens=False, replace_whitespace=False
    )
    return (
        [mark + wrapped[0], *(" " * len(mark) + line for line in wrapped[1:])]
        if wrapped
        else [mark.rstrip()]
    )


def _joined(values: np.ndarray) -> tuple[str, int]:
    """The values of a row as safe text of bounded length, and how many characters were left out."""
    pieces: list[str] = []
    room, hidden = MOST_CHARACTERS, 0
    for value in values[:MOST_CHARACTERS].tolist():
        text = _plain(value)
        if room:
            pieces.append(visible(text[:room]))
        hidden += max(0, len(text) - room)
        room = max(0, room - len(text))
    return " ".join(pieces), hidden


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace")
    return value if isinstance(value, str) else _name(value)


def short(value: Any, width: int = 40) -> str:
    """Any value as one safe, short text."""
    if isinstance(value, float | np.floating):
        return f"{float(value):.6g}"
    if isinstance(value, np.ndarray):
        with np.printoptions(precision=4, threshold=6, edgeitems=2, linewidth=1000):
            return clip(" ".join(str(value).split()), width)
    return clip(_plain(value)[: 8 * width], width)


def _name(value: Any) -> str:
    """How a value calls itself; its type where it cannot."""
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"
