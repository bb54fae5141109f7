"""The plugin under ``sdk``: as typed, killed, resumed, planned, refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jax")

NETS = Path(__file__).parent / "nets.py"


def rows(count):
    return np.random.default_rng(0).normal(size=(count, 6)).astype(np.float32)


def command(bench, verb="predict", model="noisy", **sets):
    settings = {
        "predictor.kind": "jax",
        "predictor.params": f"{NETS}:init",
        "predictor.batch_size": 16,
        "schedule.chunk": 32,
        "deployer.simulated_devices": 8,
        "deployer.mesh": "{ dp = 4, mp = 2 }",
        **({"schedule.workers": 0} if verb == "plan" else {}),
        **sets,
    }
    words = [verb, "--source", "x.npy", "--model", f"{NETS}:{model}", "--output", str(bench.store)]
    return bench.command(*words, sets=settings)


def test_importing_the_plugin_imports_no_jax():
    code = (
        "import sys, foretell_jax, foretell_jax.plugin;"
        "import foretell_jax.predictor, foretell_jax.runner;"
        "print({'jax', 'flax', 'numpy.f2py', 'orbax'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_sharded_run_killed_in_the_middle_goes_on_to_the_same_bytes(bench):
    bench.data(rows(512))
    assert bench.run(command(bench)).code == 0
    clean = bench.outputs()
    run = bench.opened()
    record = json.loads((bench.store / "_run" / "workers.json").read_text())
    figures = record["workers"][0]["deployment"]
    assert figures["mesh"] == {"dp": 4, "mp": 2}
    assert figures["compiles"] == 1
    assert figures["compile_seconds"] > 0
    assert run["logits"].shape == (512, 4)
    bench.store.rename(bench.folder / "clean.zarr")

    # A collate that waits at the last chunk until the driver is dead: it dies in the middle.
    gate = bench.folder / "gate"
    (bench.folder / "waiting.py").write_text(
        f"""
import time
from pathlib import Path

import numpy as np

LAST = np.load({str(bench.folder / "x.npy")!r})[-1]


def collate(rows):
    while (rows == LAST).all(1).any() and not Path({str(gate)!r}).exists():
        time.sleep(0.02)
    return rows
"""
    )
    collating = {"predictor.collate": "waiting:collate"}
    process = bench.start(command(bench, **collating))
    until = time.monotonic() + 120
    while time.monotonic() < until and _done(bench) < 8:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = _done(bench)
    assert 8 <= before < 16
    gate.touch()
    finished = bench.run(command(bench, **collating))
    assert finished.code == 0, finished.err
    again = bench.outputs()
    # The root says nothing of the collate, so even it is the same.
    assert again == clean
    bench.verified()


def _done(bench):
    import foretell

    try:
        run = foretell.open_run(str(bench.store))
    except foretell.errors.ForetellError:
        return 0
    return int((run.snapshot.table.state == 3).sum())


def test_a_plan_says_where_the_parameters_lie(bench):
    bench.data(rows(64))
    done = bench.run([*command(bench, "plan"), "--no-probe", "--sharding"])
    assert done.code == 0, done.err
    lines = [line.split() for line in done.out.splitlines()]
    assert ["mesh", "dp", "4", "x", "mp", "2"] in lines
    assert any(line[:2] == ["up/kernel", "(6,"] and line[-1] == "192" for line in lines)
    assert any(line[:2] == ["parameters", "2,"] for line in lines)


def test_parameters_that_cannot_fit_are_refused_before_they_are_read(bench):
    bench.data(rows(64))
    done = bench.run([*command(bench, "plan", **{"deployer.device_memory": 200}), "--no-probe"])
    assert done.code == 4
    assert "error[device-memory]" in done.err
    assert "at most 200 B on each of 8 devices" in done.err
    assert not bench.store.exists()


@pytest.mark.parametrize(
    ("sets", "code", "text"),
    [
        ({"deployer.n_model_shards": 2}, 2, "mesh or n_model_shards, not both"),
        ({"deployer.mesh": "{ dp = 4, mp = 3 }"}, 4, "error[mesh-devices]"),
        ({"deployer.buckets": "[8]"}, 4, "no bucket holds a full batch"),
        ({"deployer.buckets": "[18]"}, 4, "not a multiple"),
        ({"deployer.rules": '[[["up", "kernel"], []]]'}, 4, "no sharding rule takes 1"),
        ({"predictor.options": "{ wide = 3 }"}, 4, "error[config-options]"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(bench, sets, code, text):
    bench.data(rows(64))
    done = bench.run([*command(bench, "plan", "dense", **sets), "--no-probe"])
    assert (done.code, text in done.err) == (code, True), done.err


def test_one_bad_row_costs_one_row(bench):
    bench.data(rows(64))
    (bench.folder / "picky.py").write_text(
        "def collate(rows):\n"
        "    if (rows[:, 0] > 2.2).any():\n"
        "        raise ValueError('too large')\n"
        "    return rows\n"
    )
    bad = np.flatnonzero(rows(64)[:, 0] > 2.2)
    assert len(bad) == 1
    sets = {"predictor.collate": "picky:collate", "schedule.workers": 0}
    done = bench.run(command(bench, **sets))
    assert done.code == 3, done.err
    assert np.flatnonzero(bench.opened().valid[:] != 1).tolist() == bad.tolist()


def test_python_takes_a_live_function_with_its_parameters(tmp_path):
    import foretell

    x = rows(40)
    weight = np.random.default_rng(2).normal(size=(6, 3)).astype(np.float32)

    def pred_fn(params, batch):
        return {"y": batch @ params["w"]}

    run = foretell.predict((pred_fn, {"w": weight}), x, str(tmp_path / "out.zarr"), batch_size=8)
    np.testing.assert_allclose(run["y"][:], x @ weight, atol=2e-6)


def test_a_wide_net_of_options_reaches_the_initialiser(bench):
    bench.data(rows(32))
    done = bench.run(
        [
            *command(bench, "plan", "dense", **{"predictor.options": "{ width = 64 }"}),
            "--no-probe",
            "--sharding",
        ]
    )
    assert "(6, 64)" in done.out, done.err
