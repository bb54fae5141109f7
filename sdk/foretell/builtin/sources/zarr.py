"""Rows from Zarr arrays, version 2 or 3, in a folder or on an object store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from foretell.abc import Source, SourceOptions
from foretell.abc.options import PATH
from foretell.builtin.sources.blocks import BlockCache
from foretell.builtin.sources.dtypes import refuse_objects
from foretell.builtin.sources.faults import storage_failed
from foretell.builtin.sources.files import setting
from foretell.builtin.sources.zarr_column import ZarrColumn, decoded_bytes
from foretell.builtin.sources.zarr_coords import read_coords
from foretell.builtin.sources.zarr_open import choose_arrays, open_node
from foretell.builtin.sources.zarr_parts import MetadataGuard, local_folder, zarr_parts
from foretell.builtin.sources.zarr_runs import VALID, missing_rows, valid_array
from foretell.errors import LoadError
from foretell.text import clip, visible
from foretell.types import Layout, RowError, Rows, SourceSpec

if TYPE_CHECKING:
    import zarr


class ZarrOptions(SourceOptions):
    """``[source] kind = "zarr"``."""

    kind: str = Field(default="zarr", description="Which registered implementation to use.")
    path: str = Field(
        description="A Zarr store, a group or an array in it: a folder or s3://bucket/prefix.",
        json_schema_extra=PATH,
    )
    array: str | None = Field(
        default=None, description="The array to read; needed where a group holds several."
    )
    arrays: tuple[str, ...] = Field(
        default=(), description="Several arrays of one length to read, as columns."
    )
    codecs: tuple[str, ...] = Field(
        default=(),
        description="Codecs of installed packages to trust beside those that come with Zarr.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> ZarrOptions:
        if self.array is not None and self.arrays:
            raise ValueError("give array or arrays, not both")
        return self


class ZarrSource(Source):
    """One row per entry along axis 0 of an array, or of several arrays as columns.

    A block that cannot be decoded is the error of each of its rows; a block that is not stored
    holds the array's fill value, as Zarr says. Text comes as arrays of ``str`` objects. In the
    store of an earlier run, a row without a prediction is an error.

    Args:
        options: The settings.

    Raises:
        LoadError: nothing there, no such array, a refused codec, arrays of different lengths.
    """

    Options: ClassVar[type[SourceOptions]] = ZarrOptions
    supports_coords: ClassVar[bool] = True

    def __init__(self, options: ZarrOptions) -> None:
        self._options = options
        self._node = open_node(options)
        wanted = options.arrays or ((options.array,) if options.array is not None else ())
        arrays = choose_arrays(self._node, wanted, options)
        self._cache: BlockCache[np.ndarray] = BlockCache(decoded_bytes)
        self._columns = [self._column(name, array) for name, array in arrays.items()]
        self._single = not options.arrays
        self._rows = self._count()
        valid = valid_array(self._node, self._columns[0])
        self._valid = None if valid is None else self._column(VALID, valid)
        self._guard = MetadataGuard(self._node, self._columns)

    def _column(self, name: str, array: zarr.Array[Any]) -> ZarrColumn:
        return ZarrColumn(name, array, self._cache, local_folder(self._node, array))

    def _count(self) -> int:
        texts = ("StringDType", "object")
        for column in self._columns:
            dtype = column.array.dtype
            if not str(dtype).startswith(texts):
                refuse_objects({column.name: np.dtype(dtype)}, self._node.root)
        lengths = {column.shape[:1] for column in self._columns}
        if len(lengths) > 1 or () in lengths:
            raise LoadError(
                "an array without an axis has no rows"
                if () in lengths
                else "the arrays have different numbers of rows",
                facts=[
                    *((visible(c.name), f"{c.dtype} {c.shape}") for c in self._columns),
                    setting(self._options),
                ],
                slug="source-array",
            )
        return lengths.pop()[0]

    @property
    def spec(self) -> SourceSpec:
        if self._single:
            column = self._columns[0]
            return SourceSpec(Layout.ARRAY, column.shape[1:], column.dtype)
        columns = {c.name: (c.shape[1:], c.dtype) for c in self._columns}
        return SourceSpec(Layout.COLUMNS, columns=columns)

    def __len__(self) -> int:
        return self._rows

    def read(self, start: int, stop: int) -> Rows:
        self._guard.check()
        errors: dict[int, RowError] = {}
        arrays = {c.name: self._read(c, start, stop, errors) for c in self._columns}
        if self._valid is not None:
            valid = self._read(self._valid, start, stop, errors)
            for i, reason in missing_rows(valid).items():
                row = start + i
                errors.setdefault(row, RowError(row, "NotPredicted", reason, self.locate(row)))
        found = tuple(errors[row] for row in sorted(errors))
        return Rows(arrays[self._columns[0].name] if self._single else arrays, found)

    def _read(
        self, column: ZarrColumn, start: int, stop: int, errors: dict[int, RowError]
    ) -> np.ndarray:
        try:
            return column.read(start, stop)
        except Exception as error:
            _raise_storage(error)
        # Some block of the range is damaged: find which, and keep the others.
        pieces = [column.blank(0)]
        for begin, end in _blocks(start, stop, column.block):
            try:
                pieces.append(column.read(begin, end))
            except Exception as error:
                _raise_storage(error)
                pieces.append(column.blank(end - begin))
                for row in range(begin, end):
                    errors.setdefault(row, self._error(row, column, error))
        return np.concatenate(pieces)

    def _error(self, row: int, column: ZarrColumn, error: Exception) -> RowError:
        message = f"a block of {visible(column.name)} cannot be decoded: {clip(str(error), 160)}"
        return RowError(row, type(error).__name__, message, self.locate(row))

    def fingerprint(self) -> Mapping[str, str]:
        settings = {"array": self._options.array, "arrays": self._options.arrays}
        valid = [] if self._valid is None else [self._valid]
        return zarr_parts(self._node, [*self._columns, *valid], self._options, settings)

    def coords(self) -> Mapping[str, Any]:
        return read_coords(self._node, self._columns, self._options)

    def locate(self, row: int) -> str:
        """``tiles.zarr/rgb[41]``."""
        try:
            root = self._node.root.rstrip("/").rpartition("/")[2]
            paths = sorted(column.array.path for column in self._columns)
            inner = paths[0] if len(paths) == 1 else self._node.inner
            return visible(f"{root}/{inner}".rstrip("/") + f"[{row}]")
        except Exception:
            return super().locate(row)

    def row_bytes(self) -> int | None:
        return sum(column.row_bytes for column in self._columns)

    def close(self) -> None:
        self._cache.clear()


def _blocks(start: int, stop: int, block: int) -> Iterator[tuple[int, int]]:
    """A range cut where blocks begin."""
    while start < stop:
        end = min(stop, (start // block + 1) * block)
        yield start, end
        start = end


def _raise_storage(error: Exception) -> None:
    """Raise errors of the storage, as ``OSError``, and of running out of memory; return others."""
    if isinstance(error, MemoryError | LoadError):
        raise error
    if storage_failed(error):
        if isinstance(error, OSError):
            raise error
        raise OSError(f"{type(error).__name__}: {clip(str(error), 300)}") from error
