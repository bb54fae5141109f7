"""Many chunks in few cells, so that one failed chunk in a million is still seen."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from foretell.types import ChunkState


class Mark(enum.IntEnum):
    """What a cell shows: the worst that is in it, in this order."""

    PENDING = 0
    PARTLY = 1
    DONE = 2
    RUNNING = 3
    RETRYING = 4
    QUARANTINED = 5
    DAMAGED = 6
    FAILED = 7


_RANK = np.zeros(len(ChunkState), np.uint8)
for _state in ChunkState:
    if _state not in (ChunkState.PENDING, ChunkState.DONE):
        _RANK[_state] = Mark[_state.name]


@dataclass(frozen=True, slots=True)
class ChunkMap:
    """Cells in the order of chunk ids.

    Attributes:
        marks: uint8 ``(cells,)``, :class:`Mark`.
        done: float64 ``(cells,)``, share of the cell's chunks that are done.
        chunks: Chunks there are.
    """

    marks: np.ndarray
    done: np.ndarray
    chunks: int

    @property
    def per_cell(self) -> int:
        """Chunks of the largest cell."""
        return -(-self.chunks // len(self.marks)) if len(self.marks) else 0

    def first(self, cell: int) -> int:
        """Id of the first chunk of a cell; of the first after the last for the number of cells."""
        return cell * self.chunks // len(self.marks) if len(self.marks) else 0


def map_of(state: np.ndarray, most: int, quarantined: np.ndarray | None = None) -> ChunkMap:
    """The states of all chunks in at most so many cells; each chunk is in exactly one.

    Args:
        state: uint8 ``(chunks,)``, :class:`~foretell.types.ChunkState`.
        most: Cells there are.
        quarantined: Rows without a prediction ``(chunks,)``: done chunks that have some are shown
            like quarantined ones, so that a map of a partial run is never all green.
    """
    count = min(len(state), most)
    if not count:
        return ChunkMap(np.zeros(0, np.uint8), np.zeros(0), 0)
    edges = np.arange(count, dtype=np.int64) * len(state) // count
    sizes = np.diff(np.append(edges, len(state)))
    rank = _RANK[state]
    if quarantined is not None:
        rank[(state == ChunkState.DONE) & (quarantined > 0)] = Mark.QUARANTINED
    worst = np.maximum.reduceat(rank, edges)
    done = np.add.reduceat((state == ChunkState.DONE).astype(np.int64), edges)
    marks = np.where(done == sizes, Mark.DONE, np.where(done > 0, Mark.PARTLY, Mark.PENDING))
    marks = np.where(worst >= Mark.RUNNING, worst, marks).astype(np.uint8)
    return ChunkMap(marks, done / sizes, len(state))
