"""How far the predictions of two runs are apart, on rows that both have."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from foretell.store.reader import OutputReader, RunReader
from foretell.types import ChunkState, OutputSpec, Valid

SEED = 0
_OBJECTS = ("str", "json")


@dataclass(frozen=True, slots=True)
class ValueDifference:
    """One output of both runs on the sampled rows.

    Two NaNs are equal; a NaN against a number is different, and so is an infinity against anything
    else: both count as different and stay out of the distances.

    Attributes:
        output: Its name.
        rows: Rows compared: predicted in both runs.
        rows_unlike: Rows that only one of the runs predicted.
        values: Values compared.
        equal: Those that are equal.
        nan_unlike: Those where one run has a NaN or an infinity and the other has not the same.
        largest: Largest distance of two finite numbers; None for text and where there are none.
        mean: Mean distance of finite numbers; None likewise.
        note: Why the output was not compared; empty when it was.
    """

    output: str
    rows: int = 0
    rows_unlike: int = 0
    values: int = 0
    equal: int = 0
    nan_unlike: int = 0
    largest: float | None = None
    mean: float | None = None
    note: str = ""

    @property
    def share(self) -> float:
        """Share of the values that are equal, 0..1; 1 for no values."""
        return self.equal / self.values if self.values else 1.0

    @property
    def same(self) -> bool:
        """Whether nothing that was compared differs."""
        return not self.note and self.equal == self.values and not self.rows_unlike


def common_chunks(a: RunReader, b: RunReader) -> np.ndarray:
    """int64 ids of the chunks of ``a`` that are done and whose rows are done in ``b``."""
    if not a.plan.n_chunks or not b.plan.n_chunks:
        return np.zeros(0, np.int64)
    starts = np.arange(a.plan.n_chunks, dtype=np.int64) * a.plan.chunk_rows
    stops = np.minimum(starts + a.plan.chunk_rows, a.plan.n_rows)
    shift = a.plan.row_offset - b.plan.row_offset
    inside = (starts + shift >= 0) & (stops + shift <= b.plan.n_rows)
    done = np.concatenate(([0], np.cumsum(b.states == ChunkState.DONE)))
    first = np.clip((starts + shift) // b.plan.chunk_rows, 0, b.plan.n_chunks)
    last = np.clip((stops + shift - 1) // b.plan.chunk_rows + 1, first, b.plan.n_chunks)
    whole = done[last] - done[first] == last - first
    found: np.ndarray = np.flatnonzero((a.states == ChunkState.DONE) & inside & whole)
    return found


def sample(chunks: np.ndarray, count: int, seed: int = SEED) -> tuple[int, ...]:
    """So many of the chunks, the same ones every time, ascending."""
    known = chunks.tolist()
    return tuple(sorted(random.Random(seed).sample(known, min(count, len(known)))))


def compare_values(a: RunReader, b: RunReader, chunks: Iterable[int]) -> list[ValueDifference]:
    """How far every output that both runs have is apart on these chunks of ``a``.

    Raises:
        StoreError: a chunk cannot be read.
    """
    ids = list(chunks)
    return [_compare(a[name], b[name], a, b, ids) for name in a.names if name in b]


def _compare(
    one: OutputReader, other: OutputReader, a: RunReader, b: RunReader, chunks: list[int]
) -> ValueDifference:
    if reason := _unlike(one.spec, other.spec):
        return ValueDifference(one.name, note=reason)
    return _added(one.name, [_chunk(one, other, a, b, chunk) for chunk in chunks])


def _unlike(one: OutputSpec, other: OutputSpec) -> str:
    objects = [spec.dtype in _OBJECTS for spec in (one, other)]
    if one.shape != other.shape or objects[0] != objects[1]:
        return f"{one.describe()} against {other.describe()}"
    return ""


@dataclass(slots=True)
class _Part:
    """What one chunk adds."""

    rows: int
    rows_unlike: int
    values: int
    equal: int
    nan_unlike: int = 0
    distances: int = 0
    largest: float = 0.0
    total: float = 0.0


def _chunk(one: OutputReader, other: OutputReader, a: RunReader, b: RunReader, chunk: int) -> _Part:
    rows = a.plan.chunk(chunk)
    shift = a.plan.row_offset - b.plan.row_offset
    here, there = slice(rows.start, rows.stop), slice(rows.start + shift, rows.stop + shift)
    valid = [reader.valid[part] == int(Valid.PREDICTED) for reader, part in ((a, here), (b, there))]
    both = valid[0] & valid[1]
    unlike = int((valid[0] != valid[1]).sum())
    return difference(one[here][both], other[there][both], unlike)


def difference(one: np.ndarray, other: np.ndarray, rows_unlike: int = 0) -> _Part:
    """What two arrays of one shape have in common."""
    if one.dtype.kind not in "biufc" or other.dtype.kind not in "biufc":
        pairs = zip(one.reshape(-1).tolist(), other.reshape(-1).tolist(), strict=True)
        same = sum(_same(x, y) for x, y in pairs)
        return _Part(len(one), rows_unlike, one.size, same)
    with np.errstate(all="ignore"):
        equal = one == other
        finite = np.isfinite(one) & np.isfinite(other)
        both_nan = np.isnan(one) & np.isnan(other) if _floats(one, other) else ~finite & False
        distances = np.abs(_wide(one)[finite] - _wide(other)[finite])
        total = float(distances.sum())
    equal |= both_nan
    return _Part(
        rows=len(one),
        rows_unlike=rows_unlike,
        values=one.size,
        equal=int(equal.sum()),
        nan_unlike=int((~finite & ~equal).sum()),
        distances=len(distances),
        largest=float(distances.max(initial=0.0)),
        total=total,
    )


def _floats(*arrays: np.ndarray) -> bool:
    return all(array.dtype.kind in "fc" for array in arrays)


def _wide(values: np.ndarray) -> np.ndarray:
    wide: np.ndarray = values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)
    return wide


def _same(one: object, other: object) -> bool:
    return bool(one == other) or (one != one and other != other)


def _added(name: str, parts: list[_Part]) -> ValueDifference:
    distances = sum(part.distances for part in parts)
    return ValueDifference(
        name,
        rows=sum(part.rows for part in parts),
        rows_unlike=sum(part.rows_unlike for part in parts),
        values=sum(part.values for part in parts),
        equal=sum(part.equal for part in parts),
        nan_unlike=sum(part.nan_unlike for part in parts),
        largest=max(part.largest for part in parts) if distances else None,
        mean=sum(part.total for part in parts) / distances if distances else None,
    )
