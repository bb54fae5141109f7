"""Sets of rows, and where in the spool each row lies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from foretell.store.objects import ObjectStore

from foretell_torch.writer.record import Record
from foretell_torch.writer.segment import Segment
from foretell_torch.writer.spool import read_segments

MISSING, GAP = -1, -2


class RowSet:
    """A growing set of row numbers, a byte each."""

    def __init__(self) -> None:
        self._flags = np.zeros(0, dtype=bool)

    def add(self, rows: np.ndarray) -> None:
        """Add rows, int64."""
        if not len(rows):
            return
        most = int(rows.max()) + 1
        if most > len(self._flags):
            grown = np.zeros(max(most, 2 * len(self._flags)), dtype=bool)
            grown[: len(self._flags)] = self._flags
            self._flags = grown
        self._flags[rows] = True

    def holds(self, rows: np.ndarray) -> np.ndarray:
        """bool, one for each of ``rows``."""
        found = np.zeros(len(rows), dtype=bool)
        known = rows < len(self._flags)
        found[known] = self._flags[rows[known]]
        return found

    def missing(self, n: int) -> np.ndarray:
        """int64: rows below ``n`` that are not in the set, ascending."""
        return np.flatnonzero(~self.holds(np.arange(n, dtype=np.int64)))

    def __len__(self) -> int:
        return int(np.count_nonzero(self._flags))


@dataclass(slots=True)
class Stored:
    """What is stored already, as one rank needs to know it.

    Attributes:
        everything: The predictions are complete.
        sets: By loader, or by (loader, rank) where rows are counted: rows stored.
        files: Names of the files of predictions there are.
    """

    everything: bool = False
    sets: dict[tuple[int, int], RowSet] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)

    def of(self, loader: int, rank: int, counted: bool) -> RowSet:
        """The rows of a loader; those of one rank where rows are counted."""
        return self.sets.setdefault((loader, rank if counted else -1), RowSet())


def stored_rows(objects: ObjectStore, folder: str, record: Record | None) -> Stored:
    """What the segments of all ranks hold. Reads them."""
    found = Stored(everything=record is not None and record.complete)
    if record is None or found.everything:
        return found
    for _, segment in read_segments(objects, folder):
        counted = record.loaders[segment.loader].identity == "count"
        rows = found.of(segment.loader, segment.rank, counted)
        rows.add(segment.rows)
        rows.add(segment.gaps)
        found.files |= {name for name, _ in segment.files}
    return found


@dataclass(frozen=True, slots=True)
class Places:
    """Where the rows of one loader lie, in input order.

    Attributes:
        segment: int32 ``(rows,)``: position of the segment among all, -1 missing, -2 predicted to
            be None.
        offset: int32 ``(rows,)``: position of the row in it.
        rank: int32 ``(rows,)``: who predicted it; only where rows are counted.
        number: int64 ``(rows,)``: what that rank counted; only where rows are counted.
    """

    segment: np.ndarray
    offset: np.ndarray
    rank: np.ndarray | None = None
    number: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.segment)


def places_by_index(segments: Sequence[tuple[int, Segment]], n_rows: int) -> Places:
    """Places of rows that have an index. Of a row stored twice the first counts.

    Args:
        segments: (position among all segments, segment) of the loader, by rank.
        n_rows: Rows of the dataset.
    """
    segment = np.full(n_rows, MISSING, dtype=np.int32)
    offset = np.zeros(n_rows, dtype=np.int32)
    for _, part in segments:
        segment[part.gaps] = GAP
    for position, part in reversed(segments):
        segment[part.rows[::-1]] = position
        offset[part.rows[::-1]] = np.arange(len(part.rows), dtype=np.int32)[::-1]
    return Places(segment, offset)


def places_by_count(
    segments: Sequence[tuple[int, Segment]], ranks: int, order: str
) -> tuple[Places, tuple[int, ...]]:
    """Places of rows that every rank counted for itself, in the declared order.

    Args:
        segments: (position among all segments, segment) of the loader, by rank.
        ranks: Processes of the Trainer.
        order: ``rank`` or ``turns``.

    Returns:
        The places, and how many rows each rank has.
    """
    counts = [0] * ranks
    for _, part in segments:
        seen = np.concatenate([part.rows, part.gaps])
        counts[part.rank] = max(counts[part.rank], int(seen.max()) + 1 if len(seen) else 0)
    each = [
        places_by_index([pair for pair in segments if pair[1].rank == rank], count)
        for rank, count in enumerate(counts)
    ]
    rank = np.repeat(np.arange(ranks, dtype=np.int32), counts)
    number = _joined([np.arange(count, dtype=np.int64) for count in counts], np.int64)
    segment = _joined([places.segment for places in each], np.int32)
    offset = _joined([places.offset for places in each], np.int32)
    if order == "turns":
        by_turns = np.lexsort((rank, number))
        segment, offset, rank, number = (a[by_turns] for a in (segment, offset, rank, number))
    return Places(segment, offset, rank, number), tuple(counts)


def _joined(parts: Iterable[np.ndarray], dtype: type) -> np.ndarray:
    found = list(parts)
    return np.concatenate(found) if found else np.zeros(0, dtype)
