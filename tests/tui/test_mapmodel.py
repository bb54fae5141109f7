"""The chunk map's arithmetic: every chunk in one cell, the worst in front, steps that agree."""

import itertools

import numpy as np
import pytest
from foretell.types import ChunkState
from foretell_tui import mapmodel
from foretell_tui.look import HOLES, PARTLY, PRIORITY
from foretell_tui.mapmodel import CellMap, Cells, Zoom
from hypothesis import given
from hypothesis import strategies as st

sizes = st.integers(1, 5000)
rooms = st.integers(1, 600)
codes_of = st.integers(0, 2**32 - 1)


def some_codes(n, seed, spread=8):
    """States in runs, as a run of predictions has them."""
    chooser = np.random.default_rng(seed)
    codes = np.zeros(n, dtype=np.uint8)
    for _ in range(spread):
        start = int(chooser.integers(0, n))
        codes[start : start + int(chooser.integers(1, n + 1))] = chooser.integers(0, 8)
    return codes


@given(sizes, rooms, st.integers(0, 10**7))
def test_cells_cover_every_position_once(n, room, start):
    cells = Cells.of(start, start + n, room)
    edges = [cells.range(cell) for cell in range(cells.count)]
    assert edges[0][0] == start
    assert edges[-1][1] == start + n
    assert all(a[1] == b[0] for a, b in itertools.pairwise(edges))
    assert all(first < stop for first, stop in edges)
    assert max(stop - first for first, stop in edges) == cells.per_cell


@given(sizes, rooms, st.integers(0, 4999), st.integers(0, 10**6))
def test_a_position_is_in_the_cell_that_holds_it(n, room, offset, start):
    cells = Cells.of(start, start + n, room)
    position = start + offset % n
    first, stop = cells.range(cells.cell(position))
    assert first <= position < stop
    assert cells.cells(np.array([position])).tolist() == [cells.cell(position)]


@given(sizes, rooms, codes_of)
def test_the_worst_state_of_a_cell_wins(n, room, seed):
    codes = some_codes(n, seed)
    cells = Cells.of(0, n, room)
    shown = CellMap(cells, codes)
    for cell in range(cells.count):
        first, stop = cells.range(cell)
        held = codes[first:stop]
        worst = max(held.tolist(), key=lambda code: PRIORITY[code])
        done = int((held == ChunkState.DONE).sum())
        if worst in (ChunkState.PENDING, ChunkState.DONE) and 0 < done < len(held):
            assert shown.state[cell] == PARTLY
        else:
            assert shown.state[cell] == worst
        assert shown.share[cell] == done * 100 // len(held)


@given(sizes, rooms, codes_of, st.lists(st.tuples(st.integers(0, 4999), st.integers(0, 7))))
def test_a_step_shows_what_working_it_all_out_shows(n, room, seed, steps):
    codes = some_codes(n, seed)
    shown = CellMap(Cells.of(0, n, room), codes.copy())
    changed = np.unique(np.array([at % n for at, _ in steps], dtype=np.int64))
    for at, code in steps:
        codes[at % n] = code
    shown.update(codes, changed)
    anew = CellMap(Cells.of(0, n, room), codes)
    assert shown.state.tolist() == anew.state.tolist()
    assert shown.share.tolist() == anew.share.tolist()


@given(sizes, rooms, codes_of)
def test_an_order_shows_the_same_chunks_elsewhere(n, room, seed):
    codes = some_codes(n, seed)
    order = np.random.default_rng(seed).permutation(n)
    cells = Cells.of(0, n, room)
    shown = CellMap(cells, codes, order)
    assert shown.state.tolist() == CellMap(cells, codes[order]).state.tolist()
    for position in (0, n // 2, n - 1):
        assert shown.position(shown.chunk(position)) == position
    assert shown.update(codes, np.arange(n)).tolist() == list(range(cells.count))


@pytest.mark.parametrize("room", [240, 740, 4248])
@pytest.mark.parametrize("n", [10, 10_000, 1_000_000])
@pytest.mark.parametrize("failed", [0, 7, 999_999])
def test_one_failed_chunk_is_seen_at_every_zoom(n, room, failed):
    failed = failed % n
    codes = np.full(n, ChunkState.DONE, dtype=np.uint8)
    codes[failed] = ChunkState.FAILED
    zoom = Zoom.whole(n, room)
    for level in range(1, zoom.levels + 1):
        assert zoom.level == level
        cells = Cells.of(zoom.start, zoom.stop, room)
        shown = CellMap(cells, codes)
        assert shown.state[cells.cell(failed)] == ChunkState.FAILED
        zoom = zoom.into(failed, n, room)
    assert Cells.of(zoom.start, zoom.stop, room).per_cell == 1


def test_a_million_chunks_are_three_steps_away():
    assert [mapmodel.levels(n, 740) for n in (10, 740, 741, 10_000, 1_000_000)] == [1, 1, 2, 2, 3]
    assert mapmodel.levels(1_000_000, 4248) == 3


def test_the_next_failure_goes_around_at_the_ends():
    codes = np.zeros(100, dtype=np.uint8)
    assert mapmodel.next_bad(codes, None, 5, 1) is None
    codes[[3, 50]] = ChunkState.FAILED, HOLES
    assert [mapmodel.next_bad(codes, None, at, 1) for at in (0, 3, 50)] == [3, 50, 3]
    assert [mapmodel.next_bad(codes, None, at, -1) for at in (0, 50, 51)] == [50, 3, 50]
    order = np.arange(100)[::-1]
    assert mapmodel.next_bad(codes, order, 0, 1) == 49


def test_done_chunks_with_lost_rows_stand_out():
    state = np.array([ChunkState.DONE, ChunkState.DONE, ChunkState.FAILED], dtype=np.uint8)
    codes = mapmodel.shown_codes(state, np.array([0, 3, 9], dtype=np.uint32))
    assert codes.tolist() == [ChunkState.DONE, HOLES, ChunkState.FAILED]
