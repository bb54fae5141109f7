"""Maps, timelines and pages, up to a million chunks."""

import re
import shutil
import zlib
from dataclasses import replace

import foretell
import numpy as np
import pytest
from foretell.report import svg
from foretell.report.chunk_map import Mark, map_of
from foretell.report.markup import safe
from foretell.report.pace import pace_of
from foretell.report.page import page_of
from foretell.report.png import png
from foretell.report.small import html_of
from foretell.report.timeline import shares_of, squeeze, timeline_of
from foretell.report.view import view_of
from foretell.store.head import HeadWriter, read_head
from foretell.store.open import open_objects
from foretell.store.records import WorkerSeen
from foretell.store.sides import side_of, times_of
from foretell.store.table import ChunkTable
from foretell.types import ChunkState
from hypothesis import given
from hypothesis import strategies as st

STATES = st.lists(st.sampled_from(list(ChunkState)), max_size=200)


@given(STATES, st.integers(1, 60))
def test_every_chunk_is_in_one_cell_and_the_worst_is_seen(states, most):
    state = np.array(states, np.uint8)
    found = map_of(state, most)
    assert len(found.marks) == min(len(states), most)
    covered = []
    for cell, mark in enumerate(found.marks):
        inside = states[found.first(cell) : found.first(cell + 1)]
        covered += inside
        assert inside
        assert len(inside) <= found.per_cell
        worst = max(
            (Mark[s.name] for s in inside if s.name not in ("PENDING", "DONE")), default=None
        )
        if worst is None:
            done = sum(s == ChunkState.DONE for s in inside)
            worst = Mark.DONE if done == len(inside) else Mark.PARTLY if done else Mark.PENDING
        assert mark == worst
        assert found.done[cell] == sum(s == ChunkState.DONE for s in inside) / len(inside)
    assert covered == states


def test_a_done_chunk_with_quarantined_rows_is_not_green():
    state = np.full(4, ChunkState.DONE, np.uint8)
    found = map_of(state, 2, np.array([0, 0, 3, 0]))
    assert found.marks.tolist() == [Mark.DONE, Mark.QUARANTINED]
    assert found.done.tolist() == [1.0, 1.0]


def test_one_failed_chunk_in_a_million_is_seen():
    state = np.full(1_000_000, ChunkState.DONE, np.uint8)
    state[123_456] = ChunkState.FAILED
    found = map_of(state, 4000)
    [cell] = np.flatnonzero(found.marks == Mark.FAILED).tolist()
    assert found.first(cell) <= 123_456 < found.first(cell + 1)
    assert svg.chunk_map(found).count('class="s-failed"') == 1


INTERVALS = st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 100)), min_size=1, max_size=30)


@given(INTERVALS)
def test_squeezing_keeps_order_and_length_and_only_shortens_pauses(intervals):
    start, seconds = (np.array(column) for column in zip(*intervals, strict=True))
    axis = squeeze(start, seconds)
    assert (axis.start >= -1e-6).all()
    assert np.allclose(axis.end - axis.start, seconds)
    assert (axis.end <= axis.length + 1e-6).all()
    order = np.argsort(start, kind="stable")
    assert (np.diff(axis.start[order]) >= -1e-6).all()
    assert (np.diff(axis.start[order]) <= np.diff(start[order]) + 1e-6).all()


def test_a_run_resumed_a_day_later_has_a_short_pause():
    start = np.array([0.0, 10.0, 86_400.0, 86_410.0])
    axis = squeeze(start, np.full(4, 10.0))
    assert axis.length < 45
    assert len(axis.pauses) == 1
    assert 20 <= axis.pauses[0] <= 21


def table_of(n, workers=4, seed=0):
    """A table of a run whose chunks are all done."""
    rng = np.random.default_rng(seed)
    table = ChunkTable(n, 2)
    table.state[:] = ChunkState.DONE
    table.attempt[:] = 1
    table.milliseconds[:] = rng.integers(500, 1500, n)
    table.worker[:] = np.arange(n) % workers
    table.started[:] = 1e9 + np.arange(n) // workers * 1.5
    for index in range(workers):
        table.workers.append(WorkerSeen(index, f"tcp://{index}", f"host{index % 3}", index, 0.0))
        table.worker_epochs.append(1)
    return table


def test_the_pace_adds_up_to_all_rows():
    table = table_of(200)
    pace = pace_of(table, 1990, 10)
    assert pace.rates.sum() * pace.seconds / len(pace.rates) == pytest.approx(1990)
    assert pace.counts.sum() == 200
    shares = shares_of(table, 1990, 10)
    assert sum(share.rows for share in shares) == 1990
    assert [share.chunks for share in shares] == [50] * 4
    times = times_of(table, 1990, 10)
    assert times.p50 is not None
    assert 0.9 < times.p50 < 1.1


def test_the_timeline_shows_who_worked_when():
    table = ChunkTable(3, 1)
    table.state[:] = ChunkState.DONE
    table.attempt[:] = (1, 1, 2)
    table.started[:] = (0, 4, 9)
    table.milliseconds[:] = (4000, 5000, 1000)
    table.worker[:] = (0, 1, 0)
    found = timeline_of(table, columns=10)
    assert found.workers == (0, 1)
    assert found.busy.astype(int).tolist() == [
        [1, 1, 1, 1, 1, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 1, 1, 1, 1, 1, 1],
    ]
    assert found.again.astype(int).tolist() == [[0] * 9 + [1], [0] * 10]
    assert timeline_of(ChunkTable(3, 1)).workers == ()
    assert timeline_of(table_of(200, workers=100)).more == 36


def test_pictures_are_pngs():
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    data = png(pixels)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at = data.index(b"IDAT")
    body = data[at + 4 : at + 4 + int.from_bytes(data[at - 4 : at], "big")]
    lines = np.frombuffer(zlib.decompress(body), np.uint8).reshape(2, 10)
    assert (lines[:, 0] == 0).all()
    assert (lines[:, 1:] == pixels.reshape(2, 9)).all()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORETELL_CACHE_DIR", str(folder / "cache"))
        return foretell.predict(
            lambda x: {"y": x * 2}, np.arange(100.0), str(folder / "run.zarr"), batch_size=5,
            schedule={"chunk": 10},
        )  # fmt: skip


def test_a_page_of_a_finished_run_is_green(run):
    page = page_of(view_of(open_objects(run.url)), now=1e9)
    assert '<span class="good">DONE</span>' in page
    assert "nothing failed" in page
    assert "written 2001-09-09 01:46:40 UTC" in page
    assert page.isprintable() or {c for c in page if not c.isprintable()} == {"\n"}


def test_what_a_dead_driver_had_in_hand_is_pending(run, tmp_path):
    store = tmp_path / "lost.zarr"
    shutil.copytree(run.url, store)
    objects = open_objects(str(store))
    known = read_head(objects)
    assert known is not None
    last = sorted((store / "_run" / "ledger").iterdir())[-1]
    assert '"r":"ended"' in last.read_text()
    last.unlink()
    gone = replace(known, state="running", pid=2**22 - 1, exit_code=None)
    HeadWriter(objects).write(replace(gone, last_segment=known.last_segment - 1))
    view = view_of(objects)
    view.snapshot.table.state[3] = ChunkState.RUNNING
    again = view_of(objects, view.snapshot)
    assert again.chunks.marks[3] == Mark.PENDING
    assert '<span class="bad">LOST' in page_of(again)
    side = side_of(objects)
    assert side.word == "lost"


def test_a_million_chunks_stay_small(run):
    view = view_of(run.objects)
    table = table_of(1_000_000, workers=200)
    rng = np.random.default_rng(1)
    table.state[rng.integers(0, 1_000_000, 5000)] = rng.integers(0, 7, 5000)
    big = replace(
        view,
        chunks=map_of(table.state, 4000),
        timeline=timeline_of(table),
        pace=pace_of(table, 10_000_000, 10),
        shares=shares_of(table, 10_000_000, 10),
    )
    page = page_of(big)
    assert len(page) < 2_000_000
    assert "136 more workers not shown" in page
    assert "1 cell = up to 250 chunks, the worst of them shown" in page


def test_a_notebook_shows_a_table_and_the_map(run):
    text = run._repr_html_()
    assert text.startswith("<table><tr><th style='text-align:left'>store</th><td>")
    assert "100 of 100 (100.0 %)" in text
    assert "<svg" in text
    assert "float64 ()" in text
    assert len(text) < 20_000
    assert re.search(r'fill="#2f8f6b" class="s-done"', text)


def test_a_planned_run_of_no_rows_has_a_page(tmp_path):
    empty = foretell.predict(
        lambda x: {"y": x}, np.zeros((0, 2)), str(tmp_path / "none.zarr"), batch_size=5
    )
    page = page_of(view_of(empty.objects))
    assert "there are no chunks" in page
    assert "<svg" not in html_of(view_of(empty.objects), [])


def test_texts_are_escaped():
    assert safe("<b>\x1b[2J&") == r"&lt;b&gt;\x1b[2J&amp;"
