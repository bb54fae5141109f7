import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from foretell.errors import (
    ConfigError,
    FingerprintMismatch,
    NotARun,
    PartialResult,
    ShapeMismatch,
    StoreError,
    UsageError,
)

pytest.importorskip("torch")
import torch

pytest.importorskip("lightning")
from foretell.builtin.writers.zarr import ZarrWriter
from foretell.store.open import open_objects
from foretell_torch import PredictionWriter, read_predictions
from foretell_torch.writer import finish
from foretell_torch.writer.spool import read_segments
from ledger_model import FakeTime
from trainer_run import Double, Rows, loaders, predict, trainer

# Lightning's advice on numbers of workers and the like, which is Lightning's own.
pytestmark = pytest.mark.filterwarnings("default:::lightning", "ignore::UserWarning")

SCRIPT = Path(__file__).parent / "parts" / "trainer_run.py"

MODES = [
    {"write_interval": interval, "format": format}
    for format in ("zarr", "pt")
    for interval in ("batch", "epoch", "batch_and_epoch")
]


@pytest.fixture
def out(tmp_path):
    return tmp_path / "made" / "here"


def rows(n, first=0):
    start = np.arange(first, first + n, dtype="float32")
    return 2 * np.stack([start, start + 0.5], axis=1)


def files(folder):
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def script(code_expected=0, **settings):
    settings["out"] = str(settings["out"])
    done = subprocess.run(
        [sys.executable, str(SCRIPT), json.dumps(settings)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert (done.returncode == 0) == (code_expected == 0), done.stderr[-3000:]
    return done


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


def test_predictions_may_be_returned_too(out):
    predict(out, [{"n": 20}], returned=True)
    np.testing.assert_array_equal(read_predictions(out)["y"], rows(20))


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


# --- killed, and started again --------------------------------------------------------------------


def stored_of(out):
    found = read_predictions(out, allow_partial=True)
    return np.flatnonzero(found.valid == 1)


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


@pytest.mark.parametrize("chunk", [0, 3])
def test_stopped_while_the_store_is_made(out, monkeypatch, chunk):
    monkeypatch.setattr(finish, "CHUNK_BYTES", 100)
    monkeypatch.setattr(finish, "CLOCK", FakeTime().clock)
    write = ZarrWriter.write

    def stopped(self, given, *values):
        if given.id == chunk:
            raise KeyError("planted")
        return write(self, given, *values)

    with monkeypatch.context() as planted:
        planted.setattr(ZarrWriter, "write", stopped)
        with pytest.raises(KeyError, match="planted"):
            predict(out, [{"n": 60}])
    np.testing.assert_array_equal(read_predictions(out)["y"], rows(60))
    model = predict(out, [{"n": 60}])
    assert model.seen == list(range(60))
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


# --- refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"spec": [{"n": 41}]},
        {"module": {"scale": 3.0}},
        {"writer": {"format": "pt"}},
        {"spec": [{"n": 40}, {"n": 40}]},
        {"writer": {"version": "2"}},
    ],
)
def test_another_job_in_the_same_folder_is_refused(out, change):
    given = {"spec": [{"n": 40}], "module": {}, "writer": {}}
    predict(out, **given)
    before = files(out)
    with pytest.raises(FingerprintMismatch, match="something else"):
        predict(out, **{**given, **change})
    assert files(out) == before


def test_files_of_somebody_else_are_refused(out):
    out.mkdir(parents=True)
    (out / "predictions__rank_3__batch_0.pt").write_bytes(b"stale")
    with pytest.raises(StoreError, match="no record of predictions"):
        predict(out, [{"n": 10}], writer={"format": "pt"})
    assert sorted(os.listdir(out)) == ["predictions__rank_3__batch_0.pt"]


def test_an_earlier_run_with_more_ranks_is_refused(out):
    predict(out, [{"n": 40}], writer={"format": "pt"})
    record = json.loads((out / "predictions.json").read_text())
    (out / "predictions.json").write_text(json.dumps({**record, "ranks": 2}))
    with pytest.raises(FingerprintMismatch, match="ranks 2 → 1"):
        predict(out, [{"n": 40}], writer={"format": "pt"})


def test_damage_is_noticed(out):
    with pytest.raises(RuntimeError, match="planted"):
        predict(out, [{"n": 40}], {"fail_at": 4})
    (segment,) = (out / "spool").rglob("*.safetensors")
    data = bytearray(segment.read_bytes())
    data[-3] ^= 1
    segment.write_bytes(data)
    with pytest.raises(StoreError, match="damaged"):
        read_predictions(out, allow_partial=True)


def test_nothing_there(tmp_path):
    with pytest.raises(NotARun, match="no predictions"):
        read_predictions(tmp_path)
    with pytest.raises(ConfigError, match="write_interval"):
        PredictionWriter(tmp_path, "hourly")  # type: ignore[arg-type]  # that is the point


def test_a_loader_with_a_batch_sampler_of_its_own_cannot_be_cut(out):
    with pytest.raises(RuntimeError, match="planted"):
        predict(out, [{"n": 40}], {"fail_at": 2})
    data = Rows(40)

    class Mine(torch.utils.data.BatchSampler):
        pass

    sampler = Mine(torch.utils.data.SequentialSampler(data), 8, False)
    loader = torch.utils.data.DataLoader(data, batch_sampler=sampler)
    writer = PredictionWriter(out)
    with pytest.raises(ConfigError, match="cannot be cut"):
        writer.remaining(loader)
    assert writer.remaining_rows(40).tolist() == list(range(16, 40))


@pytest.mark.parametrize("processes", [0, 1])
def test_a_dataset_that_fetches_batches_does_so_for_the_rest_too(out, processes):
    class Batches(torch.utils.data.Dataset):
        def __len__(self):
            return 40

        def __getitems__(self, indices):
            return [torch.tensor([index, index + 0.5]) for index in indices]

    callback = PredictionWriter(out)
    for module in (Double(fail_at=2), Double()):
        loader = torch.utils.data.DataLoader(Batches(), 8, num_workers=processes)
        with contextlib.suppress(RuntimeError):
            trainer([callback]).predict(module, callback.remaining(loader))
    assert module.seen == list(range(16, 40))
    np.testing.assert_array_equal(read_predictions(out)["y"], rows(40))


def test_reading_processes_are_fine(out):
    predict(out, [{"n": 50, "num_workers": 2}])
    np.testing.assert_array_equal(read_predictions(out)["y"], rows(50))


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


def test_loaders_and_trainer_are_as_a_user_has_them(out):
    callback = PredictionWriter(out)
    given = trainer([callback]).predict(Double(), loaders([{"n": 10}], callback))
    assert torch.cat([part["y"] for part in given]).tolist() == rows(10).tolist()
