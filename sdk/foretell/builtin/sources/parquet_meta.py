"""Which rows lie in which row group, and what the columns of Parquet files are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from foretell.builtin.sources.files import DataFile, near_names, opening, setting
from foretell.builtin.sources.guard import Guard
from foretell.builtin.sources.tables import Column, any_null, column_of
from foretell.errors import LoadError
from foretell.text import clip, visible

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from foretell.abc import SourceOptions


@dataclass(frozen=True, slots=True)
class RowGroups:
    """The row groups of all files, in order.

    Attributes:
        file: int64 ``(n,)``, the file of each row group.
        number: int64 ``(n,)``, its number within the file.
        first: int64 ``(n + 1,)``, global rows before each row group.
        file_first: int64 ``(files + 1,)``, global rows before each file.
        row_bytes: Bytes of an average row of the wanted columns, decompressed.
    """

    file: np.ndarray
    number: np.ndarray
    first: np.ndarray
    file_first: np.ndarray
    row_bytes: int


@dataclass(frozen=True, slots=True)
class Described:
    """What the footers of all files say."""

    groups: RowGroups
    columns: dict[str, Column]


def open_parquet(
    handle: int, file: DataFile, metadata: pq.FileMetaData | None = None
) -> pq.ParquetFile:
    """A Parquet file on an open descriptor.

    Raises:
        LoadError: it is not a Parquet file, or it is cut short.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        source = pa.PythonFile(open(handle, "rb", buffering=0, closefd=False), mode="r")  # noqa: SIM115
        return pq.ParquetFile(source, metadata=metadata)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise LoadError(
            "this is not a whole Parquet file",
            facts=[("file", visible(file.path)), ("reason", clip(str(error), 200))],
        ) from error


def chosen_columns(
    schema: pa.Schema, wanted: Sequence[str], file: DataFile, options: SourceOptions
) -> list[str]:
    """The columns to read, in order.

    Raises:
        LoadError: a wanted column is missing, or two columns have one name.
    """
    names = list(schema.names)
    times = Counter(names)
    for name in wanted or names:
        if times[name] == 1:
            continue
        near = near_names(name, names)
        raise LoadError(
            "two columns have the same name" if times[name] else "the source has no such column",
            facts=[
                ("column", visible(name)),
                ("file", file.label),
                ("columns", visible(", ".join(names[:50]))),
                setting(options),
            ],
            tries=[(f'columns = ["{visible(other)}"]', "") for other in near if other != name],
        )
    return list(wanted) or names


def describe(
    files: Sequence[DataFile], guard: Guard, names: Sequence[str], options: SourceOptions
) -> Described:
    """Read every footer.

    Raises:
        LoadError: a file is damaged, or its columns are not those of the first.
    """
    scan = _Footers(files, guard, names, options)
    for number in range(len(files)):
        with opening(files[number].path):
            scan.add(number)
    return scan.described()


class _Footers:
    """Adds up what footers say, keeping a few numbers of each row group."""

    def __init__(
        self, files: Sequence[DataFile], guard: Guard, names: Sequence[str], options: SourceOptions
    ) -> None:
        self._files, self._guard, self._names, self._options = files, guard, names, options
        self._groups: list[tuple[int, int, int]] = []
        self._bytes = 0
        self._kinds: dict[str, Any] = {}
        self._nulls = dict.fromkeys(names, False)
        self._file_first = [0]

    def add(self, number: int) -> None:
        """Take one file's footer."""
        with self._guard.open(number) as handle:
            parquet = open_parquet(handle, self._files[number])
            self._check_kinds(parquet.schema_arrow, self._files[number])
            for group in range(parquet.metadata.num_row_groups):
                self._add_group(parquet, number, group)
        self._file_first.append(self._file_first[-1] + parquet.metadata.num_rows)

    def _check_kinds(self, schema: pa.Schema, file: DataFile) -> None:
        chosen_columns(schema, self._names, file, self._options)
        for name in self._names:
            kind = schema.field(name).type
            if self._kinds.setdefault(name, kind) != kind:
                raise LoadError(
                    "the files have different columns",
                    facts=[
                        ("column", visible(name)),
                        (self._files[0].label, str(self._kinds[name])),
                        (file.label, str(kind)),
                    ],
                )

    def _add_group(self, parquet: pq.ParquetFile, number: int, group: int) -> None:
        meta = parquet.metadata.row_group(group)
        self._groups.append((number, group, meta.num_rows))
        unknown = set()
        for i in range(meta.num_columns):
            column = meta.column(i)
            name = self._name_of(column.path_in_schema)
            if name is None:
                continue
            self._bytes += column.total_uncompressed_size
            stats = column.statistics
            if stats is None or not stats.has_null_count:
                unknown.add(name)
            elif stats.null_count:
                self._nulls[name] = True
        for name in unknown:
            # Rare: a writer that keeps no statistics. Only the values can tell.
            self._nulls[name] = self._nulls[name] or _has_nulls(parquet, group, name)

    def _name_of(self, path: str) -> str | None:
        if path in self._nulls:
            return path
        return next((name for name in self._names if path.startswith(name + ".")), None)

    def described(self) -> Described:
        """The result."""
        file, number, rows = (
            np.array([g[i] for g in self._groups], dtype=np.int64) for i in range(3)
        )
        first = np.concatenate(([0], np.cumsum(rows, dtype=np.int64)))
        mean = self._bytes // max(1, int(first[-1]))
        groups = RowGroups(file, number, first, np.array(self._file_first, dtype=np.int64), mean)
        kinds = self._kinds
        return Described(groups, {n: column_of(kinds[n], self._nulls[n]) for n in self._names})


def _has_nulls(parquet: pq.ParquetFile, group: int, name: str) -> bool:
    return any_null(parquet.read_row_group(group, columns=[name], use_threads=False).column(0))
