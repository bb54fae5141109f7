"""A Trainer with the prediction writer: every row comes back in input order."""

import subprocess
import sys

import numpy as np
import pytest
from foretell.errors import ShapeMismatch, UsageError

pytest.importorskip("torch")
import torch

pytest.importorskip("lightning")
from foretell_torch import PredictionWriter, read_predictions
from foretell_torch.writer import runstore
from lightning.pytorch.callbacks import BasePredictionWriter
from torch.utils.data import DataLoader
from trainer_run import Double, Stream, loaders, predict, trainer
from writing import MODES, rows, script, stored_of

# Lightning's advice on numbers of workers and the like, which is Lightning's own.
pytestmark = pytest.mark.filterwarnings("default:::lightning", "ignore::UserWarning")

# --- what comes out -------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES, ids=lambda m: "-".join(m.values()))
@pytest.mark.parametrize("shuffle", [False, True])
def test_every_row_comes_back_in_input_order(out, mode, shuffle):
    predict(out, [{"n": 101, "shuffle": shuffle}], writer=mode)
    found = read_predictions(out)
    np.testing.assert_array_equal(found["y"], rows(101))
    np.testing.assert_array_equal(found["head/first"], rows(101)[:, 0].astype("int32"))
    assert found.valid.tolist() == [1] * 101
    assert not (out / "spool").exists()


@pytest.mark.parametrize("mode", MODES, ids=lambda m: "-".join(m.values()))
def test_two_loaders_do_not_overwrite_each_other(out, mode):
    predict(out, [{"n": 20}, {"n": 13, "first": 100}], writer=mode)
    np.testing.assert_array_equal(read_predictions(out, 0)["y"], rows(20))
    np.testing.assert_array_equal(read_predictions(out, 1)["y"], rows(13, 100))
    with pytest.raises(UsageError, match="several loaders"):
        read_predictions(out)
    with pytest.raises(UsageError, match="no such loader"):
        read_predictions(out, 2)


@pytest.mark.parametrize("mode", MODES, ids=lambda m: "-".join(m.values()))
def test_an_iterable_dataset_is_counted(out, mode, caplog):
    predict(out, [{"kind": "all", "n": 30}], writer=mode)
    assert "identified by (rank, n)" in caplog.text
    found = read_predictions(out)
    np.testing.assert_array_equal(found["y"], rows(30))
    np.testing.assert_array_equal(found["row_number"], np.arange(30))


@pytest.mark.parametrize("mode", MODES, ids=lambda m: "-".join(m.values()))
def test_batches_that_are_none_leave_gaps(out, mode):
    predict(out, [{"n": 30}], {"none_at": (1, 3)}, writer=mode)
    found = read_predictions(out)
    gaps = [*range(8, 16), *range(24, 30)]
    assert np.flatnonzero(found.valid == 2).tolist() == gaps
    assert np.isnan(found["y"][gaps]).all()
    kept = found.valid == 1
    np.testing.assert_array_equal(found["y"][kept], rows(30)[kept])


@pytest.mark.parametrize("mode", MODES[:4], ids=lambda m: "-".join(m.values()))
def test_nothing_but_none_is_no_prediction_for_any_row(out, mode):
    predict(out, [{"n": 12}], {"none_at": (0, 1)}, writer=mode)
    found = read_predictions(out)
    assert list(found) == []
    assert found.valid.tolist() == [2] * 12


@pytest.mark.parametrize("kind", ["all", "rows"])
def test_an_iterable_dataset_may_have_none_too(out, kind):
    predict(out, [{"kind": kind, "n": 20}], {"none_at": (0,)})
    assert np.flatnonzero(read_predictions(out).valid == 2).tolist() == [*range(8)]


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ("bare", ["output"]),
        ("tuple", ["output_0", "output_1_0", "output_1_1"]),
        ("bf16", ["y"]),
        ("text", ["y", "name"]),
    ],
)
@pytest.mark.parametrize("mode", MODES[:2] + MODES[3:5], ids=lambda m: "-".join(m.values()))
def test_other_kinds_of_predictions(out, shape, names, mode):
    predict(out, [{"n": 20}], {"shape": shape}, writer=mode)
    found = read_predictions(out)
    assert list(found) == names
    np.testing.assert_allclose(found[names[0]], rows(20), rtol=1e-2)
    if shape == "text":
        assert found["name"].tolist() == [f"row {i}" for i in range(20)]


@pytest.mark.parametrize("mode", MODES[:1] + MODES[3:5], ids=lambda m: "-".join(m.values()))
@pytest.mark.parametrize("kind", ["rows", "all"])
@pytest.mark.parametrize("last", [1, 2, 3, 4])
def test_a_list_of_tensors_is_never_taken_for_rows(out, mode, kind, last):
    # The last batch has as many rows as there are outputs; or as a row has tensors.
    predict(out, [{"kind": kind, "n": 4 + last, "batch_size": 4}], {"shape": "list"}, writer=mode)
    found = read_predictions(out)
    np.testing.assert_array_equal(found["output_0"], rows(4 + last))
    np.testing.assert_array_equal(found["output_1"], -rows(4 + last))


@pytest.mark.parametrize("last", [1, 3, 4])
def test_a_tensor_for_each_row_is_never_taken_for_an_output(out, last):
    predict(out, [{"n": 4 + last, "batch_size": 4}], {"shape": "each"})
    found = read_predictions(out)
    assert list(found) == ["output"]
    np.testing.assert_array_equal(found["output"][:, 1], rows(4 + last))


@pytest.mark.parametrize("mode", MODES[:1] + MODES[3:5], ids=lambda m: "-".join(m.values()))
def test_sequences_are_padded_and_their_lengths_come_along(out, mode):
    predict(out, [{"n": 32}], {"shape": "ragged"}, writer=mode)
    found = read_predictions(out)
    lengths = np.repeat([1, 2, 3, 1], 8)
    np.testing.assert_array_equal(found["seq_lengths"], lengths)
    assert found["seq"].shape == (32, 3)
    for row, length in enumerate(lengths):
        assert (found["seq"][row, :length] == 1).all()
        assert np.isnan(found["seq"][row, length:]).all()


@pytest.mark.parametrize(
    ("shape", "offender"),
    [("scalar", "loss"), ("short", "y"), ("key", "more"), ("dtype", "y")],
)
def test_what_cannot_be_stored_names_the_offender(out, shape, offender):
    with pytest.raises(ShapeMismatch) as caught:
        predict(out, [{"n": 20}], {"shape": shape})
    assert offender in str(caught.value)


class Collated(Double):
    """Takes a batch as a list of samples, or as a list of parts of all of them."""

    def predict_step(self, batch, batch_idx, dataloader_idx=0):
        parts = batch[0].ndim == 2
        return super().predict_step(batch[0] if parts else torch.stack(batch), batch_idx)


def parts_of(samples):
    return [torch.stack(samples), torch.stack(samples)[:, 0], torch.stack(samples)[:, 1]]


@pytest.mark.parametrize("collate", [list, parts_of])
@pytest.mark.parametrize(("n", "none_at"), [(14, 0), (14, 1), (14, 3), (15, 3), (13, 3), (16, 3)])
def test_a_list_of_samples_or_of_parts_has_its_rows_counted(out, collate, n, none_at):
    loader = DataLoader(Stream(n, False), batch_size=4, collate_fn=collate)
    runner = trainer([PredictionWriter(out)])
    runner.predict(Collated(none_at=(none_at,)), loader, return_predictions=False)
    found = read_predictions(out)
    gaps = [*range(4 * none_at, min(4 * none_at + 4, n))]
    assert np.flatnonzero(found.valid != 1).tolist() == gaps
    kept = found.valid == 1
    np.testing.assert_array_equal(found["y"][kept], rows(n)[kept])


def test_a_batch_whose_rows_nobody_can_tell_is_refused(out):
    # One sample of two numbers, or two rows of one part: batches of two samples looked alike.
    loader = DataLoader(Stream(5, False), batch_size=2, collate_fn=list)
    with pytest.raises(ShapeMismatch, match="nobody knows how many rows"):
        trainer([PredictionWriter(out)]).predict(
            Collated(none_at=(2,)), loader, return_predictions=False
        )


def test_a_list_that_could_be_either_is_refused(out):
    with pytest.raises(ShapeMismatch, match="can be read in two ways"):
        predict(out, [{"n": 20, "batch_size": 2}], {"shape": "list"})


def test_predictions_may_be_returned_too(out):
    predict(out, [{"n": 20}], returned=True)
    np.testing.assert_array_equal(read_predictions(out)["y"], rows(20))


class Theirs(BasePredictionWriter):
    """Somebody's own writer: keeps which rows it was given."""

    def write_on_batch_end(self, trainer, module, prediction, indices, *about):
        self.batches = [*getattr(self, "batches", []), indices]

    def write_on_epoch_end(self, trainer, module, predictions, indices):
        self.epoch = indices


def test_several_writers_in_one_trainer(out):
    theirs = Theirs("batch_and_epoch")
    ours = [PredictionWriter(out / "zarr"), PredictionWriter(out / "pt", format="pt")]
    runner = trainer([ours[0], theirs, ours[1]])
    runner.predict(Double(), loaders([{"n": 20}]), return_predictions=False)
    for writer in ours:
        np.testing.assert_array_equal(read_predictions(writer.output_dir)["y"], rows(20))
    assert [row for batch in theirs.batches for row in batch] == list(range(20))
    assert theirs.epoch == [theirs.batches]


def test_what_comes_out_is_a_run_like_any_other(out):
    predict(out, [{"n": 50}], {"none_at": (1,)})
    store = str(out / "predictions.zarr")
    for words, code in ((["verify", "--deep"], 0), (["show"], 0), (["status", "--exit-code"], 3)):
        done = subprocess.run(
            [sys.executable, "-m", "foretell", *words, store], capture_output=True, text=True
        )
        assert done.returncode == code, done.stdout + done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "foretell", "resume", store], capture_output=True, text=True
    )
    assert done.returncode == 4
    assert "live" in done.stderr


def test_files_carry_the_known_names_and_hold_tensors_alone(out):
    predict(out, [{"n": 20}], writer={"format": "pt", "write_interval": "batch_and_epoch"})
    names = sorted(path.name for path in out.glob("*.pt"))
    batches = [f"predictions__rank_0__batch_{i}.pt" for i in range(3)]
    assert names == sorted(["predictions__rank_0.pt", *batches])
    first = torch.load(out / batches[0], weights_only=True)
    assert first["y"].tolist() == rows(8).tolist()
    whole = torch.load(out / "predictions__rank_0.pt", weights_only=True)
    assert whole["y"].tolist() == rows(20).tolist()
    assert whole["head"]["first"].shape == (20,)


def test_few_files_for_many_rows(out):
    with pytest.raises(RuntimeError, match="planted"):
        predict(
            out, [{"n": 5000, "batch_size": 5}], {"fail_at": 900}, writer={"segment_bytes": 9000}
        )
    segments = list((out / "spool").rglob("*.safetensors"))
    # A row has 12 bytes: 750 rows a segment, and one that time closed now and then.
    assert 6 <= len(segments) <= 12


# --- several processes ----------------------------------------------------------------------------


DDP = {"devices": 2, "strategy": "ddp"}


@pytest.mark.parametrize(
    "mode", [MODES[0], pytest.param(MODES[4], marks=pytest.mark.slow)], ids=["zarr", "pt"]
)
def test_two_ranks_with_rows_that_do_not_divide(out, mode):
    script(0, out=out, spec=[{"n": 51}, {"n": 33, "repeating": 2}], writer=mode, settings=DDP)
    np.testing.assert_array_equal(read_predictions(out, 0)["y"], rows(51))
    np.testing.assert_array_equal(read_predictions(out, 1)["y"], rows(33))
    if mode["format"] == "pt":
        counts = [
            len(torch.load(out / f"predictions__rank_{r}__loader_{n}.pt", weights_only=True)["y"])
            for n in range(2)
            for r in range(2)
        ]
        assert counts == [26, 25, 17, 16]


def test_two_ranks_that_hold_a_part_of_each_weight(out):
    script(0, out=out, spec=[{"n": 51}], settings={"devices": 2}, sharded=True)
    np.testing.assert_array_equal(read_predictions(out)["y"], rows(51))


@pytest.mark.parametrize("order", ["rank", pytest.param("turns", marks=pytest.mark.slow)])
def test_two_ranks_with_an_iterable_dataset(out, order):
    writer = {"iterable_order": order}
    script(0, out=out, spec=[{"kind": "split", "n": 21}], writer=writer, settings=DDP)
    found = read_predictions(out)
    number = [*range(0, 21, 2), *range(1, 21, 2)] if order == "rank" else list(range(21))
    np.testing.assert_array_equal(found["y"], rows(21)[number])
    assert found["row_rank"].tolist() == [n % 2 for n in number]


def test_two_ranks_killed_and_finished_by_one(out):
    # A segment a batch: at most three wait for the writing thread, so whoever is killed at the
    # tenth batch has stored some however slow the disk.
    writer = {"segment_bytes": 40}
    spec = [{"n": 90, "batch_size": 4}]
    script(1, out=out, spec=spec, module={"kill_at": 9}, writer=writer, settings=DDP)
    known = stored_of(out)
    assert 0 < len(known) < 90
    model = predict(out, [{"n": 90, "remaining": True}], writer=writer)
    assert sorted(model.seen) == sorted(set(range(90)) - set(known.tolist()))
    np.testing.assert_array_equal(read_predictions(out)["y"], rows(90))


def test_two_ranks_for_the_last_row(out, monkeypatch):
    # Of the 40 rows that are stored first 32 are in the run store already.
    monkeypatch.setattr(runstore, "CHUNK_BYTES", 200)
    one_missing = {"limit_predict_batches": 10}
    predict(out, [{"n": 41, "batch_size": 4}], settings=one_missing)
    assert stored_of(out).tolist() == list(range(40))
    # With a row for one of two ranks Lightning would give up.
    spec = [{"n": 41, "batch_size": 4, "remaining": True}]
    script(out=out, spec=spec, settings=DDP, chunk_bytes=200)
    np.testing.assert_array_equal(read_predictions(out)["y"], rows(41))


def test_loaders_and_trainer_are_as_a_user_has_them(out):
    callback = PredictionWriter(out)
    given = trainer([callback]).predict(Double(), loaders([{"n": 10}], callback))
    assert torch.cat([part["y"] for part in given]).tolist() == rows(10).tolist()
