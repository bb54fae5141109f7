"""What the prediction writer refuses, and what is read of a folder that is not whole."""

import contextlib
import json
import os

import numpy as np
import pytest
from foretell.errors import (
    ConfigError,
    FingerprintMismatch,
    NotARun,
    StoreError,
)

pytest.importorskip("torch")
import torch

pytest.importorskip("lightning")
from foretell_torch import PredictionWriter, read_predictions
from trainer_run import Double, Rows, loaders, predict, trainer
from writing import files, rows

# Lightning's advice on numbers of workers and the like, which is Lightning's own.
pytestmark = pytest.mark.filterwarnings("default:::lightning", "ignore::UserWarning")


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


def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_computed(tmp_path):
    (tmp_path / "file").write_text("")
    model = Double()
    runner = trainer([PredictionWriter(tmp_path / "file" / "p")])
    with pytest.raises(StoreError, match="the output folder cannot be written") as caught:
        runner.predict(model, loaders([{"n": 20}]), return_predictions=False)
    assert caught.value.tries == (("output_dir=another folder", ""),)
    assert model.seen == []


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
