"""Tables: records, structured dtypes, and any rows of a few values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from foretell.previews.statistics import title_of
from foretell.previews.texts import short
from foretell.previews.values import BlockMeta, Preview, Table
from foretell.text import clip

MOST_COLUMNS = 12
MOST_ROWS = 200


def preview(meta: BlockMeta, block: np.ndarray, width: int, height: int) -> Preview | None:
    """The first rows of records; of any block where a table is asked for.

    Args:
        meta: What the block is.
        block: ``(rows, …)``.
        width, height: Cells there are.
    """
    if meta.view not in ("auto", "table"):
        return None
    if meta.view == "auto" and not _is_table(block):
        return None
    count = min(len(block) if block.ndim else 1, max(1, height - 1), MOST_ROWS)
    rows = block[:count] if block.ndim else block.reshape(1)
    header, cells = _cells(rows)
    cell = max(4, width // max(1, min(len(header) + 1, MOST_COLUMNS)) * 2)
    return Table(
        header=("row", *(clip(name, cell) for name in header)),
        rows=tuple(
            (f"{meta.row(position):,}", *(short(value, cell) for value in values))
            for position, values in enumerate(cells)
        ),
        title=title_of(meta, block),
    )


def _is_table(block: np.ndarray) -> bool:
    return block.dtype.names is not None or block.dtype.kind in "OVMm"


def _cells(rows: np.ndarray) -> tuple[list[str], list[list[Any]]]:
    """Names of the columns, and the values of every row."""
    if rows.dtype.names is not None:
        names = list(rows.dtype.names)[:MOST_COLUMNS]
        firsts = rows if rows.ndim == 1 else rows.reshape(len(rows), -1)[:, :1].reshape(-1)
        return names, [[row[name] for name in names] for row in firsts]
    if rows.dtype == object and rows.ndim == 1 and any(isinstance(r, Mapping) for r in rows):
        keys = [str(key) for row in rows if isinstance(row, Mapping) for key in row]
        names = list(dict.fromkeys(keys))[:MOST_COLUMNS]
        return names, [[_of(row, name) for name in names] for row in rows]
    if rows.ndim > 1 and rows.size:
        flat = rows.reshape(len(rows), -1)[:, :MOST_COLUMNS]
        return [str(i) for i in range(flat.shape[1])], [list(row) for row in flat]
    return ["value"], [[row] for row in rows]


def _of(row: Any, name: str) -> Any:
    if not isinstance(row, Mapping):
        return row
    return next((value for key, value in row.items() if str(key) == name), "")
