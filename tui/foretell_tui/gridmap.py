"""The chunk map laid out as the source's rows are: a grid, its last two axes the picture.

A cell stands for a patch of the grid; it shows the worst of all chunks that hold a row of it, over
all other axes. So one sees where in a volume or on a map something failed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from foretell.types import ChunkState

from foretell_tui.look import PARTLY, PRIORITY
from foretell_tui.mapmodel import RANKS, CellMap, Cells, Ints, shown

MOST = 4_000_000
"""Stretches of rows of a picture that are worked out; larger grids are not shown so."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A source whose rows are a grid.

    Attributes:
        shape: Extents, the last one runs fastest.
        chunk_rows: Rows of a chunk.
        n_rows: Rows of the run.
        offset: Grid index of the run's row 0.
    """

    shape: tuple[int, ...]
    chunk_rows: int
    n_rows: int
    offset: int = 0

    @property
    def picture(self) -> tuple[int, int]:
        """Extents of the two axes that are shown."""
        return (self.shape[-2] if len(self.shape) > 1 else 1, self.shape[-1])

    @property
    def layers(self) -> int:
        """Pictures that lie on top of each other."""
        return int(np.prod(self.shape[:-2], dtype=np.int64)) if len(self.shape) > 2 else 1

    def columns(self, width: int) -> int:
        """Cells of a line."""
        return max(1, min(width, self.picture[1]))

    def lines(self, height: int) -> int:
        """Lines of cells."""
        return max(1, min(height, self.picture[0]))

    def fits(self, width: int) -> bool:
        """Whether the picture can be worked out in time."""
        return self.layers * self.picture[0] * self.columns(width) <= MOST


class GridMap(CellMap):
    """The picture of a grid.

    Args:
        grid: Of the source.
        width, height: Cells there is room for.
        codes: uint8 ``(n,)``, shown state of every chunk.

    Attributes:
        columns: Cells of a line.
    """

    def __init__(self, grid: Grid, width: int, height: int, codes: Ints) -> None:
        self.grid = grid
        self.columns, self.lines = grid.columns(width), grid.lines(height)
        self._first, self._stop = self._stretches(len(codes))
        super().__init__(Cells(0, len(codes), self.columns * self.lines), codes)

    def _stretches(self, n_chunks: int) -> tuple[Ints, Ints]:
        """int64 ``(layers, y, columns)``: chunks of each stretch of rows, first and one after last.

        A stretch without a row of the run has no chunk: first is stop.
        """
        height, width = self.grid.picture
        x = np.arange(self.columns + 1, dtype=np.int64) * width // self.columns
        lead = np.arange(self.grid.layers * height, dtype=np.int64) * width - self.grid.offset
        shape = (self.grid.layers, height, self.columns)
        first = (lead[:, None] + x[None, :-1]).reshape(shape)
        stop = (lead[:, None] + x[None, 1:]).reshape(shape)
        first, stop = np.clip(first, 0, self.grid.n_rows), np.clip(stop, 0, self.grid.n_rows)
        rows = self.grid.chunk_rows
        last = -(-stop // rows)
        return np.where(stop > first, first // rows, last), np.minimum(last, n_chunks)

    def refill(self, codes: Ints) -> None:
        done = codes == ChunkState.DONE
        worst = self._most(RANKS[codes])
        held = worst >= 0
        all_done = self._most(np.where(done, 0, 1).astype(np.uint8)) == 0
        any_done = self._most(done.astype(np.uint8)) == 1
        state = shown(np.where(held, worst, 0))
        plain = np.isin(state, (ChunkState.PENDING, ChunkState.DONE))
        state[plain & any_done & ~all_done] = PARTLY
        state[~held] = NO_CELL
        self.state = state.reshape(-1)
        self.share = np.where(all_done, 100, np.where(any_done, 50, 0)).astype(np.uint8).reshape(-1)

    def update(self, codes: Ints, changed: Ints) -> Ints:
        self.refill(codes)
        return np.arange(self.cells.count)

    def _most(self, values: Ints) -> Ints:
        """int64 ``(lines, columns)``: the greatest value of each cell, -1 where it holds no row."""
        padded = np.append(values.astype(np.int64), -1)
        ends = np.stack([self._first, self._stop], axis=-1).reshape(-1)
        found = np.maximum.reduceat(padded, ends)[::2].reshape(self._first.shape)
        found = np.where(self._stop > self._first, found, -1)
        height = self.grid.picture[0]
        starts = np.arange(self.lines, dtype=np.int64) * height // self.lines
        return np.maximum.reduceat(found.max(axis=0), starts, axis=0)

    def cell_of(self, chunk: int) -> int:
        """The cell of a chunk's first row."""
        height, width = self.grid.picture
        row = chunk * self.grid.chunk_rows + self.grid.offset
        y, x = (row // width) % height, row % width
        line = ((y + 1) * self.lines - 1) // height
        return line * self.columns + ((x + 1) * self.columns - 1) // width

    def chunk_at(self, cell: int) -> int:
        """The first chunk of a cell."""
        height, width = self.grid.picture
        line, column = divmod(cell, self.columns)
        row = (line * height // self.lines) * width + column * width // self.columns
        row = min(max(0, row - self.grid.offset), max(0, self.grid.n_rows - 1))
        return row // self.grid.chunk_rows


NO_CELL = 255
"""Shown where a patch of the grid holds no row of the run."""

assert max(PRIORITY) < NO_CELL
