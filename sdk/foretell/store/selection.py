"""Which chunks an index touches, and where their rows go: NumPy's indexing on axis 0."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Where: TypeAlias = "slice | np.ndarray[Any, np.dtype[Any]]"


@dataclass(frozen=True, slots=True)
class Piece:
    """What one chunk contributes.

    Attributes:
        chunk: Chunk id.
        local: Rows of the chunk, counted from its first.
        target: Where they go in the result.
    """

    chunk: int
    local: Where
    target: Where


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows picked from a run, resolved against its length.

    Attributes:
        rows: A slice with positive step and explicit ends, or an int64 array of rows.
        length: Rows in the result.
        reverse: Whether the result is to be turned round at the end.
        scalar: Whether a single integer picked one row, whose axis then disappears.
        rest: The index of the other axes.
    """

    rows: Where
    length: int
    reverse: bool
    scalar: bool
    rest: tuple[Any, ...]

    def pieces(self, chunk_rows: int) -> Iterator[Piece]:
        """One piece for each chunk that is needed, in ascending order of chunks."""
        if self.length == 0:
            return
        if isinstance(self.rows, slice):
            yield from _slice_pieces(self.rows, chunk_rows)
            return
        chunks = self.rows // chunk_rows
        order = np.argsort(chunks, kind="stable")
        ids, firsts = np.unique(chunks[order], return_index=True)
        for chunk, target in zip(ids.tolist(), np.split(order, firsts[1:]), strict=True):
            yield Piece(chunk, self.rows[target] - chunk * chunk_rows, target)

    def finish(self, values: np.ndarray) -> np.ndarray:
        """The gathered rows as the index asked for them."""
        if self.scalar:
            picked: np.ndarray = values[(0, *self.rest)]
            return picked
        if self.reverse:
            values = values[::-1]
        return values[(slice(None), *self.rest)] if self.rest else values


def _slice_pieces(rows: slice, chunk_rows: int) -> Iterator[Piece]:
    start, stop, step = rows.start, rows.stop, rows.step
    for chunk in range(start // chunk_rows, (stop - 1) // chunk_rows + 1):
        base = chunk * chunk_rows
        skipped = max(0, -(-(base - start) // step))
        first = start + skipped * step
        end = min(stop, base + chunk_rows)
        if first < end:
            count = -(-(end - first) // step)
            local = slice(first - base, end - base, step)
            yield Piece(chunk, local, slice(skipped, skipped + count))


def select(key: Any, length: int, ndim: int) -> Selection:
    """Resolve an index as NumPy would, for an array of ``length`` rows and ``ndim`` axes.

    Raises:
        IndexError: out of bounds, or a kind of index that is not supported.
    """
    rows, rest = _split(key, ndim)
    if isinstance(rows, slice):
        return _from_slice(rows, length, rest)
    if isinstance(rows, list | np.ndarray):
        return _from_array(np.asarray(rows), length, rest)
    try:
        row = operator.index(rows)
    except TypeError:
        raise IndexError("rows are picked by integers, slices, or arrays of them") from None
    return Selection(_wrapped(np.array([row]), length), 1, False, True, rest)


def _split(key: Any, ndim: int) -> tuple[Any, tuple[Any, ...]]:
    parts = key if isinstance(key, tuple) else (key,)
    ellipses = [at for at, part in enumerate(parts) if part is Ellipsis]
    if len(ellipses) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    real = sum(part is not None and part is not Ellipsis for part in parts)
    if real > ndim:
        raise IndexError(f"too many indices: {real} for {ndim} dimensions")
    if ellipses:
        at = ellipses[0]
        parts = (*parts[:at], *[slice(None)] * (ndim - real), *parts[at + 1 :])
    if not parts:
        return slice(None), ()
    return parts[0], tuple(parts[1:])


def _from_slice(rows: slice, length: int, rest: tuple[Any, ...]) -> Selection:
    found = range(length)[rows]
    count = len(found)
    if count == 0:
        return Selection(slice(0, 0, 1), 0, False, False, rest)
    first, last = sorted((found[0], found[-1]))
    picked = slice(first, last + 1, abs(found.step))
    return Selection(picked, count, found.step < 0, False, rest)


def _from_array(rows: np.ndarray, length: int, rest: tuple[Any, ...]) -> Selection:
    if any(isinstance(part, list | np.ndarray) for part in rest):
        raise IndexError("only one axis at a time can be indexed by an array")
    if rows.ndim != 1:
        raise IndexError(f"an array that picks rows has one dimension, not {rows.ndim}")
    if rows.dtype == bool:
        if len(rows) != length:
            raise IndexError(f"a mask of {len(rows)} rows for {length} rows")
        rows = np.flatnonzero(rows)
    if len(rows) and rows.dtype.kind not in "iu":
        raise IndexError("rows are picked by integers, slices, or arrays of them")
    picked = _wrapped(rows, length)
    return Selection(picked, len(picked), False, False, rest)


def _wrapped(rows: np.ndarray, length: int) -> np.ndarray:
    rows = rows.astype(np.int64)
    outside = (rows < -length) | (rows >= length)
    if outside.any():
        raise IndexError(f"row {rows[outside][0]} is out of bounds for {length} rows")
    return np.where(rows < 0, rows + length, rows)
