"""Rows from live Python objects: arrays, columns, lists, anything with a length and an index."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from foretell.abc import Source, SourceOptions
from foretell.builtin.sources.dtypes import dtype_name
from foretell.builtin.sources.faults import storage_failed
from foretell.builtin.sources.memory_digest import digest_array, digest_records, item_digest
from foretell.builtin.sources.parts import SAMPLES, canonical, sha256, spread
from foretell.errors import ConfigError, LoadError
from foretell.text import clip
from foretell.types import Layout, RowError, Rows, SourceSpec


class MemoryOptions(SourceOptions):
    """Settings of live data; there is nothing to say about where it is."""

    kind: str = Field(default="memory", description="Which registered implementation to use.")


class MemorySource(Source):
    """Rows of live data.

    ==================================  ====================================================
    data                                rows
    ==================================  ====================================================
    array (NumPy, or anything like it   entries along axis 0
    with ``shape``, ``dtype``, slices)
    mapping of arrays, data frame       columns
    list, tuple                         records; slices are taken
    anything with ``__len__`` and       records, one ``data[i]`` at a time under a lock, because
    ``__getitem__``                     nobody knows whether it may be used by several threads;
                                        an exception is that row's error
    ==================================  ====================================================

    Args:
        data: As above. Not copied, and not to be changed while a run lasts.
        options: Settings; their defaults when absent.

    Raises:
        ConfigError: the data has no length or index, or columns of different lengths.
    """

    Options: ClassVar[type[SourceOptions]] = MemoryOptions

    def __init__(self, data: Any, options: SourceOptions | None = None) -> None:
        self._options = options or MemoryOptions()
        self._columns = _columns_of(data)
        self._data = data
        self._layout = _layout_of(data, self._columns)
        self._lock = threading.Lock()
        self._length = len(self)

    @classmethod
    def from_options(cls, options: Any) -> Source:
        raise ConfigError(
            "data in memory cannot come from a job file",
            facts=[("setting", 'source.kind = "memory"')],
            tries=[
                ("foretell.predict(source=data, …)", "from Python"),
                ("numpy.save, then source.path", "to run it from a job file"),
            ],
            slug="source-memory",
        )

    @classmethod
    def recognises(cls, data: object) -> bool:
        if isinstance(data, str | bytes | bytearray | set | frozenset):
            return False
        return hasattr(data, "__getitem__") and (_is_array(data) or hasattr(data, "__len__"))

    @classmethod
    def from_live(cls, options: Any, data: object) -> Source:
        return cls(data, options)

    @property
    def spec(self) -> SourceSpec:
        if self._layout is Layout.ARRAY:
            empty = _to_numpy(self._data[0:0])
            return SourceSpec(self._layout, empty.shape[1:], _name(_to_numpy(self._data[:1])))
        if self._layout is Layout.COLUMNS:
            columns = {n: (c.shape[1:], _name(c)) for n, c in self._columns.items()}
            return SourceSpec(self._layout, columns=columns)
        return SourceSpec(self._layout)

    def __len__(self) -> int:
        if self._columns:
            return len(next(iter(self._columns.values())))
        return int(self._data.shape[0]) if self._layout is Layout.ARRAY else len(self._data)

    def read(self, start: int, stop: int) -> Rows:
        if len(self) != self._length:
            raise LoadError(
                "the source changed while it was being read",
                facts=[("rows", f"{self._length:,} at the start, {len(self):,} now")],
                slug="source-changed",
            )
        if self._layout is Layout.ARRAY:
            return Rows(np.array(_to_numpy(self._data[start:stop])))
        if self._layout is Layout.COLUMNS:
            return Rows({name: c[start:stop].copy() for name, c in self._columns.items()})
        if isinstance(self._data, list | tuple):
            return Rows(list(self._data[start:stop]))
        return self._items(start, stop)

    def _items(self, start: int, stop: int) -> Rows:
        examples: list[Any] = []
        errors: list[RowError] = []
        for row in range(start, stop):
            try:
                with self._lock:
                    examples.append(self._data[row])
            except Exception as error:
                if storage_failed(error) or isinstance(error, MemoryError):
                    raise
                examples.append(None)
                kind, text = type(error).__name__, clip(str(error), 200)
                errors.append(RowError(row, kind, text, self.locate(row)))
        return Rows(examples, tuple(errors))

    def fingerprint(self) -> Mapping[str, str]:
        """Hash of all content; of rows spread evenly over a map-style object unless ``content``."""
        parts = {"rows": str(self._length)}
        if self._layout is Layout.ARRAY:
            return {**parts, "content": digest_array(self._data, len(self), _to_numpy)}
        if self._layout is Layout.COLUMNS:
            digests = {
                name: digest_array(column, len(self)) for name, column in self._columns.items()
            }
            return {**parts, "content": sha256([canonical(digests).encode()])}
        if isinstance(self._data, list | tuple):
            return {**parts, "content": digest_records(self._data)}
        parts["class"] = type(self._data).__qualname__
        whole = self._options.fingerprint == "content"
        chosen = range(self._length) if whole else spread(self._length, SAMPLES)
        digests_of = (self._item_digest(row) for row in chosen)
        return {**parts, "content" if whole else "sample": sha256(digests_of)}

    def _item_digest(self, row: int) -> bytes:
        rows = self._items(row, row + 1)
        return repr(rows.errors).encode() if rows.errors else item_digest(next(iter(rows.examples)))

    def row_bytes(self) -> int | None:
        if self._layout is Layout.ARRAY:
            first = _to_numpy(self._data[:1])
            return first.nbytes if len(first) else int(np.prod(first.shape[1:])) * first.itemsize
        if self._layout is Layout.COLUMNS:
            return sum(c[:1].nbytes for c in self._columns.values())
        return None


def _columns_of(data: Any) -> dict[str, np.ndarray]:
    """The columns of a mapping or a data frame; empty for other data."""
    if isinstance(data, Mapping):
        columns = {str(name): _to_numpy(values) for name, values in data.items()}
    elif hasattr(data, "columns") and hasattr(data, "iloc"):
        columns = {str(name): _to_numpy(data[name]) for name in data.columns}
    else:
        return {}
    lengths = {name: c.shape[:1] for name, c in columns.items()}
    if not columns or len(set(lengths.values())) > 1 or () in lengths.values():
        listed = ", ".join(f"{name} {columns[name].shape}" for name in columns)
        raise ConfigError(
            "columns must be arrays of one length",
            facts=[("source", listed or "an empty mapping")],
            slug="source-columns",
        )
    return columns


def _layout_of(data: Any, columns: Mapping[str, Any]) -> Layout:
    if columns:
        return Layout.COLUMNS
    if _is_array(data) and len(data.shape) > 0:
        return Layout.ARRAY
    if MemorySource.recognises(data) and not _is_array(data):
        return Layout.RECORDS
    raise ConfigError(
        "this cannot be a source of rows",
        facts=[("got", type(data).__qualname__), ("needs", "a length and an index")],
        tries=[("foretell.stream(iterable, model=…)", "for data without a length")],
        slug="source-live",
    )


def _is_array(data: Any) -> bool:
    return hasattr(data, "shape") and hasattr(data, "dtype")


def _to_numpy(values: Any) -> np.ndarray:
    """``values`` as an array in host memory; tensors give theirs without a copy."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.asarray(values)


def _name(array: np.ndarray) -> str:
    if array.dtype == object and len(array) and all(isinstance(v, str) for v in array.flat):
        return "str"
    return dtype_name(array.dtype)


__all__: Sequence[str] = ("MemoryOptions", "MemorySource")
