"""What is refused before anything starts: exactly what is said, and that nothing is left behind."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def ready(bench):
    """A job that would run."""
    bench.data(np.arange(1024, dtype="float32").reshape(512, 2))
    bench.model("def f(x): return {'y': x.sum(1)}\n")
    return bench


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "unaligned chunk": (
        {"schedule__chunk": 100},
        2,
        "error[plan-chunk]: the chunk does not hold a whole number of batches\n"
        "  chunk         100 rows (--set)\n"
        "  multiple of   batch_size 64\n"
        "  try           --set schedule.chunk=64\n"
        "                --set schedule.chunk=128\n",
    ),
    "chunk beyond the memory limit": (
        {"schedule__memory_limit": 1000, "schedule__chunk": 512},
        2,
        "error[plan-memory]: one chunk does not fit into a worker's memory\n"
        "  chunk   512 rows, 6,144 bytes in and out\n"
        "  limit   60 % of 1,000 bytes (--set)\n"
        "  try     --set predictor.batch_size=…      a smaller batch\n",
    ),
    "rows beyond the source": (
        {"source__rows": "600:700"},
        2,
        "error[plan-rows]: the rows chosen are not in the source\n"
        "  rows     600:700 (--set)\n"
        "  source   512 rows\n"
        "  try      --set source.rows=0:1000      the first thousand\n",
    ),
    "a column to keep that is not there": (
        {"writer__keep": '["id"]'},
        2,
        "error[keep]: the source has no column 'id' to keep\n"
        "  columns   none: its rows are plain arrays\n",
    ),
    "outputs the model does not have": (
        {"predictor__outputs": '["label"]'},
        2,
        "error[output-unknown]: the model has no output 'label'\n",
    ),
    "a deployer that is not there": (
        {"deployer__kind": "locl"},
        2,
        'error[config]: deployer.kind: no deployer is called "locl"\n'
        '  got   "locl" (--set)\n'
        "  try   local      the nearest known name\n",
    ),
    "a cluster that is not there": (
        {"schedule__cluster": "tcp://127.0.0.1:9"},
        4,
        "error[cluster]: the cluster cannot be started or reached\n",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_so_many_words(ready, name):
    settings, code, message = REFUSED[name]
    done = ready.predict(**settings)
    assert message in done.err
    assert done.code == code
    assert not ready.store.exists()


def test_a_model_that_cannot_be_imported(ready):
    ready.model("import no_such_package_at_all\ndef f(x): return x\n")
    done = ready.predict()
    assert done.code == 4
    assert "no_such_package_at_all" in done.err
    assert not ready.store.exists()
    ready.model("def g(x): return x\n")
    missing = ready.predict()
    assert missing.code == 4
    assert "has no attribute" in missing.err or "no" in missing.err
    assert "g" in missing.err
    assert not ready.store.exists()


def test_a_folder_with_something_else_in_it(ready):
    ready.store.mkdir()
    (ready.store / "thesis.tex").write_text("irreplaceable")
    done = ready.predict()
    assert done.code == 5
    assert "error[not-a-run]: there is something at the output that is not a run\n" in done.err
    assert "thesis.tex" in done.err
    assert [path.name for path in ready.store.iterdir()] == ["thesis.tex"]


def test_what_a_killed_driver_left_of_its_probe_is_nothing_else(ready):
    ready.store.mkdir()
    (ready.store / ".foretell-17-0a1b2c3d").touch()
    assert ready.predict().code == 0
    assert not [path for path in ready.store.iterdir() if path.name.startswith(".")]


def test_another_job_at_the_same_place(ready):
    assert ready.predict().code == 0
    before = {p: p.read_bytes() for p in ready.store.rglob("*") if p.is_file()}
    ready.model("def f(x): return {'y': x.sum(1) + 1}\n")
    changed = ready.predict()
    assert changed.code == 5
    assert "error[store-fingerprint]: this store belongs to another job\n" in changed.err
    assert "predictor.model.source" in changed.err
    assert "--output" in changed.err
    other = ready.predict(predictor__seed=3)
    assert other.code == 5
    assert "predictor.seed 0 → 3" in other.err
    assert {p: p.read_bytes() for p in ready.store.rglob("*") if p.is_file()} == before


def test_a_changed_source_is_named(ready):
    assert ready.predict().code == 0
    ready.data(np.arange(1024, dtype="float32").reshape(512, 2) + 1)
    changed = ready.predict()
    assert changed.code == 5
    assert "differs" in changed.err
    assert "source." in changed.err


def test_a_touched_source_is_the_same_source(ready):
    assert ready.predict().code == 0
    path = ready.folder / "x.npy"
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)
    assert ready.predict().code == 0


def test_the_plan_writes_nothing_and_agrees_with_the_run(ready):
    command = ready.predict_command(schedule__workers=1)
    planned = ready.run([*command[:3], "plan", *command[4:], "--json"])
    assert planned.code == 0, planned.err
    assert not ready.store.exists()
    forecast = json.loads(planned.out)["forecast"]
    assert (forecast["rows"], forecast["chunks"], forecast["chunk_rows"]) == (512, 8, 64)
    assert forecast["files"] == 16
    assert 0 < forecast["seconds_low"] < forecast["seconds_high"]
    assert ready.predict().code == 0
    assert ready.opened().plan.n_chunks == forecast["chunks"]
