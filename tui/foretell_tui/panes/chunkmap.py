"""The chunk map: every chunk of the run on one picture, the worst of a cell in front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from foretell_tui import mapmodel, words
from foretell_tui.desk import Desk, Effect
from foretell_tui.gridmap import Grid, GridMap
from foretell_tui.line import Line
from foretell_tui.look import state_role, told
from foretell_tui.mapmodel import CellMap, Cells, Zoom
from foretell_tui.panes import mapdrawing
from foretell_tui.panes.base import Pane

ORDERS = ("linear", "grid", "time", "worker")
FEW = 40
"""Chunks up to which each has a line of its own."""


class ChunkMap(Pane):
    """The map with its cursor, zoom and orders."""

    name: ClassVar[str] = "map"
    acts: ClassVar[tuple[str, ...]] = (
        "up", "down", "left", "right", "page_up", "page_down", "home", "end",
        "zoom_in", "zoom_out", "order", "next_hit", "previous_hit", "open", "copy",
    )  # fmt: skip

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.path: list[Zoom] = []
        self._cells: CellMap | None = None
        self._drawn: np.ndarray | None = None
        self._cursor = 0
        self._key: tuple[Cells, str] | None = None
        self._drawn_at = -1
        self._room = (0, 0)

    # --- what is shown ------------------------------------------------------------------------

    @property
    def title(self) -> str:
        order = self.desk.order
        n = self.desk.view.n_chunks
        if not self.path or n == 0:
            return f"Chunk map  {order}"
        zoom, per = self.path[-1], Cells.of(*self._span, self._capacity).per_cell
        if (grid := self._grid()) is not None:
            lines, columns = grid.picture
            deep = f", {grid.layers:,} layers" if grid.layers > 1 else ""
            return f"Chunk map  grid  {lines:,} x {columns:,} {self.desk.view.unit}{deep}"
        unit = "chunk" if per == 1 else "chunks"
        text = f"Chunk map  {order}  1 cell = {per:,} {unit}  zoom {zoom.level}/{zoom.levels}"
        if zoom.level > 1 and order == "linear":
            text += f"  {zoom.start:,}..{zoom.stop - 1:,}"
        return text

    @property
    def hint(self) -> str:
        return "z/Z zoom  arrows move  n next failure  : go to"

    def body(self, width: int, height: int) -> Sequence[Line]:
        view = self.desk.view
        if view.reading.codes is None or view.n_chunks == 0:
            return [[(self._nothing(), "dim")]]
        if view.n_chunks <= min(FEW, height - 1) and height >= 4:
            return self._few(height)
        told = width >= 60 and height >= 8
        rows = max(1, height - (2 if told else 1))
        self._prepare(width, rows)
        lines = self._picture(width, rows)
        lines += [[] for _ in range(rows - len(lines))]
        if told:
            lines.append(self._told())
        return (
            [*lines, mapdrawing.legend(self._seen(), width, self.desk.look)]
            if height > 1
            else lines
        )

    def _nothing(self) -> str:
        if self.desk.view.n_chunks == 0 and self.desk.view.standing is not None:
            return "the source has no rows: there is nothing to predict"
        return "reading the ledger"

    def _few(self, height: int) -> list[Line]:
        view = self.desk.view
        self._room = (1, view.n_chunks)
        self.path = [Zoom.whole(view.n_chunks, max(1, view.n_chunks))]
        return mapdrawing.chunk_rows(view, self.desk.chunk, self.desk.look)[:height]

    def _picture(self, width: int, height: int) -> list[Line]:
        cells, look = self._cells, self.desk.look
        assert cells is not None
        draw = mapdrawing.half_block_rows if look.halves else mapdrawing.sign_rows
        rows = draw(cells, self._row, height, look)
        return [self._with_cursor(line, row, self._row) for row, line in enumerate(rows)]

    def _with_cursor(self, line: Line, row: int, width: int) -> Line:
        at = self._cursor_cell()
        if at is None:
            return line
        look = self.desk.look
        per = 2 * width if look.halves else width
        if at // per != row:
            return line
        column = (at % per) % width
        marked: Line = []
        x = 0
        for text, role in line:
            if x <= column < x + len(text):
                split = column - x
                sign = "+" if text[split] in "█▀" and look.colour else text[split]
                marked += [(text[:split], role), (sign, f"{role} cursor"),
                           (text[split + 1 :], role)]  # fmt: skip
            else:
                marked.append((text, role))
            x += len(text)
        return [span for span in marked if span[0]]

    def _seen(self) -> set[int]:
        return set() if self._cells is None else set(np.unique(self._cells.state).tolist())

    def _told(self) -> Line:
        """What the cell under the cursor holds."""
        codes = self.desk.view.reading.codes
        at = self._cursor_cell()
        if self._cells is None or codes is None or at is None:
            return []
        if isinstance(self._cells, GridMap):
            chunk = self.desk.chunk
            return [("chunk ", "dim"), (f"{chunk:,}", "bold"), ("  ", ""),
                    (told(codes[chunk]), state_role(int(codes[chunk])))]  # fmt: skip
        start, stop = self._cells.cells.range(at)
        chunk = self._cells.chunk(start)
        if stop - start == 1:
            return [("chunk ", "dim"), (f"{chunk:,}", "bold"), ("  ", ""),
                    (told(codes[chunk]), state_role(int(codes[chunk])))]  # fmt: skip
        ids = codes[start:stop] if self.desk.order == "linear" else None
        line: Line = [("chunks ", "dim"), (f"{chunk:,}..{self._cells.chunk(stop - 1):,}", "bold")]
        if ids is not None:
            counts = np.bincount(ids, minlength=8)
            for code in (4, 6, 5, 7, 2, 1, 3, 0):
                if counts[code]:
                    line += [(f"  {told(code)} ", "dim"), (f"{counts[code]:,}", state_role(code))]
        return line

    # --- keeping up ---------------------------------------------------------------------------

    @property
    def _capacity(self) -> int:
        width, height = self._room
        return max(1, width * height * (2 if self.desk.look.halves else 1))

    @property
    def _span(self) -> tuple[int, int]:
        zoom = self.path[-1]
        return zoom.start, zoom.stop

    def _prepare(self, width: int, height: int) -> None:
        codes = self.desk.view.reading.codes
        assert codes is not None
        n = len(codes)
        if self._room != (width, height) or not self.path or self.path[0].stop != n:
            self._resize(width, height, n)
        order_name, order = self.desk.view.reading.extra.get("order", ("linear", None))
        if self._grid() is not None:
            self._prepare_grid(codes)
            return
        cells = Cells.of(*self._span, self._capacity)
        known = self._cells
        key = (cells, order_name)
        if known is None or self._key != key:
            self._cells, self._key = CellMap(cells, codes, order), key
        elif self._drawn is not codes:
            changed = self.desk.view.reading.changed
            # A reading that was not drawn took what it changed with it.
            if changed is None or self.desk.taken != self._drawn_at + 1:
                known.refill(codes)
            else:
                known.update(codes, changed)
        self._drawn, self._drawn_at = codes, self.desk.taken

    def _prepare_grid(self, codes: np.ndarray) -> None:
        grid = self._grid()
        assert grid is not None
        width, height = self._room
        if not isinstance(self._cells, GridMap):
            lines = height * (2 if self.desk.look.halves else 1)
            self._cells = GridMap(grid, width, lines, codes)
        elif self._drawn is not codes:
            self._cells.refill(codes)
        self._drawn, self._drawn_at, self._key = codes, self.desk.taken, None

    def _grid(self) -> Grid | None:
        """The grid the rows of the source are, where that is how the map is ordered."""
        return self._known_grid() if self.desk.order == "grid" else None

    def _known_grid(self) -> Grid | None:
        manifest = self.desk.view.reading.manifest
        if manifest is None:
            return None
        plan = manifest.plan
        shape = (plan.get("attrs") or {}).get("row_grid")
        if not shape or len(shape) < 2:
            return None
        grid = Grid(tuple(shape), plan["chunk_rows"], plan["n_rows"], plan["row_offset"])
        return grid if grid.fits(200) else None

    def _resize(self, width: int, height: int, n: int) -> None:
        self._room = (width, height)
        level = len(self.path)
        self.path = [Zoom.whole(n, self._capacity)]
        position = self._position()
        while len(self.path) < level and self.path[-1].level < self.path[-1].levels:
            self.path.append(self.path[-1].into(position, n, self._capacity))
        self._cells = None

    def _position(self) -> int:
        chunk = min(self.desk.chunk, max(0, self.desk.view.n_chunks - 1))
        return chunk if self._cells is None else self._cells.position(chunk)

    def _cursor_cell(self) -> int | None:
        if self._cells is None or not self.path:
            return None
        if isinstance(self._cells, GridMap):
            return self._cells.cell_of(min(self.desk.chunk, self.desk.view.n_chunks - 1))
        position = self._position()
        start, stop = self._span
        return self._cells.cells.cell(position) if start <= position < stop else None

    # --- moving -------------------------------------------------------------------------------

    def _go(self, cell: int) -> None:
        if self._cells is None or not self._cells.cells.count:
            self._select(self.desk.chunk + (1 if cell > 0 else -1))
            return
        cell = max(0, min(self._cells.cells.count - 1, cell))
        if isinstance(self._cells, GridMap):
            self._select(self._cells.chunk_at(cell))
            return
        self._select(self._cells.chunk(self._cells.cells.first(cell)))

    def _select(self, chunk: int) -> None:
        self.desk.chunk = max(0, min(self.desk.view.n_chunks - 1, chunk))
        self.desk.changed()

    def _move(self, cells: int) -> None:
        if self._cells is None:
            self._select(self.desk.chunk + (1 if cells > 0 else -1))
            return
        at = self._cursor_cell()
        self._go((at if at is not None else 0) + cells)

    @property
    def _row(self) -> int:
        if isinstance(self._cells, GridMap):
            return self._cells.columns
        return max(1, self._room[0])

    def do_left(self) -> None:
        self._move(-1)

    def do_right(self) -> None:
        self._move(1)

    def do_up(self) -> None:
        self._move(-self._row)

    def do_down(self) -> None:
        self._move(self._row)

    def do_page_up(self) -> None:
        self._move(-self._row * max(1, self._room[1] // 2))

    def do_page_down(self) -> None:
        self._move(self._row * max(1, self._room[1] // 2))

    def do_home(self) -> None:
        self._go(0)

    def do_end(self) -> None:
        self._go(self._capacity)

    def do_zoom_in(self) -> None:
        if not self.path:
            return
        zoom = self.path[-1]
        if self._grid() is not None:
            self.desk.say("the grid is shown whole; m changes the order")
        elif zoom.level >= zoom.levels:
            self.desk.say("every chunk has its cell already")
        else:
            self.path.append(zoom.into(self._position(), self.desk.view.n_chunks, self._capacity))
            self._cells = None

    def do_zoom_out(self) -> None:
        if len(self.path) > 1:
            self.path.pop()
            self._cells = None
        else:
            self.desk.say("this is the whole run")

    def do_order(self) -> None:
        orders = [order for order in ORDERS if order != "grid" or self._known_grid()]
        at = orders.index(self.desk.order) if self.desk.order in orders else 0
        self.desk.order = orders[(at + 1) % len(orders)]
        self.path = self.path[:1]
        self._cells = None
        self.desk.say(f"map order: {self.desk.order}")
        self.desk.changed()

    def do_next_hit(self, step: int = 1) -> None:
        codes = self.desk.view.reading.codes
        if codes is None:
            return
        _, order = self.desk.view.reading.extra.get("order", ("linear", None))
        found = mapmodel.next_bad(codes, order, self._position(), step)
        if found is None:
            self.desk.say("no chunk failed")
            return
        self._select(int(found if order is None else order[found]))
        self.show(self.desk.chunk)

    def do_previous_hit(self) -> None:
        self.do_next_hit(-1)

    def do_open(self) -> None:
        zoom = self.path[-1] if self.path else None
        if zoom is not None and zoom.level < zoom.levels:
            self.do_zoom_in()
        else:
            self.desk.emit(Effect("screen", "chunks"))

    def do_copy(self) -> None:
        at = self._cursor_cell()
        if self._cells is None or at is None or isinstance(self._cells, GridMap):
            self.desk.copy(str(self.desk.chunk), "chunk")
            return
        start, stop = self._cells.cells.range(at)
        ids = [self._cells.chunk(position) for position in range(start, min(stop, start + 10_000))]
        self.desk.copy(words.typed_ranges(sorted(ids)), "chunks")

    def show(self, chunk: int) -> None:
        """Bring a chunk into sight."""
        if self.path and self._cells is not None and not isinstance(self._cells, GridMap):
            start, stop = self._span
            position = self._cells.position(chunk)
            if not start <= position < stop and len(self.path) > 1:
                n = self.desk.view.n_chunks
                depth = len(self.path)
                self.path = self.path[:1]
                while len(self.path) < depth:
                    self.path.append(self.path[-1].into(position, n, self._capacity))
                self._cells = None

    def click(self, x: int, y: int, *, double: bool = False) -> None:
        width = self._row
        if self._cells is None:
            self._select(y)
        elif self.desk.look.halves:
            self._go(y * 2 * width + x)
        else:
            self._go(y * width + x)
        if double:
            self.do_open()

    def wheel(self, step: int) -> None:
        self.do_zoom_in() if step < 0 else self.do_zoom_out()
