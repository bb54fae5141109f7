"""The example trains two experts through pools and predicts with them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from foretell import demo, open_run

pytest.importorskip("torch")
ROOT = Path(__file__).parents[2]


def test_training_through_the_pool_and_predicting(tmp_path):
    folder = tmp_path / "examples" / "experts"
    shutil.copytree(
        ROOT / "examples" / "experts", folder, ignore=shutil.ignore_patterns("weights", "runs")
    )
    data = tmp_path / "sdk" / "foretell" / "demo"
    data.mkdir(parents=True)
    shutil.copy(demo.HERE / "digits.npz", data)
    train = [sys.executable, str(folder / "train.py"), "--epochs", "15"]
    said = subprocess.run(train, check=True, capture_output=True, text=True).stdout
    assert [line.partition(":")[0] for line in said.splitlines()] == ["low", "high", "gate"]
    command = [sys.executable, "-m", "foretell", "predict", str(folder / "job.toml")]
    env = {**os.environ, "FORETELL_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    run = open_run(str(folder / "runs" / "digits.zarr"))
    labels, experts = run["label"][:], run["experts"][:, 0]
    assert demo.accuracy(labels).held_out > 0.93
    np.testing.assert_array_equal(experts, labels >= 5)  # each knows its own half alone
