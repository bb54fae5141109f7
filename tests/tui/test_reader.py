"""Reading a run: what it costs, what it survives, and that it never writes or lists."""

import errno
import json
import shutil

import numpy as np
import pytest
from foretell.errors import NotARun, StorageError, StoreError
from foretell.store.layout import HEAD, MANIFEST, segment_key
from foretell.store.objects import set_fault_hook
from foretell.store.snapshot import open_snapshot
from foretell.types import RunState
from foretell_tui.pace import Pace
from foretell_tui.query import parse
from foretell_tui.reader import Wants
from foretell_tui.reading import Problem
from foretell_tui.readonly import ReadOnly
from foretell_tui.state import reduce
from synthetic_runs import lines, make_run
from watching import looked, reader_of


@pytest.fixture
def run(tmp_path):
    made = make_run(tmp_path / "run", 300)
    made.done(range(100))
    made.samples()
    lines(made)
    made.write_head()
    return made


@pytest.fixture(autouse=True)
def _no_fault_left():
    yield
    set_fault_hook(None)


def caught_up(run, **options):
    reader = reader_of(run.objects, **options)
    reader.look()
    return reader, reader.look()


def test_it_sees_what_the_ledger_says(run):
    reader, reading = caught_up(run)
    assert np.array_equal(reading.codes, open_snapshot(run.objects).table.state)
    run.done(range(100, 140))
    run.failed(200)
    run.write_head()
    after = reader.look()
    assert np.array_equal(after.codes, open_snapshot(run.objects).table.state)
    assert after.changed.tolist() == [*range(100, 140), 200]
    assert [group.example.kind for group in after.groups] == ["FileNotFoundError"]


def test_nothing_new_costs_one_request_and_no_bytes(run):
    reader, _ = caught_up(run)
    cost = reader.look().cost
    assert (cost.requests, cost.lists, cost.bytes) == (1, 0, 0)


def test_a_step_costs_the_head_the_new_segments_and_one_more(run):
    reader, _ = caught_up(run)
    for step in range(6):
        run.done(range(100 + 20 * step, 120 + 20 * step))
        run.samples()
        run.log.add(1.0, "info", "w00", "one more line")
        run.write_head()
        cost = reader.look().cost
        assert cost.requests <= 2 + 2
        assert cost.lists == 0
        assert cost.bytes < 8192


def test_it_never_lists_and_cannot_write(run):
    reader, reading = caught_up(run)
    wants = Wants(chunks=parse("bad"), chunk=3, stream=(None, None, 80), order="time")
    reader.look(wants)
    reader.older_log()
    assert reader.objects.lists == 0
    assert reading.cost.lists == 0
    for write in (
        lambda: reader.objects.put("a", b""),
        lambda: reader.objects.create("a", b""),
        lambda: reader.objects.delete("a"),
        lambda: reader.objects.sweep(),
    ):
        with pytest.raises(StoreError, match="writes nothing"):
            write()


def test_a_big_run_is_read_from_its_fold_without_checksums(runs):
    run = runs["big"]
    reader, reading = caught_up(run)
    assert reading.cost.lists == 0
    assert np.array_equal(reading.codes, run.ledger.table.state)
    assert reading.cost.bytes < 12_000_000
    assert reader.follower.table.sizes.shape[1] == 0


def test_no_run_is_an_error_at_once(tmp_path):
    run = make_run(tmp_path / "run", 3)
    run.objects.delete(MANIFEST)
    with pytest.raises(NotARun):
        reader_of(run.objects).look()


def test_a_deleted_store_is_said_to_be_gone(run, tmp_path):
    reader, reading = caught_up(run)
    view = reduce(None, reading)
    shutil.rmtree(tmp_path / "run")
    view = reduce(view, reader.look())
    assert view.reading.problem == Problem("gone", "the run store has vanished")
    assert view.word == "GONE"
    assert view.totals.done == 100


def test_a_head_torn_at_any_byte_keeps_the_last_good_one(run):
    reader, before = caught_up(run)
    view = reduce(None, before)
    data = run.objects.get(HEAD)
    for at in range(len(data)):
        run.objects.put(HEAD, data[:at], leased=False)
        reading = reader.look()
        assert reading.torn, at
        assert reading.head == before.head
        view = reduce(view, reading)
        assert view.word == "RUNNING"
    assert view.news == ("the head could not be trusted; the one before it is shown",)
    run.write_head()
    assert not reader.look().torn


@pytest.mark.parametrize("at", [0, 1, 40, 200, -1])
def test_a_torn_segment_is_told_and_never_a_wrong_done(run, at):
    reader, before = caught_up(run)
    run.done(range(100, 300))
    number = run.ledger.last_segment
    run.end(RunState.DONE, 0)
    key = segment_key(number)
    data = run.objects.get(key)
    run.objects.put(key, data[:at] if at >= 0 else data[:-1], leased=False)
    reading = reader.look()
    assert reading.problem.kind == "damaged"
    assert f"segment {number}" in reading.problem.text
    view = reduce(reduce(None, before), reading)
    assert view.word != "DONE"
    assert view.tone != "good" or view.live


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "denied"),
        (OSError(errno.EIO, "Input/output error"), "trouble"),
        (OSError(errno.ESTALE, "Stale file handle"), "trouble"),
    ],
)
def test_a_storage_that_fails_is_a_plain_sentence(run, error, kind):
    reader, before = caught_up(run)

    class Failing(ReadOnly):
        def get_if_changed(self, key, known):
            raise error

    good, reader.follower.objects = reader.follower.objects, Failing(run.objects)
    reading = reader.look()
    assert reading.problem.kind in (kind, "trouble")
    assert "\n" not in reading.problem.text
    reader.follower.objects = good
    assert reader.look().problem is None
    assert reading.codes is before.codes


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StoreError("the object store refuses access", slug="store-denied"), "denied"),
        (StorageError("the bucket does not exist", slug="store-vanished"), "gone"),
        (StorageError("the object store failed"), "trouble"),
    ],
)
def test_what_an_object_store_says_is_told(run, error, kind):
    reader, _ = caught_up(run)

    class Failing(ReadOnly):
        def get_if_changed(self, key, known):
            raise error

    reader.follower.objects = Failing(run.objects)
    assert reader.look().problem.kind == kind


def test_a_newer_schema_shows_totals_and_says_upgrade(run):
    document = json.loads(run.objects.get(MANIFEST)) | {"version": 9}
    run.objects.put(MANIFEST, json.dumps(document).encode(), leased=False)
    reader = reader_of(run.objects)
    view = reduce(None, reader.look())
    assert view.totals.done == 100
    assert view.reading.problem is not None
    assert "upgrade" in view.reading.problem.text


def test_segments_compacted_meanwhile_are_found_in_the_fold(run):
    reader, _ = caught_up(run)
    for start in range(100, 200, 10):
        run.done(range(start, start + 10))
    run.ledger.fold(force=True)
    run.done(range(200, 210))
    run.ledger.fold(force=True)
    run.write_head()
    reading = reader.look()
    assert reading.problem is None
    assert np.array_equal(reading.codes, run.ledger.table.state)
    assert reading.cost.lists == 0


def test_what_a_killed_driver_wrote_after_its_head_is_found(run):
    reader, _ = caught_up(run, alive=False)
    run.done(range(100, 120))
    reader = reader_of(run.objects, alive=False)
    view = looked(reader)
    assert view.word == "LOST"
    assert view.totals.done == 120


def test_the_log_is_read_once(run):
    reader, reading = caught_up(run)
    assert len(reading.log) == 12
    for number in range(20):
        run.log.add(2.0 + number, "info", "w01", f"line {number}")
        run.write_head()
        reading = reader.look()
    for _ in range(2):
        run.write_head()
        reading = reader.look()
    assert len(reading.log) == len({(x.time, x.message) for x in reading.log}) == 32


def test_looks_become_rare_when_nothing_happens_and_stop_at_the_end(runs, run):
    reader, reading = caught_up(run)
    view = reduce(None, reading)
    pace = Pace(1.0)
    waits = [pace.after(view) or 0.0 for _ in range(14)]
    assert waits[:3] == [1.0, 1.0, 1.0]
    assert waits[-1] == 60.0
    assert sorted(waits) == waits
    run.write_head()
    assert pace.after(reduce(view, reader.look())) == 1.0
    _, ended = caught_up(runs["done"])
    assert Pace(1.0).after(reduce(None, ended)) is None
    assert Pace(0.0).after(view) is None


def test_a_day_of_idle_watching_is_cheap(run):
    reader, reading = caught_up(run)
    view, pace, requests, now = reduce(None, reading), Pace(5.0), 0, 0.0
    while now < 86_400:
        now += pace.after(view) or 0.0
        cost = reader.look().cost
        requests += cost.requests
        assert cost.lists == 0
        if requests > 3:
            break
    assert cost.requests == 1
    assert 86_400 / 5.0 * cost.requests <= 20_000


def test_stepping_along_the_ledger_equals_reading_it_anew(tmp_path):
    import random

    run = make_run(tmp_path / "r", 60)
    run.write_head()
    reader = reader_of(run.objects)
    codes = looked(reader).reading.codes
    chooser = random.Random(3)
    for _ in range(25):
        before = codes
        chunks = sorted(chooser.sample(range(60), 4))
        chooser.choice([run.done, run.running, lambda ids: run.failed(ids[0])])(chunks)
        run.write_head()
        reading = reader.look()
        codes = reading.codes
        whole = looked(reader_of(run.objects)).reading.codes
        assert codes.tolist() == whole.tolist()
        assert reading.changed.tolist() == np.flatnonzero(codes != before).tolist()
