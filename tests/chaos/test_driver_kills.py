"""``kill -9`` of the driver at any moment: the next start finishes the run, byte for byte."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter

import numpy as np
import pytest
from workbench import Workbench

CHUNKS = 64
ROWS = 32
# Each batch notes its first row, so that what was computed can be counted.
MODEL = """
import os, time
def f(x):
    time.sleep(0.01)
    line = b"%d\\n" % int(x[0, 0])
    log = os.open("computed.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(log, line)
    os.close(log)
    return {"y": x * 2, "z": x.sum(1)}
"""
SETTINGS = {"schedule__chunk": ROWS, "predictor__batch_size": ROWS}


def prepare(bench: Workbench) -> None:
    bench.data(np.arange(CHUNKS * ROWS * 2, dtype="float32").reshape(-1, 2))
    bench.model(MODEL)


def reference(tmp_path_factory: pytest.TempPathFactory, workers: int) -> dict[str, bytes]:
    bench = Workbench(tmp_path_factory.mktemp("reference"))
    prepare(bench)
    done = bench.predict(schedule__workers=workers, **SETTINGS)
    assert done.code == 0, done.err
    return bench.outputs()


def computed(bench: Workbench) -> Counter[int]:
    log = bench.folder / "computed.log"
    return Counter(int(line) for line in log.read_text().split()) if log.exists() else Counter()


def kill_loop(bench: Workbench, expected: dict[str, bytes], kills: int, seed: int) -> int:
    """Start, kill, start again …; a fresh store whenever a run has finished. Returns the kills."""
    chooser = random.Random(seed)
    landed = 0
    longest = 3.0
    while landed < kills:
        began = time.monotonic()
        driver = bench.start(bench.predict_command(**SETTINGS))
        try:
            driver.wait(timeout=chooser.uniform(0.0, longest))
        except Exception:
            driver.send_signal(signal.SIGKILL)
            driver.wait()
            landed += 1
            continue
        assert driver.returncode == 0, (bench.folder / "messages.txt").read_text()
        longest = time.monotonic() - began
        check(bench, expected)
        again(bench)
    finished = bench.predict(**SETTINGS)
    assert finished.code == 0, finished.err
    check(bench, expected)
    return landed


def again(bench: Workbench) -> None:
    """A new run at the same place."""
    import shutil

    shutil.rmtree(bench.store)
    (bench.folder / "computed.log").unlink(missing_ok=True)


def check(bench: Workbench, expected: dict[str, bytes]) -> None:
    assert bench.outputs() == expected
    assert not bench.leftovers()
    bench.verified()
    assert not bench.processes()


def test_a_few_kills(bench, tmp_path_factory):
    expected = reference(tmp_path_factory, workers=0)
    prepare(bench)
    assert kill_loop(bench, expected, kills=6, seed=1) == 6


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_two_hundred_kills(bench, tmp_path_factory):
    expected = reference(tmp_path_factory, workers=2)
    prepare(bench)
    assert kill_loop(bench, expected, kills=200, seed=2) == 200


def test_a_killed_driver_costs_no_more_than_what_was_in_flight(bench):
    prepare(bench)
    driver = bench.start(bench.predict_command(schedule__workers=2, **SETTINGS))
    while len(computed(bench)) < CHUNKS // 2:
        assert driver.poll() is None
        time.sleep(0.005)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    before = bench.opened().snapshot.table
    in_flight, pending = len(before.in_flight()), int((before.state == 0).sum())
    first = sum(computed(bench).values())
    finished = bench.predict(schedule__workers=2, **SETTINGS)
    assert finished.code == 0, finished.err
    second = sum(computed(bench).values()) - first
    assert second == in_flight + pending  # nothing that the ledger called done ran again
    assert in_flight <= 2 * 3 * 25  # tasks in hand, each about a second of 10 ms chunks at most
    check(bench, bench.outputs())
