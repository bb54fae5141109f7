"""The map laid out as a grid: every cell shows the worst of its patch, and nothing else."""

import numpy as np
import pytest
from foretell.types import ChunkState
from foretell_tui.gridmap import NO_CELL, Grid, GridMap
from foretell_tui.line import plain
from foretell_tui.look import PARTLY, PRIORITY, Look
from foretell_tui.mapmodel import CellMap, Cells
from hypothesis import given
from hypothesis import strategies as st
from watching import deck_of


@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=3),
    st.integers(1, 12), st.integers(1, 12), st.integers(1, 10), st.integers(0, 2**32 - 1),
    st.data(),
)  # fmt: skip
def test_a_cell_shows_the_worst_of_the_chunks_in_its_patch(shape, rows, width, height, seed, data):
    total = int(np.prod(shape))
    offset = data.draw(st.integers(0, total - 1))
    n_rows = data.draw(st.integers(1, total - offset))
    chooser = np.random.default_rng(seed)
    codes = chooser.choice([0, 0, 3, 3, 1, 4, 7], -(-n_rows // rows)).astype(np.uint8)
    grid = Grid(tuple(shape), rows, n_rows, offset)
    drawn = GridMap(grid, width, height, codes)
    picture = drawn.state.reshape(drawn.lines, drawn.columns)
    chunks = np.full(total, -1)
    chunks[offset : offset + n_rows] = np.arange(n_rows) // rows
    laid = chunks.reshape(grid.layers, *grid.picture)
    ys = np.arange(drawn.lines + 1) * grid.picture[0] // drawn.lines
    xs = np.arange(drawn.columns + 1) * grid.picture[1] // drawn.columns
    for line in range(drawn.lines):
        for column in range(drawn.columns):
            patch = laid[:, ys[line] : ys[line + 1], xs[column] : xs[column + 1]]
            held = codes[np.unique(patch[patch >= 0])].tolist()
            if not held:
                assert picture[line, column] == NO_CELL
                continue
            worst = max(held, key=lambda code: PRIORITY[code])
            mixed = set(held) == {ChunkState.PENDING, ChunkState.DONE}
            assert picture[line, column] == (PARTLY if mixed else worst)


def test_a_chunk_and_its_cell_agree():
    grid = Grid((40, 60), 30, 2400)
    drawn = GridMap(grid, 20, 10, np.zeros(80, dtype=np.uint8))
    for chunk in (0, 7, 41, 79):
        cell = drawn.cell_of(chunk)
        assert drawn.cell_of(drawn.chunk_at(cell)) == cell


@pytest.mark.parametrize("look", [Look(), Look(ascii=True, colour=False)])
def test_the_map_takes_the_order_of_the_grid(runs, look):
    from dataclasses import replace

    from watching import view_of

    view = view_of(runs["running"].objects)
    manifest = view.reading.manifest
    assert manifest is not None
    plan = {**manifest.plan, "attrs": {"row_grid": [400, 500]}}
    reading = replace(view.reading, manifest=replace(manifest, plan=plan))
    deck = deck_of(replace(view, reading=reading), look)
    deck.frame(80, 24)
    chunk_map = deck.panes["map"]
    chunk_map.do("order")
    assert deck.desk.order == "grid"
    lines = list(map(plain, deck.frame(80, 24)))
    assert any("Chunk map  grid  400 x 500 rows" in line for line in lines)
    chunk_map.do("next_hit")
    assert deck.desk.chunk == 30
    for action in ("right", "down", "left", "up", "end", "home", "zoom_in", "copy"):
        chunk_map.do(action)
        deck.frame(80, 24)
    chunk_map.do("order")
    assert deck.desk.order == "time"


def test_what_is_not_begun_is_dark_in_either_half():
    from foretell_tui.panes.mapdrawing import half_block_rows

    cells = CellMap(Cells.of(0, 4, 4), np.array([0, 3, 3, 0], dtype=np.uint8))
    (line,) = half_block_rows(cells, 2, 1, Look())
    assert line == [("▄▀", "state-done on-pending")]


def test_a_source_without_a_grid_has_no_such_order(runs):
    from watching import view_of

    deck = deck_of(view_of(runs["running"].objects))
    deck.frame(80, 24)
    deck.panes["map"].do("order")
    assert deck.desk.order == "time"
