"""Where in the spool each row lies, in input order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

MISSING, GAP = -1, -2

Rows = range | np.ndarray
"""Identities of rows: int64, or a range where they follow one another."""

_COUNT_AT_ONCE = 2**20


@dataclass(frozen=True, slots=True)
class Part:
    """What one segment holds, its outputs left out.

    Attributes:
        position: Of the segment, among all.
        rank: Who predicted it.
        rows: Identities of its rows in the order they are stored; a range where one can say it.
        gaps: Identities of rows predicted to be None.
    """

    position: int
    rank: int
    rows: Rows
    gaps: Rows


@dataclass(frozen=True, slots=True)
class Window:
    """Places of consecutive rows.

    Attributes:
        segment: int32 ``(n,)``: position of the segment among all, -1 missing, -2 predicted to be
            None.
        offset: int32 ``(n,)``: position of the row in it.
        rank: int32 ``(n,)``: who predicted it; only where rows are counted.
        number: int64 ``(n,)``: what that rank counted; only where rows are counted.
    """

    segment: np.ndarray
    offset: np.ndarray
    rank: np.ndarray | None = None
    number: np.ndarray | None = None


class Places(Protocol):
    """The places of all rows of a loader."""

    def __len__(self) -> int:
        """Rows."""
        ...

    def window(self, start: int, stop: int) -> Window:
        """The places of rows ``start`` to ``stop``, in input order."""
        ...


def count_missing(places: Places) -> int:
    """How many rows nobody predicted."""
    found = 0
    for start in range(0, len(places), _COUNT_AT_ONCE):
        window = places.window(start, min(start + _COUNT_AT_ONCE, len(places)))
        found += int(np.count_nonzero(window.segment == MISSING))
    return found


def as_numbers(rows: Rows) -> np.ndarray:
    """The same, int64 ``(n,)``."""
    if isinstance(rows, range):
        return np.arange(rows.start, rows.stop, rows.step, dtype=np.int64)
    return rows


def as_range(rows: Rows) -> Rows:
    """A range of the same ascending numbers, or the numbers themselves where there is none."""
    if isinstance(rows, range):
        return rows
    if not len(rows):
        return range(0)
    first = int(rows[0])
    step = int(rows[1]) - first if len(rows) > 1 else 1
    if step < 1 or (len(rows) > 2 and not (np.diff(rows) == step).all()):
        return rows
    return range(first, first + step * len(rows), step)


def as_index(at: np.ndarray) -> slice | np.ndarray:
    """The same elements of an array, as a slice where there is one: a view instead of a copy."""
    found = as_range(at)
    return slice(found.start, found.stop, found.step) if isinstance(found, range) else at


def places_by_index(parts: Sequence[Part], n_rows: int) -> Places:
    """Places of rows that have an index. Of a row stored twice the first counts.

    Args:
        parts: The loader's, by rank.
        n_rows: Rows of the dataset.
    """
    places = Runs(parts, n_rows)
    regular = all(isinstance(rows, range) for part in parts for rows in (part.rows, part.gaps))
    return places if regular else Table(places.window(0, n_rows))


def places_by_count(
    parts: Sequence[Part], ranks: int, order: str
) -> tuple[Places, tuple[int, ...]]:
    """Places of rows that every rank counted for itself, in the declared order.

    Args:
        parts: The loader's, by rank.
        ranks: Processes of the Trainer.
        order: ``rank`` or ``turns``.

    Returns:
        The places, and how many rows each rank has.
    """
    counts = [0] * ranks
    for part in parts:
        for rows in (part.rows, part.gaps):
            counts[part.rank] = max(counts[part.rank], _high(rows) + 1)
    each = [
        places_by_index([part for part in parts if part.rank == rank], count)
        for rank, count in enumerate(counts)
    ]
    return Counted(each, order), tuple(counts)


class Table:
    """Places that are all written down: eight bytes a row.

    Args:
        rows: All of them.
    """

    def __init__(self, rows: Window) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows.segment)

    def window(self, start: int, stop: int) -> Window:
        """See :class:`Places`."""
        return Window(self._rows.segment[start:stop], self._rows.offset[start:stop])


class Runs:
    """Places found anew for each window: nothing is kept a row where segments hold ranges.

    Args:
        parts: The loader's, by rank. Of a row stored twice the first counts.
        n_rows: Rows of the dataset.
    """

    def __init__(self, parts: Sequence[Part], n_rows: int) -> None:
        self._parts = parts
        self._n_rows = n_rows
        self._low = np.array([_low(part.rows) for part in parts], np.int64)
        self._high = np.array([_high(part.rows) for part in parts], np.int64)
        self._with_gaps = [part for part in parts if len(part.gaps)]

    def __len__(self) -> int:
        return self._n_rows

    def window(self, start: int, stop: int) -> Window:
        """See :class:`Places`."""
        segment = np.full(stop - start, MISSING, np.int32)
        offset = np.zeros(stop - start, np.int32)
        for part in self._with_gaps:
            target, _ = _within(part.gaps, start, stop)
            segment[target] = GAP
        touched = np.flatnonzero((self._low < stop) & (self._high >= start))
        for at in reversed(touched.tolist()):
            part = self._parts[at]
            target, source = _within(part.rows, start, stop)
            segment[target] = part.position
            offset[target] = source
        return Window(segment, offset)


class Counted:
    """Rows that ranks counted, in one order.

    Args:
        each: Places of each rank's rows.
        order: ``rank`` (all of the first, then all of the second …) or ``turns`` (the first row of
            each, then the second …; who has no more is left out).
    """

    def __init__(self, each: Sequence[Places], order: str) -> None:
        self._each = each
        self._order = order
        self._counts = np.array([len(places) for places in each], np.int64)
        self._ends = np.cumsum(self._counts)
        # In turns: between two of these numbers the same ranks take part.
        self._levels = np.unique(np.concatenate([[0], self._counts]))

    def __len__(self) -> int:
        return int(self._counts.sum())

    def window(self, start: int, stop: int) -> Window:
        """See :class:`Places`."""
        at = np.arange(start, stop, dtype=np.int64)
        rank, number = self._by_rank(at) if self._order == "rank" else self._by_turns(at)
        segment = np.full(len(at), MISSING, np.int32)
        offset = np.zeros(len(at), np.int32)
        for who in np.unique(rank).tolist():
            mine = np.flatnonzero(rank == who)
            first, last = int(number[mine[0]]), int(number[mine[-1]])
            window = self._each[who].window(first, last + 1)
            segment[mine] = window.segment
            offset[mine] = window.offset
        return Window(segment, offset, rank.astype(np.int32), number)

    def _by_rank(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rank = np.searchsorted(self._ends, at, side="right")
        return rank, at - (self._ends - self._counts)[rank]

    def _by_turns(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rank, number = np.zeros_like(at), np.zeros_like(at)
        begin = 0
        for low, high in zip(self._levels[:-1].tolist(), self._levels[1:].tolist(), strict=True):
            taking_part = np.flatnonzero(self._counts > low)
            end = begin + (high - low) * len(taking_part)
            inside = (at >= begin) & (at < end)
            turn, turn_of = np.divmod(at[inside] - begin, len(taking_part))
            rank[inside], number[inside] = taking_part[turn_of], low + turn
            begin = end
        return rank, number


def _within(rows: Rows, start: int, stop: int) -> tuple[slice | np.ndarray, np.ndarray]:
    """Rows in a window: where in the window each is, and where among ``rows``.

    Of equal rows the first comes last, so that it counts in an assignment.
    """
    if isinstance(rows, range):
        first = max(0, -(-(start - rows.start) // rows.step))
        last = max(first, min(len(rows), -(-(stop - rows.start) // rows.step)))
        begin = rows.start + first * rows.step - start
        target = slice(begin, begin + (last - first) * rows.step, rows.step)
        return target, np.arange(first, last, dtype=np.int32)
    found = np.flatnonzero((rows >= start) & (rows < stop))[::-1]
    return rows[found] - start, found


def _low(rows: Rows) -> int:
    return 0 if not len(rows) else rows.start if isinstance(rows, range) else int(rows.min())


def _high(rows: Rows) -> int:
    return -1 if not len(rows) else rows[-1] if isinstance(rows, range) else int(rows.max())
