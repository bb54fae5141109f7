"""Chunks that are committed while the Trainer predicts, and what is done where none can be."""

import numpy as np
import pytest
from foretell import open_run
from foretell.errors import (
    FingerprintMismatch,
    Interrupted,
    PartialResult,
    StorageError,
    StoreError,
)

pytest.importorskip("torch")
pytest.importorskip("lightning")
import torch
from foretell.builtin.writers.zarr import ZarrOptions, ZarrWriter
from foretell.store import control
from foretell.store.assemble import Assembly
from foretell.store.objects import set_fault_hook
from foretell.store.open import open_objects
from foretell.store.snapshot import open_snapshot
from foretell.store.verify import verify
from foretell.types import ChunkState
from foretell_torch import PredictionWriter, read_predictions
from foretell_torch.writer import finish, runstore
from foretell_torch.writer.spool import read_segments, write_segment
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_model import FakeTime
from trainer_run import Double, predict
from writing import files, rows, script, stored_of

# Lightning's advice on numbers of workers and the like, which is Lightning's own.
pytestmark = pytest.mark.filterwarnings("default:::lightning", "ignore::UserWarning")

CHUNK = 16
"""Rows of 12 bytes in a chunk of 200 bytes."""

EPOCH = {"write_interval": "epoch"}
"""Only size and borders close a segment: the clock has no say."""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(runstore, "CHUNK_BYTES", 200)
    monkeypatch.setattr(runstore, "CLOCK", FakeTime().clock)


def store(out, name="predictions.zarr"):
    return out / name


def done(out, name="predictions.zarr"):
    """Chunks that are in the store."""
    table = open_snapshot(open_objects(str(store(out, name)))).table
    return np.flatnonzero(table.state == ChunkState.DONE).tolist()


def spooled(out):
    """Rows that are in the spool."""
    return sorted(row for _, s in read_segments(open_objects(str(out)), "spool") for row in s.rows)


def check(out, n, name="predictions.zarr", loader=None):
    np.testing.assert_array_equal(read_predictions(out, loader)["y"], rows(n))
    objects = open_objects(str(store(out, name)))
    report = verify(open_snapshot(objects), ZarrWriter(ZarrOptions(), objects), deep=True)
    assert report.problems == []
    assert not (out / "spool").exists()


def stopped(out, spec, fail_at, writer=EPOCH, **module):
    with pytest.raises(RuntimeError, match="planted"):
        predict(out, spec, {"fail_at": fail_at, **module}, writer=writer)


# --- rows in order --------------------------------------------------------------------------------


def test_whole_chunks_are_in_the_store_before_the_trainer_ends(out):
    stopped(out, [{"n": 70, "batch_size": 5}], fail_at=9)  # 45 rows: two chunks of 16, and 13
    assert done(out) == [0, 1]
    assert spooled(out) == list(range(32, 45))
    assert stored_of(out).tolist() == list(range(45))
    with pytest.raises(PartialResult):
        read_predictions(out)
    before = {k: v for k, v in files(store(out)).items() if k.startswith("y/c.")}
    assert len(before) == 2
    model = predict(out, [{"n": 70, "batch_size": 5, "remaining": True}], writer=EPOCH)
    assert model.seen == list(range(45, 70))
    check(out, 70)
    after = files(store(out))
    assert {k: after[k] for k in before} == before


def test_a_row_is_written_once_where_rows_come_in_order(out):
    wrote = []
    set_fault_hook(lambda operation, key: wrote.append(key) if "done" in operation else None)
    try:
        predict(out, [{"n": 70, "batch_size": 5}], writer=EPOCH)
    finally:
        set_fault_hook(None)
    assert sorted(key for key in wrote if key.startswith("y/c.")) == [
        f"y/c.{n}.0" for n in range(5)
    ]
    assert not any(key.startswith("spool") for key in wrote)
    check(out, 70)


@pytest.mark.parametrize("batch_size", [1, 16, 23, 200])
def test_batches_of_any_size_are_cut_where_chunks_end(out, batch_size):
    predict(out, [{"n": 70, "batch_size": batch_size}], writer=EPOCH)
    check(out, 70)


class Watched(Double):
    """Looks at the store after a batch, as somebody at another terminal would."""

    out = None

    def on_predict_batch_end(self, outputs, batch, batch_idx, dataloader_idx=0):
        callback = next(c for c in self.trainer.callbacks if isinstance(c, PredictionWriter))
        assert callback._session is not None
        callback._session._spool._queue.join()  # all that was handed over is stored
        self.look(batch_idx)

    def look(self, batch_idx):
        self.seen_done = [*getattr(self, "seen_done", []), _done_now(self.out)]


def _done_now(out):
    return open_run(str(store(out))).status().totals.done


def test_it_can_be_watched(out, monkeypatch):
    model = Watched()
    model.out = out
    monkeypatch.setattr(Assembly, "interval", 0.0)
    predict(out, [{"n": 64, "batch_size": 16}], model, writer=EPOCH)
    assert model.seen_done == [1, 2, 3, 4]
    assert open_run(str(store(out))).status().state == "done"


class Cancelled(Watched):
    """Somebody at another terminal has had enough."""

    def look(self, batch_idx):
        if batch_idx == 2:
            assert control.request(open_objects(str(store(self.out))), control.CANCEL, 1)


def test_it_can_be_cancelled(out, monkeypatch):
    model = Cancelled()
    model.out = out
    monkeypatch.setattr(Assembly, "interval", 0.0)
    spec = [{"n": 400, "batch_size": 16}]
    writer = {**EPOCH, "version": "1"}
    with pytest.raises(Interrupted, match="cancelled"):
        predict(out, spec, model, writer=writer)
    # Seen with the chunk after it, obeyed at the next batch, which is stored too.
    assert stored_of(out).tolist() == list(range(5 * 16))
    assert open_run(str(store(out))).status().state == "cancelled"
    predict(out, [{**spec[0], "remaining": True}], writer=writer)
    check(out, 400)


def test_two_loaders_have_a_store_each(out):
    spec = [{"n": 40}, {"n": 33, "batch_size": 5}]
    stopped(out, spec, fail_at=6)
    assert done(out, "predictions-0.zarr") == [0, 1, 2]
    assert done(out, "predictions-1.zarr") == [0]
    predict(out, spec, writer=EPOCH)
    check(out, 40, "predictions-0.zarr", 0)
    check(out, 33, "predictions-1.zarr", 1)


# --- what belongs in the spool --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "module", "writer"),
    [
        ({"shuffle": True}, {}, EPOCH),
        ({"kind": "all"}, {}, EPOCH),
        ({}, {"shape": "text"}, EPOCH),
        ({}, {}, {**EPOCH, "segment_bytes": 100}),
    ],
    ids=["shuffled", "counted", "texts", "small segments"],
)
def test_what_does_not_come_as_whole_chunks_is_not_committed(out, spec, module, writer):
    spec = [{"n": 70, "batch_size": 5, **spec}]
    with pytest.raises(RuntimeError, match="planted"):
        predict(out, spec, {**module, "fail_at": 9}, writer=writer)
    assert not store(out).exists()
    assert len(spooled(out)) == 45
    predict(out, spec, module, writer=writer)
    check(out, 70)


def test_rows_predicted_to_be_none_do_not_keep_others_from_being_committed(out):
    stopped(out, [{"n": 80, "batch_size": 8}], fail_at=9, none_at=(3,))
    # The batch after the gap belongs to the next chunk, which cannot be whole any more.
    assert done(out) == [0, 3]
    assert spooled(out) == [*range(16, 24), *range(32, 48), *range(64, 72)]
    predict(out, [{"n": 80, "batch_size": 8, "remaining": True}], writer=EPOCH)
    found = read_predictions(out)
    assert np.flatnonzero(found.valid == 2).tolist() == list(range(24, 32))
    kept = found.valid == 1
    np.testing.assert_array_equal(found["y"][kept], rows(80)[kept])


def test_time_closes_a_segment_before_its_chunk_is_whole(out):
    # Every segment is due at once: no two batches come together.
    import foretell_torch.writer.spool as spool

    seconds = spool.SECONDS, spool.SHARE
    spool.SECONDS = spool.SHARE = 0.0
    try:
        stopped(out, [{"n": 70}], fail_at=5, writer={"write_interval": "batch"})
    finally:
        spool.SECONDS, spool.SHARE = seconds
    assert not store(out).exists()
    predict(out, [{"n": 70}])
    check(out, 70)


# --- a store that turns out to be of another shape ------------------------------------------------


class Widens(Double):
    """Rows get longer after some batches."""

    at = 6

    def predict_step(self, batch, batch_idx, dataloader_idx=0):
        found = super().predict_step(batch, batch_idx)
        found["seq"] = torch.ones(len(batch), 1 if batch_idx < self.at else 3)
        return found


def widened(out, n, **module):
    predict(out, [{"n": n}], Widens(**module), writer=EPOCH)


def check_widened(out, n):
    check(out, n)
    found = read_predictions(out)
    lengths = np.repeat([1, 3], [48, n - 48])
    np.testing.assert_array_equal(found["seq_lengths"], lengths)
    for row, length in enumerate(lengths):
        assert (found["seq"][row, :length] == 1).all()
        assert np.isnan(found["seq"][row, length:]).all()


def test_rows_that_get_longer_are_padded_in_the_chunks_before_too(out):
    widened(out, 100)
    check_widened(out, 100)


def test_rows_that_get_longer_after_a_restart(out):
    with pytest.raises(RuntimeError, match="planted"):
        widened(out, 100, fail_at=6)
    assert done(out) == [0, 1, 2, 3, 4, 5]  # of 8 rows, which have 16 bytes each here
    widened(out, 100)
    check_widened(out, 100)


def test_stopped_while_chunks_are_taken_back(out, monkeypatch):
    real, calls = write_segment, []

    def fails(*about):
        calls.append(about)
        if len(calls) == 2:
            raise KeyError("planted")
        real(*about)

    with monkeypatch.context() as planted:
        planted.setattr(finish, "write_segment", fails)
        with pytest.raises(KeyError, match="planted"):
            widened(out, 100)
    assert stored_of(out).tolist() == list(range(100))
    widened(out, 100)
    check_widened(out, 100)


# --- somebody else's ------------------------------------------------------------------------------


def test_two_trainers_cannot_make_one_store(out):
    named = {**EPOCH, "version": "1"}

    class Nested(Double):
        def predict_step(self, batch, batch_idx, dataloader_idx=0):
            if batch_idx == 3:
                with pytest.raises(StoreError, match="another process writes"):
                    predict(out, [{"n": 70}], writer=named)
            return super().predict_step(batch, batch_idx)

    predict(out, [{"n": 70}], Nested(), writer=named)
    check(out, 70)


def test_another_model_is_refused_before_anything_is_touched(out):
    stopped(out, [{"n": 70}], fail_at=5)
    before = files(out)
    with pytest.raises(FingerprintMismatch):
        predict(out, [{"n": 70}], {"scale": 3.0}, writer=EPOCH)
    assert files(out) == before


# --- any sequence, any weather --------------------------------------------------------------------


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    n=st.integers(1, 90),
    batch_size=st.integers(1, 40),
    none_at=st.sets(st.integers(0, 12), max_size=2),
    fail_at=st.integers(0, 12),
    remaining=st.booleans(),
)
def test_any_batches_stopped_anywhere(tmp_path_factory, n, batch_size, none_at, fail_at, remaining):
    out = tmp_path_factory.mktemp("any") / "out"
    spec = {"n": n, "batch_size": batch_size}
    try:
        predict(out, [spec], {"none_at": none_at, "fail_at": fail_at}, writer=EPOCH)
    except RuntimeError:
        stored = set(stored_of(out).tolist())
        assert stored <= set(range(fail_at * batch_size))
        predict(out, [{**spec, "remaining": remaining}], {"none_at": none_at}, writer=EPOCH)
    found = read_predictions(out)
    kept = found.valid == 1
    if kept.any():
        np.testing.assert_array_equal(found["y"][kept], rows(n)[kept])
    if not remaining:
        gaps = {at // batch_size for at in np.flatnonzero(~kept).tolist()}
        assert gaps <= none_at


def _operations(out):
    """How many operations the stores of a run have."""
    count = 0

    def counted(operation, key):
        nonlocal count
        count += 1

    set_fault_hook(counted)
    try:
        predict(out, [{"n": 70, "batch_size": 5}], writer=EPOCH)
    finally:
        set_fault_hook(None)
    return count


def test_an_error_at_any_operation_loses_nothing(tmp_path):
    operations = _operations(tmp_path / "whole")
    assert operations > 50
    for number in range(0, operations + 5, 3):
        out = tmp_path / str(number)
        met = 0

        def fails(operation, key, number=number):
            nonlocal met
            met += 1
            if met == number:
                raise OSError(5, "planted")

        set_fault_hook(fails)
        try:
            predict(out, [{"n": 70, "batch_size": 5}], writer=EPOCH)
        except StorageError:
            pass
        finally:
            set_fault_hook(None)
        predict(out, [{"n": 70, "batch_size": 5, "remaining": number % 2 == 0}], writer=EPOCH)
        check(out, 70)


KILLS = [("create-done", 9), ("put-staged", 7)]
ALL_KILLS = [("any", n) for n in range(1, 120, 4)]


@pytest.mark.parametrize(
    ("operation", "number"),
    [*KILLS, *(pytest.param(*kill, marks=pytest.mark.slow) for kill in ALL_KILLS)],
)
def test_killed_at_an_operation(out, monkeypatch, operation, number):
    spec = [{"n": 70, "batch_size": 5}]
    monkeypatch.setenv("FORETELL_TESTING_FAULT", f"op={operation},n={number},do=kill")
    script(1, out=out, spec=spec, writer=EPOCH, chunk_bytes=200)
    monkeypatch.delenv("FORETELL_TESTING_FAULT")
    predict(out, [{**spec[0], "remaining": True}], writer=EPOCH)
    check(out, 70)
