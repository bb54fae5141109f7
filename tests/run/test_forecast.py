"""What ``sdk plan`` says, before a run and beside one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import foretell
import numpy as np
import pytest
from foretell.config.job import Job
from foretell.config.load import load_job
from foretell.plugins.manager import load_plugins
from foretell.run import plan_job

WRITERS = {"zarr": 2, "parquet": 1, "jsonl": 1}
"""Objects a chunk of one output takes."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", np.ones((100, 3), dtype=np.float32))
    (tmp_path / "model.py").write_text("def double(x):\n    return {'y': x.sum(axis=1)}\n")
    return tmp_path


def job(folder: Path, **writer: Any) -> Job:
    known = load_plugins()
    sections = {
        "source": {"path": "x.npy"},
        "predictor": {"model": "model.py:double", "batch_size": 8},
        "writer": {"path": "out", **writer},
        "schedule": {"workers": 0, "chunk": 16},
    }
    return load_job(
        None,
        sets=sections,
        env={},
        cwd=folder,
        resolve=known.resolve,
        default_deployer=known.default_deployer,
    )


@pytest.mark.parametrize("kind", WRITERS)
def test_a_forecast_counts_chunks_and_files_and_writes_nothing(folder: Path, kind: str) -> None:
    before = sorted(folder.rglob("*.*"))
    forecast = plan_job(job(folder, kind=kind), probe=False)
    assert (forecast.rows, forecast.chunks, forecast.chunk_rows) == (100, 7, 16)
    assert forecast.files == 7 * WRITERS[kind]
    assert forecast.outputs == {"y": "float32 ()"}
    assert forecast.seconds_low is None
    assert ("chunks", "7, 16 rows each (0 done)") in forecast.facts()
    assert [
        path for path in sorted(folder.rglob("*.*")) if "__pycache__" not in str(path)
    ] == before


def test_a_forecast_beside_a_finished_run_says_what_is_done(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    foretell.predict(
        "model.py:double",
        "x.npy",
        "out",
        batch_size=8,
        schedule={"workers": 0, "chunk": 16},
    )
    forecast = plan_job(job(folder), probe=True)
    assert (forecast.done_chunks, forecast.chunks) == (7, 7)
    assert forecast.seconds_low is not None
