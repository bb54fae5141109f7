"""Sets of rows: which are stored already."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from foretell.store.objects import ObjectStore

from foretell_torch.writer.places import Rows, as_numbers
from foretell_torch.writer.record import Record
from foretell_torch.writer.runstore import committed
from foretell_torch.writer.spool import read_segments

_LEAST_FLAGS = 65_536


class RowSet:
    """A growing set of row numbers: a byte for each beyond the first that is missing."""

    def __init__(self) -> None:
        self._base = 0
        """All rows before it are in the set."""
        self._flags = np.zeros(0, dtype=bool)
        """One for each row from there on."""
        self._ahead = False
        """Whether one of them may be set."""

    def fresh(self, rows: Rows) -> np.ndarray | None:
        """Add rows; bool, whether each was missing, or None when all were."""
        if not len(rows):
            return None
        if isinstance(rows, range):
            if rows.start == self._base and rows.step == 1 and not self._ahead:
                self._base = rows.stop
                return None
            rows = as_numbers(rows)
        at = rows - self._base if self._base else rows
        if at.min() >= 0:
            try:
                held = self._flags[at]
            except IndexError:
                return self._grown(rows)
            if not held.any():
                self._flags[at] = self._ahead = True
                return None
        new = ~self.holds(rows)
        self.add(rows[new])
        return new

    def add(self, rows: Rows) -> None:
        """Add rows."""
        rows = as_numbers(rows)
        rows = rows[rows >= self._base]
        if not len(rows):
            return
        if int(rows.max()) - self._base >= len(self._flags):
            self._make_room(int(rows.max()) + 1)
            rows = rows[rows >= self._base]
        self._flags[rows - self._base] = self._ahead = True

    def holds(self, rows: np.ndarray) -> np.ndarray:
        """bool, one for each of ``rows``."""
        at = rows - self._base
        found = at < 0
        known = (at >= 0) & (at < len(self._flags))
        found[known] = self._flags[at[known]]
        return found

    def missing(self, n: int) -> np.ndarray:
        """int64: rows below ``n`` that are not in the set, ascending."""
        start = min(self._base, n)
        return np.flatnonzero(~self.holds(np.arange(start, n, dtype=np.int64))) + start

    def __len__(self) -> int:
        return self._base + int(np.count_nonzero(self._flags))

    def _grown(self, rows: np.ndarray) -> np.ndarray | None:
        self._make_room(int(rows.max()) + 1)
        return self.fresh(rows)

    def _make_room(self, stop: int) -> None:
        """Have a flag for every row below ``stop``, and none for the rows that all are there."""
        missing = np.flatnonzero(~self._flags)
        done = int(missing[0]) if len(missing) else len(self._flags)
        kept = self._flags[done:]
        self._base += done
        room = max(stop - self._base, 2 * len(kept), _LEAST_FLAGS)
        self._flags = np.zeros(room, dtype=bool)
        self._flags[: len(kept)] = kept
        self._ahead = bool(kept.any())


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
        key = (loader, rank if counted else -1)
        found = self.sets.get(key)
        if found is None:
            found = self.sets[key] = RowSet()
        return found

    def missing(self, loader: int, n_rows: int) -> np.ndarray:
        """int64: rows of a loader of ``n_rows`` with an index that are not stored, ascending."""
        if self.everything:
            return np.zeros(0, np.int64)
        return self.of(loader, 0, False).missing(n_rows)


def stored_rows(objects: ObjectStore, folder: str, record: Record | None) -> Stored:
    """What the segments of all ranks hold, and the chunks committed already. Reads the segments."""
    found = Stored(everything=record is not None and record.complete)
    if record is None or found.everything:
        return found
    for _, segment in read_segments(objects, folder):
        counted = record.loaders[segment.loader].identity == "count"
        rows = found.of(segment.loader, segment.rank, counted)
        rows.add(segment.rows)
        rows.add(segment.gaps)
        found.files |= {name for name, _ in segment.files}
    for loader, store in committed(objects, record):
        for chunk in store.chunks:
            found.of(loader, 0, False).add(range(chunk.start, chunk.stop))
    return found
