"""What tests of the prediction writer share: its modes, a Trainer's script, what is stored."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from foretell_torch import read_predictions

SCRIPT = Path(__file__).parent / "trainer_run.py"

MODES = [
    {"write_interval": interval, "format": format}
    for format in ("zarr", "pt")
    for interval in ("batch", "epoch", "batch_and_epoch")
]


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


def stored_of(out):
    found = read_predictions(out, allow_partial=True)
    return np.flatnonzero(found.valid == 1)
