"""Chunks that are committed while the Trainer predicts, and what is done where none can be."""

import numpy as np
import pytest
from foretell import open_run
from foretell.errors import (
    FingerprintMismatch,
    Interrupted,
    PartialResult,
    StoreError,
)

pytest.importorskip("torch")
pytest.importorskip("lightning")
import torch
from committing import EPOCH, SLOW, check, done, spooled, stopped, store
from foretell.store import control
from foretell.store.assemble import Assembly
from foretell.store.objects import set_fault_hook
from foretell.store.open import open_objects
from foretell_torch import PredictionWriter, read_predictions
from foretell_torch.writer import finish, spool
from foretell_torch.writer.spool import write_segment
from trainer_run import Double, predict
from writing import files, rows, stored_of

# Lightning's advice on numbers of workers and the like, which is Lightning's own.
pytestmark = [
    pytest.mark.filterwarnings("default:::lightning", "ignore::UserWarning"),
    pytest.mark.usefixtures("small_chunks"),
]

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


def test_a_store_that_was_begun_keeps_its_compression(out):
    stopped(out, [{"n": 70}], 6, {**EPOCH, "compression": 3})
    predict(out, [{"n": 70}], writer={**EPOCH, "compression": 0})
    check(out, 70)


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


def settle(trainer):
    """Wait until all that was handed to the writer is stored."""
    callback = next(c for c in trainer.callbacks if isinstance(c, PredictionWriter))
    assert callback._session is not None
    callback._session._spool._queue.join()


class Watched(Double):
    """Looks at the store after a batch, as somebody at another terminal would."""

    out = None

    def on_predict_batch_end(self, outputs, batch, batch_idx, dataloader_idx=0):
        settle(self.trainer)
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


def test_a_chunk_that_comes_in_parts_leaves_the_spool_once_it_is_whole(out):
    stopped(out, [{"n": 70, "batch_size": 5}], 9, SLOW)
    assert done(out) == [0, 1]
    assert spooled(out) == list(range(32, 45))
    model = predict(out, [{"n": 70, "batch_size": 5, "remaining": True}], writer=SLOW)
    assert model.seen == list(range(45, 70))
    check(out, 70)


def test_rows_are_stored_by_time_and_chunks_are_committed_still(out, monkeypatch):
    monkeypatch.setattr(spool, "SECONDS", 0.0)
    monkeypatch.setattr(spool, "SHARE", 0.0)
    stopped(out, [{"n": 70}], 5, {"write_interval": "batch"})
    assert done(out) == [0, 1]
    assert spooled(out) == list(range(32, 40))
    predict(out, [{"n": 70}], writer={"write_interval": "batch"})
    check(out, 70)


# --- what belongs in the spool --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "module"),
    [({"shuffle": True}, {}), ({"kind": "all"}, {}), ({}, {"shape": "text"})],
    ids=["shuffled", "counted", "texts"],
)
@pytest.mark.parametrize("writer", [EPOCH, SLOW], ids=["fast", "slow"])
def test_what_does_not_come_as_whole_chunks_is_not_committed(out, spec, module, writer):
    spec = [{"n": 70, "batch_size": 5, **spec}]
    stopped(out, spec, 9, writer, **module)
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
                settle(self.trainer)
                with pytest.raises(StoreError, match="another process writes"):
                    predict(out, [{"n": 70}], writer=named)
            return super().predict_step(batch, batch_idx)

    predict(out, [{"n": 70}], Nested(), writer=named)
    check(out, 70)


def test_no_chunk_is_taken_from_a_trainer_at_work(out):
    """Not even by one that found rows for which the store would have to be made again."""
    named = {**EPOCH, "version": "1"}

    class Wider(Widens):
        at = 0

    class Nested(Widens):
        at = 100

        def predict_step(self, batch, batch_idx, dataloader_idx=0):
            if batch_idx == 3:
                settle(self.trainer)
                before = done(out)
                assert before
                with pytest.raises(StoreError, match="another process writes"):
                    predict(out, [{"n": 70}], Wider(), writer=named)
                assert done(out) == before
            return super().predict_step(batch, batch_idx)

    predict(out, [{"n": 70}], Nested(), writer=named)
    check(out, 70)


def test_another_model_is_refused_before_anything_is_touched(out):
    stopped(out, [{"n": 70}], fail_at=5)
    before = files(out)
    with pytest.raises(FingerprintMismatch):
        predict(out, [{"n": 70}], {"scale": 3.0}, writer=EPOCH)
    assert files(out) == before
