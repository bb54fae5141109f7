"""Numbers: figures, a histogram, and the values in order."""

from __future__ import annotations

import numpy as np

from foretell.previews.statistics import (
    as_floats,
    facts_of,
    histogram,
    is_numeric,
    summary,
    title_of,
    warnings_of,
)
from foretell.previews.values import BlockMeta, Histogram, Line, Numbers, Preview

MOST_POINTS = 1000


def preview(meta: BlockMeta, block: np.ndarray, width: int, height: int) -> Preview | None:
    """Figures on any numeric block; as a line or a histogram where that is asked for.

    Args:
        meta: What the block is.
        block: ``(rows, …)``, any numeric dtype and rank.
        width, height: Cells there are.
    """
    if not is_numeric(block) or meta.view not in ("auto", "numbers", "line", "histogram"):
        return None
    found = summary(block)
    title, warnings = title_of(meta, block), warnings_of(found)
    bars = histogram(found.finite)
    line = _line(meta, block, width)
    if meta.view == "line" and line is not None:
        return _with(line, title, warnings)
    if meta.view == "histogram" and bars is not None:
        return Histogram(
            counts=bars.counts, low=bars.low, high=bars.high, title=title, warnings=warnings
        )
    ordered = line if _scalar_rows(block) else None
    return Numbers(
        facts=facts_of(found), histogram=bars, line=ordered, title=title, warnings=warnings
    )


def _line(meta: BlockMeta, block: np.ndarray, width: int) -> Line | None:
    """One value a row in the order of rows, or the values of one row along its last axis."""
    if not block.size:
        return None
    label, values = "row", as_floats(block)
    first = meta.row(0)
    if not _scalar_rows(values):
        label = meta.dims[-1] if meta.dims else "value"
        rows = values.reshape(-1, values.shape[-1])
        values = rows[meta.index % len(rows)]
        first = 0
    values = values.reshape(-1)
    last = meta.row(len(values) - 1) if label == "row" else len(values) - 1
    shown = thinned(values, max(1, min(MOST_POINTS, width)))
    finite = shown[np.isfinite(shown)]
    if not len(finite):
        return None
    shown = np.where(np.isfinite(shown), shown, np.nan)
    return Line(
        values=shown,
        low=float(finite.min()),
        high=float(finite.max()),
        label=label,
        span=(first, last),
    )


def _scalar_rows(block: np.ndarray) -> bool:
    """Whether every row is one value."""
    return block.ndim < 2 or block.size == len(block)


def thinned(values: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the values, evenly spaced, the first and the last among them."""
    if len(values) <= most:
        return values
    return values[np.linspace(0, len(values) - 1, most).astype(np.int64)]


def _with(line: Line, title: str, warnings: tuple[str, ...]) -> Line:
    return Line(
        values=line.values,
        low=line.low,
        high=line.high,
        label=line.label,
        span=line.span,
        title=title,
        warnings=warnings,
    )
