"""A job that is not the one the store holds: refused by name, and not a byte is touched."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from forks import ForkBench
from small_run import SETTINGS, Fault, finished, prepare, tree, values

REFUSED = 5


CHECKPOINT = {"predictor__checkpoint": "weights.bin"}


FILES = ("model.py", "x.npy", "weights.bin")
MODEL = """
class f:
    def __init__(self, checkpoint):
        assert open(checkpoint, "rb").read().startswith(b"weight")
    def __call__(self, x):
        return {"y": x * 2, "z": x.sum(1)}
"""


def interrupted(bench: ForkBench) -> dict[str, bytes]:
    """A run that was killed past its middle; what an uninterrupted one stores."""
    prepare(bench)
    bench.model(MODEL)
    (bench.folder / "weights.bin").write_bytes(b"weights")
    assert bench.predict(**SETTINGS, **CHECKPOINT).code == 0
    expected = bench.outputs()
    shutil.rmtree(bench.store)
    killed = Fault(bench, "op=put-staged,key=y/c.5.0,do=kill")
    assert killed.bench.predict(**SETTINGS, **CHECKPOINT).code == -9
    assert killed.met
    return expected


def change_model(bench: ForkBench) -> dict[str, Any]:
    bench.model(MODEL.replace("x * 2", "x * 3"))
    return {}


def change_source(bench: ForkBench) -> dict[str, Any]:
    rows = values()
    rows[7, 1] += 1
    bench.data(rows)
    return {}


def grow_source(bench: ForkBench) -> dict[str, Any]:
    bench.data(np.concatenate((values(), values()[:1])))
    return {}


def change_checkpoint(bench: ForkBench) -> dict[str, Any]:
    (bench.folder / "weights.bin").write_bytes(b"weightz")
    return {}


CHANGES: dict[str, tuple[Callable[[ForkBench], dict[str, Any]], str]] = {
    "model file": (change_model, "predictor."),
    "source": (change_source, "source."),
    "longer source": (grow_source, "source."),
    "checkpoint": (change_checkpoint, "predictor.checkpoint"),
    "batch size": (lambda bench: {"predictor__batch_size": 8}, "predictor.batch_size 16 → 8"),
    "chunk": (lambda bench: {"schedule__chunk": 32}, "schedule.chunk 16 → 32"),
    "seed": (lambda bench: {"predictor__seed": 1}, "predictor.seed 0 → 1"),
    "compression": (lambda bench: {"writer__compression": 0}, "writer.compression 1 → 0"),
    "rows": (lambda bench: {"source__rows": "0:64"}, "source.rows"),
}


@pytest.fixture(params=list(CHANGES))
def change(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_another_job_is_refused_and_no_byte_is_changed(fork_bench: ForkBench, change: str) -> None:
    bench = fork_bench
    expected = interrupted(bench)
    make, named = CHANGES[change]
    kept = bench.folder / "kept"
    kept.mkdir()
    for name in FILES:
        shutil.copy2(bench.folder / name, kept / name)
    sets = make(bench)
    before = tree(bench.store)
    refused = bench.predict(**SETTINGS | CHECKPOINT | sets)
    assert refused.code == REFUSED, refused.err
    assert "error[store-fingerprint]: this store belongs to another job" in refused.err
    assert named in refused.err
    assert " of 8 chunks done" in refused.err
    assert "keep both" in refused.err
    assert tree(bench.store) == before
    # The job as it was is continued.
    for name in FILES:
        shutil.copy2(kept / name, bench.folder / name)
    again = bench.predict(**SETTINGS | CHECKPOINT)
    assert again.code == 0, again.err
    finished(bench, expected)


def test_other_versions_are_refused(fork_bench: ForkBench) -> None:
    bench = fork_bench
    interrupted(bench)
    before = tree(bench.store)
    elsewhere = bench.folder / "elsewhere"
    elsewhere.mkdir()
    # A program of another version of numpy, as far as the run can see.
    (elsewhere / "sitecustomize.py").write_text(
        "import numpy\nnumpy.__version__ = '99.0.0'\n", encoding="utf-8"
    )
    command = bench.predict_command(**SETTINGS | CHECKPOINT)
    path = os.pathsep.join([str(elsewhere), bench.env["PYTHONPATH"]])
    refused = run_plainly(bench, command, path)
    assert refused.returncode == REFUSED, refused.stderr
    assert "versions.numpy" in refused.stderr
    assert "99.0.0" in refused.stderr
    assert tree(bench.store) == before


def run_plainly(bench: ForkBench, command: list[str], path: str) -> Any:
    return subprocess.run(
        command,
        cwd=bench.folder,
        env=bench.env | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_another_folder_is_not_written_into(fork_bench: ForkBench) -> None:
    prepare(fork_bench)
    fork_bench.store.mkdir()
    (fork_bench.store / "thesis.txt").write_text("five years of work")
    before = tree(fork_bench.store)
    refused = fork_bench.predict(**SETTINGS)
    assert refused.code == REFUSED
    assert "thesis.txt" in refused.err
    assert tree(fork_bench.store) == before
