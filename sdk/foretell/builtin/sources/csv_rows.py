"""Puts parsed pieces of CSV together into the rows of one range."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from foretell.builtin.sources.csv_parse import Parsed, positions
from foretell.builtin.sources.tables import Column, to_columns, to_records
from foretell.builtin.sources.textrows import Piece
from foretell.types import Layout, RowError, Rows


class CsvRows:
    """Collects parsed pieces into the rows of one range."""

    def __init__(
        self, start: int, stop: int, layout: Layout, columns: Mapping[str, Column]
    ) -> None:
        self._start, self._at = start, 0
        self._columns = columns
        self._records: list[Any] | None = None
        self._arrays: dict[str, np.ndarray] = {}
        self._bad: dict[int, tuple[str, str]] = {}
        if layout is Layout.RECORDS:
            self._records = [None] * (stop - start)
        else:
            self._arrays = {name: c.blank(stop - start) for name, c in columns.items()}

    def add(self, piece: Piece, parsed: Parsed) -> None:
        """The rows of one piece, the bad ones left as placeholders."""
        import pyarrow as pa

        if parsed.tables:
            # The last row of a file may parse although its quotes are never closed.
            where = self._at + positions(piece, parsed)
            table = pa.concat_tables(parsed.tables).slice(0, len(where))
            self._place(where, table)
        self._bad.update({self._at + i: cause for i, cause in parsed.bad.items()})
        self._at += len(piece)

    def _place(self, where: np.ndarray, table: Any) -> None:
        if self._records is None:
            for name, values in to_columns(table, self._columns).items():
                self._arrays[name][where] = values
            return
        for position, record in zip(where.tolist(), to_records(table), strict=True):
            self._records[position] = record

    def skip(self, message: str) -> None:
        """One row that was not read."""
        self._bad[self._at] = ("TooLong", message)
        self._at += 1

    def rows(self, locate: Callable[[int], str]) -> Rows:
        """What was collected."""
        errors = tuple(
            RowError(self._start + i, kind, message, locate(self._start + i))
            for i, (kind, message) in sorted(self._bad.items())
        )
        return Rows(self._arrays if self._records is None else self._records, errors)
