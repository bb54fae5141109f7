import functools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from foretell import demo

pytest.importorskip("jax")

EXAMPLES = Path(__file__).parents[2] / "examples"
MESHES = {1: ["{ dp = 1, mp = 1 }"], 2: ["{ dp = 1, mp = 2 }"], 4: ["{ dp = 2, mp = 2 }"]}
MESHES[8] = ["{ dp = 8, mp = 1 }", "{ dp = 1, mp = 8 }"]


@functools.cache
def images():
    with np.load(demo.HERE / "digits.npz") as data:
        return data["images"]


@pytest.mark.parametrize("devices", MESHES)
def test_the_same_digits_on_every_mesh(bench, devices):
    for at, mesh in enumerate(MESHES[devices]):
        store = bench.folder / f"{at}.zarr"
        job = ["predict", str(EXAMPLES / "digits-jax" / "job.toml"), "--output", str(store)]
        sets = {"deployer.simulated_devices": devices, "deployer.mesh": mesh, "source.rows": ":600"}
        done = bench.run(bench.command(*job, sets=sets))
        assert done.code == 0, done.err
        import foretell

        run = foretell.open_run(str(store))
        np.testing.assert_allclose(run["logits"][:], reference(), rtol=1e-5, atol=1e-4)
        np.testing.assert_array_equal(run["label"][:], reference().argmax(1))


@functools.cache
def reference():
    """The network in NumPy: what a mesh must not change."""
    from safetensors.numpy import load_file

    weights = load_file(EXAMPLES / "digits-jax" / "cnn.safetensors")
    x = images()[:600].reshape(-1, 8, 8, 1).astype(np.float32) / 16
    for name, stride in (("conv_1", 1), ("conv_2", 2)):
        x = _convolved(x, weights[f"{name}.kernel"], stride) + weights[f"{name}.bias"]
        x = np.maximum(x, 0)
    x = x.reshape(len(x), -1)
    x = np.maximum(x @ weights["up.kernel"] + weights["up.bias"], 0)
    return x @ weights["down.kernel"] + weights["down.bias"]


def _convolved(x, kernel, stride):
    """``SAME`` padding: with stride 2 on an even side, all of it after the last row and column."""
    before = (3 - stride) // 2
    padded = np.pad(x, ((0, 0), (before, 2 - before), (before, 2 - before), (0, 0)))
    side = x.shape[1] // stride
    windows = [
        padded[:, i : i + side * stride : stride, j : j + side * stride : stride] @ kernel[i, j]
        for i in range(3)
        for j in range(3)
    ]
    return np.sum(windows, axis=0)


def test_the_shipped_network_reads_digits_it_was_not_trained_on():
    with np.load(demo.HERE / "digits.npz") as data:
        labels, held_out = data["labels"][:600], data["held_out"][:600]
    right = reference().argmax(1) == labels
    assert right[held_out].mean() > 0.96


@pytest.mark.slow
def test_training_gives_a_network_as_good_as_the_one_that_is_shipped(tmp_path):
    pytest.importorskip("optax")
    script = EXAMPLES / "digits-jax" / "train.py"
    command = [sys.executable, str(script), "--output", str(tmp_path / "cnn.safetensors")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert float(done.stdout.split()[-3]) > 0.96


def test_the_decoder_runs_under_automatic_rules(bench):
    job = str(EXAMPLES / "llama-jax" / "job.toml")
    plan = bench.run(
        [
            *bench.command("plan", job, sets={}),
            "--no-probe",
            "--sharding",
            "--output",
            str(bench.store),
        ]
    )
    assert plan.code == 0, plan.err
    specs = {}
    for line in plan.out.splitlines():
        if "float32" in line and "/" in line:
            specs[line.split()[0]] = line[line.rindex("(") : line.rindex(")") + 1]
    assert specs["embed_tokens/embedding"] == "(mp, None)"
    assert specs["layers/1/self_attn/v_proj/kernel"] == "(None, mp)"
    assert specs["layers/1/mlp/down_proj/kernel"] == "(mp, None)"
    assert specs["norm/weight"] == "()"
    assert len(specs) == 21
    done = bench.run(bench.command("predict", job, "--output", str(bench.store), sets={}))
    assert done.code == 0, done.err
    nats = bench.opened()["nats_per_byte"][:]
    assert len(nats) == 40
    assert np.isfinite(nats).all()
