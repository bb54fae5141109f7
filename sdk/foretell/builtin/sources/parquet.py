"""Rows from Parquet files."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from foretell.abc import Source, SourceOptions
from foretell.abc.options import PATH
from foretell.builtin.sources.blocks import BlockCache
from foretell.builtin.sources.faults import storage_failed
from foretell.builtin.sources.files import find_files, opening
from foretell.builtin.sources.guard import Guard
from foretell.builtin.sources.parquet_meta import (
    Described,
    chosen_columns,
    describe,
    open_parquet,
)
from foretell.builtin.sources.parts import file_parts
from foretell.builtin.sources.tables import spec_of, to_columns, to_records
from foretell.errors import LoadError
from foretell.text import clip
from foretell.types import Examples, Layout, RowError, Rows, SourceSpec

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".parquet", ".pq")
"""Files of a folder that are read."""


class ParquetOptions(SourceOptions):
    """``[source] kind = "parquet"``."""

    kind: str = Field(default="parquet", description="Which registered implementation to use.")
    path: str = Field(
        description="File, folder, or pattern such as data/*.parquet.", json_schema_extra=PATH
    )
    columns: tuple[str, ...] = Field(
        default=(), description="The columns to read, in this order; all when empty."
    )
    layout: Literal["records", "columns"] = Field(
        default="records", description="records: a list of dicts; columns: a dict of arrays."
    )


class ParquetSource(Source):
    """One row per row of the files, in the order of the files' names.

    A range decodes only the row groups it touches, and the last ones are kept. A row group that
    cannot be decoded is the error of each of its rows. Nulls are None in records; how they look in
    columns: :mod:`foretell.builtin.sources.tables`.

    Args:
        options: The settings.

    Raises:
        LoadError: nothing to read, not a Parquet file, no such column.
    """

    Options: ClassVar[type[SourceOptions]] = ParquetOptions

    def __init__(self, options: ParquetOptions) -> None:
        self._options = options
        self._layout = Layout(options.layout)
        self._files = find_files(options, "parquet", SUFFIXES)
        self._guard = Guard(self._files)
        first = self._files[0]
        with opening(first.path), self._guard.open(0) as handle:
            schema = open_parquet(handle, first).schema_arrow
        self._names = chosen_columns(schema, options.columns, first, options)
        self._metadata: BlockCache[Any] = BlockCache(lambda meta: int(meta.serialized_size))
        self._tables: BlockCache[pa.Table] = BlockCache(lambda table: int(table.nbytes))
        self._lock = threading.Lock()
        self._described: Described | None = None

    @property
    def _known(self) -> Described:
        with self._lock:
            if self._described is None:
                self._described = describe(self._files, self._guard, self._names, self._options)
            return self._described

    @property
    def spec(self) -> SourceSpec:
        return spec_of(self._known.columns, self._layout)

    def __len__(self) -> int:
        return int(self._known.groups.first[-1])

    def read(self, start: int, stop: int) -> Rows:
        examples: list[Any] = []
        errors: list[RowError] = []
        for group, begin, end in self._pieces(start, stop):
            try:
                rows = self._convert(self._table(group).slice(begin, end - begin))
            except Exception as error:
                if storage_failed(error) or isinstance(error, LoadError | MemoryError):
                    raise
                first = int(self._known.groups.first[group])
                errors += self._errors(error, first + begin, first + end)
                rows = self._blank(end - begin)
            examples.append(rows)
        return Rows(self._joined(examples), tuple(errors))

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """A range as (row group, first row in it, row after the last in it)."""
        first = self._known.groups.first
        while start < stop:
            group = int(np.searchsorted(first, start, side="right")) - 1
            end = min(stop, int(first[group + 1]))
            yield group, start - int(first[group]), end - int(first[group])
            start = end

    def _table(self, group: int) -> pa.Table:
        return self._tables.get(group, lambda: self._load(group))

    def _load(self, group: int) -> pa.Table:
        groups = self._known.groups
        number = int(groups.file[group])
        with self._guard.open(number) as handle:
            file = self._files[number]
            meta = self._metadata.get(number, lambda: open_parquet(handle, file).metadata)
            parquet = open_parquet(handle, file, meta)
            # Other ranges are being read beside this one: one thread each is the fair share.
            table = parquet.read_row_group(
                int(groups.number[group]), columns=self._names, use_threads=False
            )
        expected = int(groups.first[group + 1] - groups.first[group])
        if table.num_rows != expected:
            raise ValueError(f"{table.num_rows} rows where the footer promises {expected}")
        return table.select(self._names)

    def _convert(self, table: pa.Table) -> Examples:
        if self._layout is Layout.RECORDS:
            return to_records(table)
        return to_columns(table, self._known.columns)

    def _blank(self, rows: int) -> Examples:
        if self._layout is Layout.RECORDS:
            return [None] * rows
        return {name: column.blank(rows) for name, column in self._known.columns.items()}

    def _joined(self, pieces: list[Any]) -> Examples:
        if len(pieces) == 1:
            only: Examples = pieces[0]
            return only
        if self._layout is Layout.RECORDS:
            return [record for piece in pieces for record in piece]
        if not pieces:
            return self._blank(0)
        return {n: np.concatenate([p[n] for p in pieces]) for n in self._known.columns}

    def _errors(self, error: Exception, start: int, stop: int) -> list[RowError]:
        kind, message = type(error).__name__, f"the row group is damaged: {clip(str(error), 200)}"
        return [RowError(row, kind, message, self.locate(row)) for row in range(start, stop)]

    def fingerprint(self) -> Mapping[str, str]:
        settings = {"columns": self._options.columns, "layout": self._options.layout}
        return file_parts(self._files, self._options, settings)

    def locate(self, row: int) -> str:
        """``file.parquet:row 17 (row group 3)``, both counted from 0 within the file."""
        try:
            groups = self._known.groups
            group = int(np.searchsorted(groups.first, row, side="right")) - 1
            number = int(groups.file[group])
            within = row - int(groups.file_first[number])
            label = self._files[number].label
            return f"{label}:row {within} (row group {int(groups.number[group])})"
        except Exception:
            return super().locate(row)

    def row_bytes(self) -> int | None:
        boxed = 60 * len(self._names) if self._layout is Layout.RECORDS else 0
        return self._known.groups.row_bytes + boxed

    def close(self) -> None:
        self._tables.clear()
        self._metadata.clear()
