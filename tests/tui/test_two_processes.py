"""A driver and a viewer in two processes, on a file system whose modification times are stale."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from foretell.store.follow import TRUSTED
from foretell.store.local import LocalObjects
from foretell.types import ChunkState
from foretell_tui.state import reduce
from watching import reader_of

CHUNKS = 240


class Cached(LocalObjects):
    """A mount whose cache says that what it knows has not changed, whatever is stored by now."""

    def get_if_changed(self, key, known):
        return None if known is not None else super().get_if_changed(key, known)


@pytest.fixture
def driver(tmp_path):
    script = Path(__file__).parent / "driver_process.py"
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "run"), str(CHUNKS)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    yield process
    process.communicate(timeout=60)


def told(process, *words):
    """What the driver says after a command: sequence, chunks done."""
    if words:
        process.stdin.write(" ".join(map(str, words)) + "\n")
        process.stdin.flush()
    return tuple(map(int, process.stdout.readline().split()))


@pytest.mark.parametrize("mount", [LocalObjects, Cached])
def test_stale_modification_times_hide_nothing_for_long(driver, tmp_path, mount):
    sequence, _ = told(driver)
    reader = reader_of(mount(str(tmp_path / "run")))
    view = reduce(None, reader.look())
    for start in range(0, CHUNKS, 40):
        sequence, done = told(driver, "done", start, start + 40)
        for _ in range(TRUSTED + 1):
            view = reduce(view, reader.look())
        assert view.head is not None
        assert (view.head.sequence, view.totals.done) == (sequence, done)
        assert view.reading.codes is not None
        assert np.count_nonzero(view.reading.codes == ChunkState.DONE) == done == start + 40
        assert len(view.reading.samples) == 4
    assert view.word == "RUNNING"
    sequence, _ = told(driver, "end")
    for _ in range(TRUSTED + 1):
        view = reduce(view, reader.look())
    assert view.head is not None
    assert (view.word, view.head.sequence) == ("DONE", sequence)
    assert reader.objects.lists == 0


def test_doubt_costs_little_and_tells_no_news_twice(driver, tmp_path):
    told(driver)
    told(driver, "done", 0, 40)
    reader = reader_of(LocalObjects(str(tmp_path / "run")))
    readings = [reader.look() for _ in range(4 + 4 * (TRUSTED + 1))][4:]
    assert {reading.head.sequence for reading in readings} == {readings[0].head.sequence}
    assert {reading.cost.requests for reading in readings} == {1}
    assert sum(reading.cost.bytes for reading in readings) / len(readings) <= 1024
