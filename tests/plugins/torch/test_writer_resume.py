"""The prediction writer killed, stopped or limited, and started again."""

import numpy as np
import pytest
from foretell.errors import PartialResult

pytest.importorskip("torch")
import torch

pytest.importorskip("lightning")
from foretell.builtin.writers.zarr import ZarrWriter
from foretell.store.open import open_objects
from foretell_torch import read_predictions
from foretell_torch.writer import finish, runstore
from foretell_torch.writer.spool import read_segments
from ledger_model import FakeTime
from trainer_run import predict
from writing import MODES, files, rows, script, stored_of

# Lightning's advice on numbers of workers and the like, which is Lightning's own.
pytestmark = pytest.mark.filterwarnings("default:::lightning", "ignore::UserWarning")


KILLED = [(MODES[0], True), (MODES[3], False)]
ALSO_KILLED = [(mode, r) for mode in MODES for r in (False, True) if (mode, r) not in KILLED]


@pytest.mark.parametrize(
    ("mode", "remaining"),
    [*KILLED, *(pytest.param(*pair, marks=pytest.mark.slow) for pair in ALSO_KILLED)],
)
def test_killed_and_started_again(out, mode, remaining):
    small = {**mode, "segment_bytes": 100}
    script(1, out=out, spec=[{"n": 100}], module={"kill_at": 9}, writer=small)
    known = stored_of(out)
    assert 0 < len(known) < 100
    with pytest.raises(PartialResult):
        read_predictions(out)
    recorded = {
        name for _, s in read_segments(open_objects(str(out)), "index") for name, _ in s.files
    }
    before = {k: v for k, v in files(out).items() if k in recorded or k.startswith("index")}
    model = predict(out, [{"n": 100, "remaining": remaining}], writer=small)
    found = read_predictions(out)
    np.testing.assert_array_equal(found["y"], rows(100))
    expected = sorted(set(range(100)) - set(known.tolist())) if remaining else list(range(100))
    assert sorted(model.seen) == expected
    after = files(out)
    assert {k: after[k] for k in before} == before


@pytest.mark.parametrize("mode", [MODES[3], MODES[5]], ids=lambda m: "-".join(m.values()))
@pytest.mark.parametrize("noted", [False, True])
@pytest.mark.parametrize("remaining", [False, True])
def test_no_row_is_in_two_files(out, mode, noted, remaining):
    """Files that a killed process had not noted go; of a batch with stored rows the others stay."""
    mode = {**mode, "segment_bytes": 100 if noted else 2**20}
    script(1, out=out, spec=[{"n": 100}], module={"kill_at": 9}, writer=mode)
    assert len(list(out.glob("*__batch_*.pt"))) == 9
    assert bool(len(stored_of(out))) == noted
    predict(out, [{"n": 100, "batch_size": 40, "remaining": remaining}], writer=mode)
    np.testing.assert_array_equal(read_predictions(out)["y"], rows(100))
    found = [torch.load(path, weights_only=True) for path in out.glob("*__batch_*.pt")]
    assert sorted(np.concatenate([one["y"] for one in found])[:, 0]) == rows(100)[:, 0].tolist()


@pytest.mark.parametrize("mode", [MODES[0], MODES[4]], ids=lambda m: "-".join(m.values()))
@pytest.mark.parametrize("remaining", [False, True])
def test_an_iterable_dataset_goes_on_where_it_stopped(out, mode, remaining):
    small = {**mode, "segment_bytes": 100}
    spec = {"kind": "all", "n": 100}
    with pytest.raises(RuntimeError, match="planted"):
        predict(out, [spec], {"fail_at": 5}, writer=small)
    assert stored_of(out).tolist() == list(range(40))
    model = predict(out, [{**spec, "remaining": remaining}], writer=small)
    np.testing.assert_array_equal(read_predictions(out)["y"], rows(100))
    assert model.seen == list(range(40 if remaining else 0, 100))


@pytest.mark.parametrize("remaining", [False, True])
@pytest.mark.parametrize("chunk", [0, 3])
def test_stopped_while_the_store_is_made(out, monkeypatch, chunk, remaining):
    monkeypatch.setattr(runstore, "CHUNK_BYTES", 100)
    monkeypatch.setattr(runstore, "CLOCK", FakeTime().clock)
    write = ZarrWriter.write

    def stopped(self, given, *values):
        if given.id == chunk:
            raise KeyError("planted")
        return write(self, given, *values)

    with monkeypatch.context() as planted:
        planted.setattr(ZarrWriter, "write", stopped)
        with pytest.raises(KeyError, match="planted"):
            predict(out, [{"n": 60, "shuffle": True}])
    np.testing.assert_array_equal(read_predictions(out)["y"], rows(60))
    model = predict(out, [{"n": 60, "shuffle": True, "remaining": remaining}])
    # A Trainer that finds its loaders empty would not call the writer.
    assert sorted(model.seen) == ([0] if remaining else list(range(60)))
    assert not (out / "spool").exists()
    np.testing.assert_array_equal(read_predictions(out)["y"], rows(60))


def test_a_complete_folder_is_not_touched(out):
    predict(out, [{"n": 40}])
    before = files(out)
    predict(out, [{"n": 40}])
    assert files(out) == before
    model = predict(out, [{"n": 40, "remaining": True}])
    assert model.seen == []
    assert files(out) == before


@pytest.mark.parametrize("remaining", [False, True])
def test_a_spool_that_outlived_its_rows_is_removed(out, monkeypatch, remaining):
    # As a process leaves it that is killed after it said that everything is there.
    with monkeypatch.context() as planted:
        planted.setattr(finish, "tidy", lambda folder, record: None)
        predict(out, [{"n": 40, "shuffle": True}])
    assert (out / "spool").exists()
    predict(out, [{"n": 40, "remaining": remaining}])
    assert not (out / "spool").exists()
    np.testing.assert_array_equal(read_predictions(out)["y"], rows(40))


def test_a_limit_leaves_rows_for_the_next_run(out):
    predict(out, [{"n": 40}], settings={"limit_predict_batches": 2})
    with pytest.raises(PartialResult) as caught:
        read_predictions(out)
    assert ("missing", "16, 17, 18, 19, 20, 21, 22, 23 and 16 more") in caught.value.facts
    found = read_predictions(out, allow_partial=True)
    assert found.missing.tolist() == list(range(16, 40))
    assert np.isnan(found["y"][16:]).all()
    predict(out, [{"n": 40}])
    np.testing.assert_array_equal(read_predictions(out)["y"], rows(40))


def test_a_limit_of_counted_rows_is_not_taken_for_their_end(out):
    spec = [{"kind": "all", "n": 40}]
    predict(out, spec, settings={"limit_predict_batches": 2})
    with pytest.raises(PartialResult, match="not complete"):
        read_predictions(out)
    predict(out, spec)
    assert len(read_predictions(out)["y"]) == 40
