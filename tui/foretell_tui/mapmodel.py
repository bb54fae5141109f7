"""The chunk map: which chunks a cell stands for, and what a cell shows. Arithmetic only.

A view of the map is a range of positions cut into cells by whole numbers: cell ``c`` of ``m`` holds
the positions from ``c * n // m`` to ``(c + 1) * n // m``, so every position is in exactly one cell
and the cells do not move while a run lives. The worst state of a cell wins: one failed chunk in a
million is seen at every zoom.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from foretell.types import ChunkState

from foretell_tui.look import PARTLY, PRIORITY

Ints = np.ndarray[Any, np.dtype[Any]]

ZOOM = 64
"""How much one step of the zoom shows larger, at most."""

RANKS = np.array(PRIORITY, dtype=np.uint8)
"""Rank of each state by code: the highest of a cell is shown."""

_BY_RANK = np.zeros(256, dtype=np.uint8)
_BY_RANK[RANKS] = np.arange(len(PRIORITY), dtype=np.uint8)
_DONE_RANK = PRIORITY[ChunkState.DONE]


@dataclass(frozen=True, slots=True)
class Cells:
    """Positions ``start`` to ``stop`` in ``count`` cells, none of them empty."""

    start: int
    stop: int
    count: int

    @classmethod
    def of(cls, start: int, stop: int, room: int) -> Cells:
        """As many cells as there is room for, and no more than positions."""
        return cls(start, stop, max(1, min(room, stop - start)) if stop > start else 0)

    @property
    def size(self) -> int:
        """Positions in all."""
        return self.stop - self.start

    @property
    def per_cell(self) -> int:
        """Positions of the largest cell."""
        return -(-self.size // self.count) if self.count else 0

    def first(self, cell: int) -> int:
        """First position of a cell."""
        return self.start + cell * self.size // self.count

    def range(self, cell: int) -> tuple[int, int]:
        """Positions of a cell: first, and one after the last."""
        return self.first(cell), self.first(cell + 1)

    def starts(self) -> Ints:
        """int64 ``(count,)``: first position of every cell, counted from ``start``."""
        return np.arange(self.count, dtype=np.int64) * self.size // max(1, self.count)

    def cell(self, position: int) -> int:
        """The cell that holds a position."""
        return ((position - self.start + 1) * self.count - 1) // self.size

    def cells(self, positions: Ints) -> Ints:
        """The cells of positions that lie inside; int64, distinct, ascending."""
        inside = positions[(positions >= self.start) & (positions < self.stop)] - self.start
        if not len(inside):
            return np.zeros(0, dtype=np.int64)
        return np.unique(((inside.astype(np.int64) + 1) * self.count - 1) // self.size)


class CellMap:
    """What every cell of one view shows, kept up to date.

    Args:
        cells: The view.
        codes: uint8 ``(n,)``, shown state of every chunk.
        order: Chunk at each position; None where position and chunk are the same.

    Attributes:
        state: uint8 ``(count,)``: a state's code, or ``PARTLY``.
        share: uint8 ``(count,)``: per cent of the cell's chunks that are done.
    """

    def __init__(self, cells: Cells, codes: Ints, order: Ints | None = None) -> None:
        self.cells = cells
        self._order = order
        self._place = None if order is None else _inverse(order)
        self.state = np.zeros(cells.count, dtype=np.uint8)
        self.share = np.zeros(cells.count, dtype=np.uint8)
        self.refill(codes)

    def refill(self, codes: Ints) -> None:
        """Work out every cell."""
        cells = self.cells
        if not cells.count:
            return
        span = self._span(codes, cells.start, cells.stop)
        starts = cells.starts()
        worst = np.maximum.reduceat(RANKS[span], starts)
        done = np.add.reduceat((span == ChunkState.DONE).astype(np.int64), starts)
        sizes = np.diff(np.append(starts, cells.size))
        self.state, self.share = _shown(worst, done, sizes)

    def update(self, codes: Ints, changed: Ints) -> Ints:
        """Work out the cells of chunks that changed; returns which those were."""
        cells = self.cells
        places = changed if self._place is None else self._place[changed]
        touched = cells.cells(places)
        if len(touched) * 4 > cells.count or len(touched) * cells.per_cell > 200_000:
            self.refill(codes)
            return touched
        for cell in touched.tolist():
            span = self._span(codes, *cells.range(cell))
            done = np.array([np.count_nonzero(span == ChunkState.DONE)])
            state, share = _shown(np.array([RANKS[span].max()]), done, np.array([len(span)]))
            self.state[cell], self.share[cell] = state[0], share[0]
        return touched

    def chunk(self, position: int) -> int:
        """The chunk at a position."""
        return position if self._order is None else int(self._order[position])

    def position(self, chunk: int) -> int:
        """Where a chunk is."""
        return chunk if self._place is None else int(self._place[chunk])

    def _span(self, codes: Ints, start: int, stop: int) -> Ints:
        return codes[start:stop] if self._order is None else codes[self._order[start:stop]]


def shown(worst: Ints) -> Ints:
    """uint8: the states that ranks stand for, see ``PRIORITY``."""
    return _BY_RANK[worst]


def _shown(worst: Ints, done: Ints, sizes: Ints) -> tuple[Ints, Ints]:
    state = _BY_RANK[worst]
    partly = (worst <= _DONE_RANK) & (done > 0) & (done < sizes)
    state[partly] = PARTLY
    return state, (done * 100 // sizes).astype(np.uint8)


def _inverse(order: Ints) -> Ints:
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order), dtype=np.int64)
    return place


@dataclass(frozen=True, slots=True)
class Zoom:
    """One step of the path into the map.

    Attributes:
        start, stop: Positions shown.
        level: 1 for the whole run.
        levels: Steps until every chunk has a cell of its own.
    """

    start: int
    stop: int
    level: int
    levels: int

    @classmethod
    def whole(cls, n_chunks: int, room: int) -> Zoom:
        """The view of everything."""
        return cls(0, n_chunks, 1, levels(n_chunks, room))

    def into(self, position: int, n_chunks: int, room: int) -> Zoom:
        """One step in, around a position; the same view at the last step."""
        if self.level >= self.levels:
            return self
        level = self.level + 1
        span = span_at(n_chunks, room, level, self.levels)
        start = min(max(0, position - span // 2), n_chunks - span)
        return Zoom(start, start + span, level, self.levels)


def levels(n_chunks: int, room: int) -> int:
    """Steps of the zoom from the whole run to single chunks, for ``room`` cells."""
    room = max(1, room)
    if n_chunks <= room:
        return 1
    return 1 + max(1, math.ceil(math.log(n_chunks / room) / math.log(ZOOM)))


def span_at(n_chunks: int, room: int, level: int, last: int) -> int:
    """Positions shown at a step: all at the first, one for each cell at the last."""
    if level <= 1 or last <= 1:
        return n_chunks
    if level >= last:
        return min(n_chunks, max(1, room))
    share: float = (max(1, room) / n_chunks) ** ((level - 1) / (last - 1))
    return max(1, min(n_chunks, round(n_chunks * share)))


def shown_codes(state: Ints, quarantined: Ints) -> Ints:
    """uint8 ``(n,)``: the states as shown: done chunks with lost rows stand out."""
    from foretell_tui.look import HOLES

    codes = state.astype(np.uint8, copy=True)
    codes[(state == ChunkState.DONE) & (quarantined > 0)] = HOLES
    return codes


def next_bad(codes: Ints, order: Ints | None, position: int, step: int) -> int | None:
    """Position of the next chunk (the one before, for ``step`` -1) that lost something.

    Goes around at the ends; None where no chunk did.
    """
    bad = RANKS[codes] >= PRIORITY[7]
    places = np.flatnonzero(bad if order is None else bad[order])
    if not len(places):
        return None
    if step > 0:
        later = places[places > position]
        return int(later[0] if len(later) else places[0])
    earlier = places[places < position]
    return int(earlier[-1] if len(earlier) else places[-1])
