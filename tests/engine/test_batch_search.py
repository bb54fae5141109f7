"""``batch_size = "auto"`` on jobs that are long enough for a search."""

from __future__ import annotations

import numpy as np
import pytest
from foretell.engine.batch_search import BatchSearch, Bounds, Found, OutOfMemory, allowance
from hypothesis import given
from hypothesis import strategies as st


class Device:
    """Seconds of a batch from a formula; a fake clock of what was measured."""

    def __init__(self, call: float, row: float, full: int = 1 << 40, slower_above: int = 1 << 40):
        self.call, self.row, self.full, self.slower_above = call, row, full, slower_above
        self.spent = 0.0
        self.sizes: list[int] = []

    def batch(self, size: int) -> float:
        return self.call + size * self.row * (2.0 if size > self.slower_above else 1.0)

    def measure(self, size: int, rows: int) -> float:
        self.sizes.append(size)
        if size > self.full:
            raise OutOfMemory
        seconds = -(-rows // size) * self.batch(size)
        self.spent += seconds
        return seconds

    def search(self, bounds: Bounds, seconds: float, size: int = 256) -> Found:
        return BatchSearch(self.measure, bounds, seconds).run(size, self.batch(size) / size)

    def pace(self, size: int) -> float:
        return size / self.batch(size)


class Padding(Device):
    """The longest of a batch decides what every row takes."""

    def batch(self, size: int) -> float:
        return self.call + size * self.row * (1 + 0.2 * max(0.0, np.log2(size / 32)))


CALLS = st.floats(1e-5, 1e-1)
ROWS = st.floats(1e-7, 1e-3)


@given(call=CALLS, row=ROWS)
def test_with_time_enough_the_pace_is_near_the_best(call, row):
    device = Device(call, row)
    found = device.search(Bounds(largest=1 << 16), 1e9)
    assert device.pace(found.batch_size) >= 0.9 * device.pace(1 << 16)


@given(
    call=CALLS,
    row=ROWS,
    full=st.integers(256, 1 << 14),
    largest=st.integers(1, 1 << 14),
    batches=st.integers(0, 64),
    seconds=st.floats(0.0, 10.0),
    turn=st.integers(1, 1 << 14),
)
def test_what_is_chosen_is_allowed_and_the_time_is_kept(
    call, row, full, largest, batches, seconds, turn
):
    device = Device(call, row, full, slower_above=turn)
    bounds = Bounds(largest=largest, divides=batches * 256)
    found = device.search(bounds, seconds)
    assert found.batch_size <= full
    assert found.batch_size == 256 or found.batch_size <= largest
    assert not bounds.divides or bounds.divides % found.batch_size == 0
    assert device.spent <= max(2.5 * seconds, 0.0)
    assert found.ceiling is None or found.ceiling > full
    assert sum(size > full for size in device.sizes) <= 1


def test_smaller_batches_are_taken_where_they_are_faster():
    device = Padding(1e-4, 1e-3)
    assert device.search(Bounds(largest=4096), 1e9).batch_size == 32


def test_only_long_jobs_are_worth_a_search():
    assert allowance(4_000, 1e-3, 1) == 0.0
    assert allowance(100_000, 1e-3, 1) == pytest.approx(5.0)
    assert allowance(10_000, 1e-3, 10) == 0.0
    assert allowance(10**9, 1e-3, 1) == 30.0


MODEL = """
import time
def f(x):
    time.sleep(0.02)  # what a call costs, whatever its size
    return {"y": x.sum(1)}
"""


def test_a_long_job_finds_its_size_below_the_ceiling_and_the_next_one_remembers(bench):
    bench.data(np.ones((400_000, 2), dtype="float32"))
    bench.model(MODEL)
    settings = {
        "predictor__batch_size": "auto",
        "deployer__kind": "tight",
        "deployer__holds": 5000,
        "deployer__log": "log",
        "schedule__workers": 0,
        "schedule__chunk": "auto",
    }
    done = bench.predict(**settings)
    assert done.code == 0, done.err
    assert "batch size 4,096" in done.err
    assert "no memory for 8,192" in done.err
    first = [int(line) for line in (bench.folder / "log").read_text().split()]
    assert first.count(8192) == 1
    assert first[-1] == 4096
    (bench.folder / "log").unlink()
    bench.store.rename(bench.folder / "first.zarr")
    again = bench.predict(**settings)
    assert again.code == 0, again.err
    assert {int(line) for line in (bench.folder / "log").read_text().split()} == {4096}
    assert bench.opened().snapshot.plan.batch_size == 4096
