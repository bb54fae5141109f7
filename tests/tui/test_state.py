"""The reducer: what a run is called, coloured and counted as, from plain values."""

from dataclasses import replace

import numpy as np
import pytest
from foretell.store.head import Rates
from foretell.store.standing import standing_of
from foretell.types import ChunkState, RunState
from foretell_tui.look import Look
from foretell_tui.reading import Problem
from foretell_tui.state import reduce
from foretell_tui.words import eta
from synthetic_runs import T0, make_run
from watching import NAMES, looked, reader_of, view_of


@pytest.mark.parametrize(
    ("name", "word", "tone"),
    [
        ("fresh", "STARTING", "quiet"),
        ("running", "RUNNING", "good"),
        ("done", "DONE", "good"),
        ("partial", "PARTIAL", "warn"),
        ("stale", "STALE", "warn"),
        ("lost", "LOST", "bad"),
        ("interrupted", "INTERRUPTED", "info"),
        ("empty", "DONE", "good"),
        ("planned", "PLANNED", "quiet"),
        ("resumed", "RUNNING", "good"),
    ],
)
def test_every_state_has_its_word_and_colour(runs, name, word, tone):
    view = view_of(runs[name].objects)
    assert (view.word, view.tone) == (word, tone)


@pytest.mark.parametrize("name", NAMES)
def test_totals_add_up_and_equal_the_ledger(runs, name):
    run = runs[name]
    view = view_of(run.objects)
    assert sum(view.bar.parts) == view.n_chunks == run.n_chunks
    counts = run.ledger.table.counts()
    totals = view.totals
    lost = counts[ChunkState.FAILED] + counts[ChunkState.QUARANTINED]
    assert totals.done == counts[ChunkState.DONE]
    assert totals.failed + totals.quarantined == lost
    if view.reading.codes is not None:
        assert np.count_nonzero(view.reading.codes == ChunkState.DONE) == totals.done


@pytest.mark.parametrize("name", ["done", "partial", "interrupted"])
def test_it_says_what_sdk_status_says(runs, name):
    status = standing_of(runs[name].objects)
    standing = view_of(runs[name].objects, alive=None).standing
    assert standing.state == status.state
    assert standing.totals == status.totals
    assert standing.tries == status.tries
    assert standing.head is not None
    assert status.head is not None
    assert standing.head.sequence == status.head.sequence


@pytest.mark.parametrize("name", ["lost", "interrupted"])
def test_nothing_is_in_hand_when_nobody_works(runs, name):
    run = runs[name]
    view = view_of(run.objects, alive=False)
    assert view.reading.codes is not None
    assert ChunkState.RUNNING not in view.reading.codes
    assert np.count_nonzero(view.reading.codes == ChunkState.PENDING) == view.totals.pending


def test_a_gone_driver_is_lost_at_once(runs):
    view = view_of(runs["running"].objects, alive=False)
    assert view.word == "LOST"
    assert "resume" in view.standing.tries[0][0]
    assert view.totals.running == 0
    assert sum(view.bar.parts) == view.n_chunks


def test_a_heart_that_stops_turns_stale_and_then_lost(runs, clock):
    reader = reader_of(runs["running"].objects, clock)
    view = reduce(None, reader.look())
    words = []
    for now in (1, 20, 40, 300, 700):
        clock.now = now
        view = reduce(view, reader.look())
        words.append(view.word)
    assert words == ["RUNNING", "RUNNING", "STALE", "STALE", "LOST"]


def test_a_clock_that_is_wrong_changes_nothing_once_a_beat_was_seen(tmp_path, clock):
    run = make_run(tmp_path / "r", 20)
    reader = reader_of(run.objects, clock)
    view = looked(reader)
    for beat in range(4):
        clock.now = float(beat)
        run.write_head(time=T0 - 10**6)
        view = reduce(view, reader.look())
    assert view.word == "RUNNING"
    assert view.quiet is not None
    assert view.quiet < 1.5


def test_resumed_work_is_kept_apart(runs):
    bar = view_of(runs["running"].objects).bar
    assert (bar.resumed, bar.done) == (400, 842 - 4)
    assert bar.failed == 4
    assert bar.running == 16


def test_a_second_session_counts_its_own_work(runs):
    view = view_of(runs["resumed"].objects)
    assert view.session == 2
    assert (view.bar.resumed, view.bar.done, view.bar.running) == (900, 200, 4)


def test_an_end_is_not_believed_before_the_ledger_says_so(tmp_path):
    run = make_run(tmp_path / "r", 20)
    run.done(range(20))
    run.write_head(state="done", exit_code=0)
    view = view_of(run.objects)
    assert view.word == "CHECKING"
    assert view.tone == "quiet"
    run.end(RunState.DONE, 0)
    assert view_of(run.objects).word == "DONE"


def test_done_with_lost_rows_is_never_green(runs):
    reading = view_of(runs["done"].objects).reading
    totals = replace(reading.head.totals, rows_quarantined=1)
    assert reduce(None, replace(reading, head=replace(reading.head, totals=totals))).tone == "warn"
    assert reduce(None, reading).tone == "good"


def test_a_new_session_keeps_the_map_and_is_told(tmp_path, clock):
    run = make_run(tmp_path / "r", 40)
    run.done(range(10))
    run.write_head()
    reader = reader_of(run.objects, clock)
    view = reduce(None, reader.look())
    view = reduce(view, reader.look())
    codes = view.reading.codes
    run.write_head(epoch=2, session_started=T0, resumed_chunks=10, pid=77)
    view = reduce(view, reader.look())
    assert view.session == 2
    assert view.news == ("session 2 began on gn01, pid 77",)
    assert codes is not None
    assert view.reading.codes is not None
    assert view.reading.codes.tolist() == codes.tolist()
    assert view.bar.resumed == 10


def test_a_failed_look_keeps_everything_but_says_so(runs):
    view = view_of(runs["running"].objects)
    failed = replace(view.reading, head=None, codes=None, problem=Problem("denied", "no"))
    after = reduce(view, failed)
    assert after.totals == view.totals
    assert after.reading.codes is view.reading.codes
    assert not after.fresh


def test_the_end_is_a_range_unknown_or_stalled(runs):
    view = view_of(runs["running"].objects)
    assert eta(view, Look(ascii=True)) == "5h41 - 6h20 (19:54 - 20:33)"
    unknown = replace(view.reading, head=replace(view.head, rates=Rates(chunk_p95=5.0)))
    assert eta(reduce(view, unknown), Look()) == "unknown"
    later = replace(view.reading, monotonic=view.reading.monotonic + 29)
    assert eta(reduce(view, later), Look()) == "stalled: nothing finished for 29s"
    assert eta(view_of(runs["done"].objects), Look()) == ""
