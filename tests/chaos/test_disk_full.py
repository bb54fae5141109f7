"""A disk that really is too small: the run pauses, says what it needs, and loses nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from foretell.types import ChunkState
from forks import ForkBench, Forks
from mounts import PlacedBench, small_disk
from small_run import CHUNKS, ROWS, SETTINGS

GAVE_OUT = 7
DISK = 4 << 20
WIDTH = 1000
# Noise cannot be compressed: half of what all chunks take.
HALF = CHUNKS * ROWS * WIDTH * 4 // 2
MODEL = "def f(x):\n    return {'y': x}\n"


def prepare(bench: ForkBench) -> None:
    noise = np.random.default_rng(1).integers(0, 2**32, (CHUNKS * ROWS, WIDTH), dtype="uint32")
    bench.data(noise)
    bench.model(MODEL)


@pytest.fixture(scope="module")
def expected(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    bench = ForkBench(tmp_path_factory.mktemp("reference"), forks=forks)
    prepare(bench)
    assert bench.predict(**SETTINGS).code == 0
    assert sum(map(len, bench.outputs().values())) > CHUNKS * ROWS * WIDTH * 4
    return bench.outputs()


@pytest.fixture
def bench(tmp_path: Path, forks: Forks) -> Iterator[PlacedBench]:
    placed = PlacedBench(tmp_path, forks=forks)
    with small_disk(placed.place, DISK):
        prepare(placed)
        yield placed


def leave_free(bench: PlacedBench, room: int) -> Path:
    """Fill the disk up to ``room`` bytes; returns what fills it."""
    ballast = bench.place / "ballast"
    ballast.write_bytes(bytes(DISK - room))
    return ballast


def whole(bench: PlacedBench, expected: dict[str, bytes]) -> None:
    assert bench.outputs() == expected
    assert not bench.leftovers()
    bench.verified()


def no_false_done(bench: PlacedBench, expected: dict[str, bytes]) -> int:
    """Every chunk that is recorded as done is there; returns how many."""
    table = bench.opened().snapshot.table
    done = np.flatnonzero(table.state == ChunkState.DONE).tolist()
    stored = bench.outputs()
    for chunk in done:
        for key in (f"y/c.{chunk}.0", f"valid/c.{chunk}"):
            assert stored[key] == expected[key]
    return len(done)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_full_disk_is_waited_for(bench: PlacedBench, expected, workers: int) -> None:
    ballast = leave_free(bench, HALF)
    messages = bench.folder / "messages.txt"
    driver = bench.start(bench.predict_command(**SETTINGS | {"schedule__workers": workers}))
    while "paused: the disk of the run store is full" not in (
        messages.read_text() if messages.exists() else ""
    ):
        assert driver.poll() is None, messages.read_text()
        time.sleep(0.02)
    assert "must be free to go on" in messages.read_text()
    assert 0 < no_false_done(bench, expected) < CHUNKS
    ballast.unlink()
    assert driver.wait(120) == 0, messages.read_text()
    assert "there is room again: going on" in messages.read_text()
    whole(bench, expected)


def given_up(bench: PlacedBench, expected: dict[str, bytes], room: int) -> None:
    ballast = leave_free(bench, room)
    refused = bench.predict(**SETTINGS, schedule__storage_wait=1)
    assert refused.code == GAVE_OUT, refused.err
    assert "full" in refused.err
    assert "needed" in refused.err
    assert "free" in refused.err
    ballast.unlink()
    again = bench.predict(**SETTINGS)
    assert again.code == 0, again.err
    whole(bench, expected)


def test_a_disk_that_stays_full_ends_the_run_and_nothing_is_lost(bench: PlacedBench, expected):
    given_up(bench, expected, HALF)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("pages", [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 50, 80, 120])
def test_a_disk_may_be_full_at_any_moment(bench: PlacedBench, expected, pages: int) -> None:
    given_up(bench, expected, pages * 4096)
