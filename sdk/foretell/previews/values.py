"""What a preview may be, and what it is made from. Plain values: nothing here draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np

    from foretell.types import JSON

VIEWS = ("auto", "numbers", "text", "table", "image", "line", "histogram")
"""How a viewer may ask to see a block; ``auto`` leaves it to the previews."""


@dataclass(frozen=True, slots=True)
class BlockMeta:
    """What a block of results is.

    Attributes:
        name: Of the output, ``head/logits``.
        dtype: As its spec says: a NumPy name, ``str`` or ``json``.
        dims: Names of the dimensions of a row; empty where it has none.
        attrs: Attributes of the output, ``class_names`` among them.
        chunk: The chunk the rows come from, -1 where that means nothing.
        rows: int64 ``(n,)``, global index of each row of the block; None where it is unknown.
        total: Rows the chunk has, of which the block holds some or all; 0 where it is unknown.
        view: How the viewer wants to see it, one of :data:`VIEWS`.
        index: Which row, channel or slice of it to show, where there is a choice: counts on.
        previous: A block of an earlier chunk, to compare with; None where there is none.
    """

    name: str
    dtype: str
    dims: tuple[str, ...] = ()
    attrs: Mapping[str, JSON] = field(default_factory=dict)
    chunk: int = -1
    rows: np.ndarray | None = None
    total: int = 0
    view: str = "auto"
    index: int = 0
    previous: np.ndarray | None = None

    def row(self, position: int) -> int:
        """Global index of the row at a position of the block; the position where it is unknown."""
        if self.rows is None or not 0 <= position < len(self.rows):
            return position
        return int(self.rows[position])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Preview:
    """What every preview has.

    Attributes:
        title: What is shown, one line.
        warnings: What looks wrong: NaN, infinities, values that are all the same.
    """

    title: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram(_Preview):
    """Counts of values.

    Attributes:
        counts: One for each bar.
        labels: Name of each bar where they are classes; empty for ranges of numbers.
        low, high: Ends of the range, where bars are ranges of equal width.
    """

    counts: tuple[int, ...]
    labels: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line(_Preview):
    """Values in order.

    Attributes:
        values: float64 ``(n,)``, at most as many as fit; NaN where there is none.
        low, high: Least and greatest finite value.
        label: What runs along: ``row`` or the name of a dimension.
        span: Index of the first and of the last value.
    """

    values: np.ndarray
    low: float
    high: float
    label: str = "row"
    span: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers(_Preview):
    """Figures on a block.

    Attributes:
        facts: (label, text) pairs.
        histogram: Of the finite values, None where there are none.
        line: The values in order, None where they have no order.
    """

    facts: tuple[tuple[str, str], ...]
    histogram: Histogram | None = None
    line: Line | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(_Preview):
    """Lines of safe text, each no longer than the width that was asked for.

    Attributes:
        lines: Top to bottom.
    """

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(_Preview):
    """Rows of safe text under a header.

    Attributes:
        header: Name of each column.
        rows: As many cells each.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Image(_Preview):
    """A picture, small enough for its place: two pixels a cell, one above the other.

    Attributes:
        levels: uint8 ``(h, w)``: 0 for ``low``, 255 for ``high``, or a class where ``categories``;
            uint8 ``(h, w, 3)`` for red, green and blue.
        missing: bool ``(h, w)``, pixels without a finite value.
        low, high: Values of the ends of the scale; robust percentiles, so not the extremes.
        categories: Whether levels name classes: a palette of distinct colours fits.
        choices: How many rows, channels or slices ``index`` can choose from.
    """

    levels: np.ndarray
    missing: np.ndarray
    low: float = 0.0
    high: float = 0.0
    categories: bool = False
    choices: int = 1


Preview: TypeAlias = Numbers | Text | Table | Image | Line | Histogram
"""Everything a preview may be."""
