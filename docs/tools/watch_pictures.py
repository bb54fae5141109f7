"""Draw ``docs/picture/watch-*.svg``: the dashboard on a real run, stopped two thirds of the way.

    python docs/tools/watch_pictures.py

A small model predicts 24,000 rows in 2,000 chunks; some rows it cannot predict. The run is
interrupted, and every screen is shown as it stands then.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from foretell.store.head import read_head
from foretell.store.open import open_objects
from foretell_tui.app import WatchApp
from foretell_tui.command import settled
from foretell_tui.look import Look
from foretell_tui.reader import Reader

TARGET = Path(__file__).resolve().parents[1] / "picture"
SCREENS = {
    "overview": (120, 36),
    "chunks": (120, 36),
    "workers": (120, 30),
    "failures": (120, 30),
    "results": (120, 30),
    "timeline": (120, 24),
}
MODEL = """
import time
import numpy as np

def predict(x):
    time.sleep(0.02)
    if x[:, 0].max() > 0.9988:
        raise ValueError(f"tile at {x[:, 0].argmax()} is all snow")
    waves = np.sin(x[:, :1] * np.arange(24)) + np.cos(x[:, 1:2] * np.arange(24)) * x[:, 2:3]
    return {"spectrum": waves.astype("float32"), "land": (x.sum(axis=1) > 4).astype("int64")}
"""


def run_of(folder: Path) -> Path:
    """A run interrupted on its way."""
    (folder / "model.py").write_text(MODEL)
    np.save(folder / "tiles.npy", np.random.default_rng(7).random((24_000, 8), dtype=np.float32))
    store = folder / "tiles-eu.zarr"
    sets = {"schedule.chunk": 12, "predictor.batch_size": 12, "schedule.workers": 4}
    command = [sys.executable, "-m", "foretell", "predict", "--source", "tiles.npy"]
    command += ["--model", "model:predict", "--output", store.name, "--progress", "quiet"]
    command += [f"--set={key}={value}" for key, value in sets.items()]
    env = os.environ | {"FORETELL_CACHE_DIR": str(folder / "cache")}
    driver = subprocess.Popen(command, cwd=folder, env=env)
    while driver.poll() is None:
        head = read_head(open_objects(str(store))) if store.exists() else None
        if head is not None and head.totals.done > 1300:
            driver.send_signal(signal.SIGINT)
            driver.wait()
        time.sleep(0.1)
    return store


async def picture(screen: str, width: int, height: int) -> str:
    """One screen as SVG."""
    reader = Reader(open_objects("tiles-eu.zarr"))
    app = WatchApp(reader, view=settled(reader), look=Look(), interval=0, screen=screen)
    async with app.run_test(size=(width, height)) as pilot:
        for _ in range(60):
            await pilot.pause(0.05)
        return app.export_screenshot(title="sdk watch tiles-eu.zarr")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run_of(Path(folder))
        os.chdir(folder)
        for screen, size in SCREENS.items():
            svg = asyncio.run(picture(screen, *size))
            (TARGET / f"watch-{screen}.svg").write_text(svg, encoding="utf-8")
            print(f"written: watch-{screen}.svg")


if __name__ == "__main__":
    main()
