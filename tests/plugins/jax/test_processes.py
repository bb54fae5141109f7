"""Several processes that form one mesh: by the Python door, and as a worker group of a run."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jax")

SCRIPT = Path(__file__).parent / "two_processes.py"
NETS = Path(__file__).parent / "nets.py"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def both(folder, shards):
    port = free_port()
    outs = [folder / f"{process}.json" for process in range(2)]
    commands = [
        [sys.executable, str(SCRIPT), str(process), str(port), str(out), str(shards)]
        for process, out in enumerate(outs)
    ]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for command in commands
    ]
    try:
        said = [process.communicate(timeout=200)[0].decode() for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], "\n".join(said)
    return [json.loads(out.read_text()) for out in outs]


@pytest.mark.parametrize("shards", [1, pytest.param(2, marks=pytest.mark.slow), 8])
def test_two_processes_predict_nineteen_rows(tmp_path, shards):
    from foretell_jax import Deployer, Predictor

    rows = np.random.default_rng(1).normal(size=(19, 6)).astype(np.float32)
    weight = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
    first, second = both(tmp_path, shards)
    assert first["devices"] == second["devices"] == [4, 8]
    assert first["predict"] == second["predict"]
    assert len(first["predict"]) == 19
    np.testing.assert_allclose([row["y"] for row in first["predict"]], rows @ weight, atol=2e-6)

    def noise(rng, params, batch):
        import jax

        return jax.random.normal(rng, (len(batch),))

    alone = Predictor(Deployer(7, 1, verbose=False), np.stack, noise).predict(rows, 3, {})
    np.testing.assert_array_equal([row["noise"] for row in first["predict"]], alone)

    assert first["gathered"] == second["gathered"] == 0
    streams = [dict(one["stream"]) for one in (first, second)]
    if shards < 8:  # a step has 2 rows for each of 8 / shards devices, half of them a process's
        share = 8 // shards
        owned = [[at for at in range(19) if at // share % 2 == process] for process in (0, 1)]
        assert [sorted(stream) for stream in streams] == owned
    else:  # the model spans both processes, so both have all rows
        assert sorted(streams[0]) == sorted(streams[1]) == [*range(19)]
    for stream in streams:
        assert all(item == first["predict"][at] for at, item in stream.items())


def predict(bench, output="out.zarr", model="noisy", **sets):
    settings = {
        "predictor.kind": "jax",
        "predictor.params": f"{NETS}:init",
        "predictor.batch_size": 16,
        "schedule.chunk": 32,
        **sets,
    }
    store = str(bench.folder / output)
    words = ["predict", "--source", "x.npy", "--model", f"{NETS}:{model}", "--output", store]
    return bench.run(bench.command(*words, sets=settings))


GROUP = {
    "deployer.processes": 2,
    "deployer.simulated_devices": 4,
    "schedule.workers": 2,
}


def opened(bench, output):
    import foretell

    return foretell.open_run(str(bench.folder / output))


@pytest.mark.parametrize("mesh", ["{ dp = 4, mp = 2 }", "{ dp = 1, mp = 8 }"])
def test_a_group_stores_every_row_exactly_and_each_process_its_own(bench, mesh):
    x = np.random.default_rng(0).normal(size=(83, 6)).astype(np.float32)
    bench.data(x)
    rules = '[[["up", "kernel"], ["", "mp"]], [[".*"], []]]'
    done = predict(bench, **GROUP, **{"deployer.mesh": mesh, "deployer.rules": rules})
    assert done.code == 0, done.err
    alone = predict(
        bench,
        "alone.zarr",
        **{"predictor.batch_size": 8, "schedule.chunk": 8, "schedule.workers": 0},
    )
    assert alone.code == 0, alone.err
    run, other = opened(bench, "out.zarr"), opened(bench, "alone.zarr")
    np.testing.assert_array_equal(run["noise"][:], other["noise"][:])
    np.testing.assert_allclose(run["logits"][:], other["logits"][:], atol=2e-6)
    shards = {"{ dp = 4, mp = 2 }": 2, "{ dp = 1, mp = 8 }": 1}[mesh]
    assert run.snapshot.plan.parts == shards
    bench.verified()


def test_the_death_of_one_process_restarts_the_mesh_and_loses_nothing(bench):
    x = np.random.default_rng(0).normal(size=(256, 6)).astype(np.float32)
    bench.data(x)
    marker = bench.folder / "died"
    (bench.folder / "collating.py").write_text(
        f"""
import os, signal
from pathlib import Path

import numpy as np

LAST = np.load({str(bench.folder / "x.npy")!r})[-40]


def collate(rows):
    marker = Path({str(marker)!r})
    if (rows == LAST).all(1).any() and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return rows
"""
    )
    done = predict(
        bench,
        **GROUP,
        **{
            "predictor.collate": "collating:collate",
            "deployer.mesh": "{ dp = 4, mp = 2 }",
            "deployer.rules": "replicated",
        },
    )
    assert done.code == 0, done.err
    assert marker.exists()
    run = opened(bench, "out.zarr")
    assert (run.valid[:] == 1).all()
    clean = predict(bench, "clean.zarr", **{"schedule.workers": 0})
    assert clean.code == 0, clean.err
    np.testing.assert_array_equal(run["noise"][:], opened(bench, "clean.zarr")["noise"][:])
    assert len({record.index for record in run.snapshot.table.workers}) >= 4
    done_once = [attempt for attempt in run.snapshot.table.attempt.tolist() if attempt == 1]
    assert len(done_once) >= 5  # the chunks before the death were not computed again
    bench.verified()
