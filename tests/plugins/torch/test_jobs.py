"""Whole runs: through the command with workers, and in this process with live objects."""

import shutil
import time
from pathlib import Path

import foretell
import numpy as np
import pytest

pytest.importorskip("torch")
import torch

pytest.importorskip("lightning")
from nets import Numbers, Small, built

PARTS = Path(__file__).parent / "parts"


@pytest.fixture
def numbers():
    return np.random.default_rng(0).normal(size=(640, 6)).astype("float32")


def command(bench, output, **sets):
    torch_job = {
        "predictor.kind": "torch",
        "predictor.checkpoint": "w.pt",
        "predictor.batch_size": 16,
        "schedule.chunk": 32,
    }
    words = ["predict", "--source", "x.npy", "--model", "nets:Small", "--output", output]
    return bench.command(*words, sets=torch_job | sets)


def outputs(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] != "_run"
    }


def test_killed_resumed_and_on_two_workers_is_all_the_same(bench, numbers):
    shutil.copy(PARTS / "nets.py", bench.folder)
    bench.data(numbers)
    torch.save(built().state_dict(), bench.folder / "w.pt")
    slow = {"predictor.postprocess": "post:slow"}
    (bench.folder / "post.py").write_text(
        "import time\ndef slow(y):\n    time.sleep(0.05)\n    return {'logits': y}\n"
    )
    process = bench.start(command(bench, str(bench.store), **slow))
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if len(list((bench.store / "_run" / "ledger").glob("*"))) >= 4:
            break
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert bench.json("status", str(bench.store))["totals"]["done"] < 20
    assert bench.sdk("resume", str(bench.store)).code == 0
    bench.verified()
    other = bench.folder / "two.zarr"
    done = bench.run(command(bench, str(other), **slow, **{"schedule.workers": 2}))
    assert done.code == 0, done.err
    assert outputs(other) == outputs(bench.store)
    with torch.inference_mode():
        expected = built()(torch.from_numpy(numbers)).numpy()
    np.testing.assert_allclose(bench.opened()["logits"][:], expected, rtol=1e-4, atol=1e-6)


def test_a_lightning_module_over_its_datamodules_loader(bench):
    for name in ("nets.py", "modules.py"):
        shutil.copy(PARTS / name, bench.folder)
    sets = {
        "source.kind": "lightning-loader",
        "source.dataset": "modules:Digits",
        "source.options": "{n = 40}",
        "source.loader": 1,
        "source.num_workers": 1,
        "predictor.kind": "lightning",
        "predictor.model": "modules:Telling",
        "predictor.datamodule": "modules:Digits",
        "predictor.dataloader_idx": 1,
        "predictor.batch_size": 8,
        "schedule.chunk": 16,
    }
    done = bench.run(bench.command("predict", "--output", str(bench.store), sets=sets))
    assert done.code == 0, done.err
    run = bench.opened()
    np.testing.assert_array_equal(run["batch"][:], np.repeat(np.arange(5), 8))
    assert set(run["loader"][:].tolist()) == {1}
    rows = np.random.default_rng(0).normal(size=(40, 6)).astype("float32") * 10
    from modules import Telling

    with torch.inference_mode():
        # The module's own hook doubles what was collated.
        expected = Telling()(torch.from_numpy(rows) * 2).numpy()
    np.testing.assert_allclose(run["logits"][:], expected, rtol=1e-4, atol=1e-5)


def predict(tmp_path, model, source, **about):
    about.setdefault("schedule", {"workers": 0, "chunk": 64})
    about.setdefault("deployer", {"device": "cpu"})
    return foretell.predict(model, source, tmp_path / "r.zarr", **about)


def test_a_live_module_needs_no_more_than_itself(tmp_path, numbers):
    model = built()
    run = predict(tmp_path, model, numbers, batch_size=32)
    with torch.inference_mode():
        expected = model(torch.from_numpy(numbers)).numpy()
    np.testing.assert_allclose(run["output"][:], expected, rtol=1e-4, atol=1e-6)
    assert run.manifest.job["predictor"]["kind"] == "torch"
    assert run.manifest.job["deployer"]["kind"] == "torch"


def test_a_live_dataset_gives_records_and_its_broken_rows(tmp_path):
    class Sums(torch.nn.Module):
        def forward(self, x, n):
            return {"sum": x.sum(1) + n}

    def collate(records):
        return {key: np.stack([record[key] for record in records]) for key in ("x", "n")}

    run = predict(
        tmp_path,
        Sums(),
        Numbers(100, broken=[7]),
        batch_size=32,
        collate=collate,
        allow_partial=True,
    )
    rows = np.arange(100)
    expected = 15.0 + 7 * rows
    kept = rows != 7
    np.testing.assert_array_equal(run["sum"].filled()[:][kept], expected[kept])
    assert np.flatnonzero(run.valid[:] == 2).tolist() == [7]
    (failure,) = run.failures()
    assert "is broken" in str(failure)


def test_rows_the_module_fails_on_are_set_aside_alone(tmp_path, numbers):
    numbers[[5, 300], 0] = 99
    model = Small(fail_above=50)
    run = predict(tmp_path, model, numbers, batch_size=32, allow_partial=True)
    assert np.flatnonzero(run.valid[:] == 2).tolist() == [5, 300]


def test_out_of_memory_halves_the_batch_and_loses_nothing(tmp_path, numbers):
    seen = []

    class Tight(torch.nn.Module):
        def forward(self, x):
            seen.append(len(x))
            if len(x) > 10:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return x.sum(1)

    run = predict(tmp_path, Tight(), numbers, batch_size=64, predictor={"version": "1"})
    np.testing.assert_allclose(run["output"][:], numbers.sum(1), rtol=1e-4, atol=1e-5)
    # 64, 32 and 16 are tried once by each slot at most; then 8 is remembered.
    assert seen.count(8) >= 80
    assert sum(size > 8 for size in seen) <= 12
