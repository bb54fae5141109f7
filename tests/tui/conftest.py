"""Synthetic runs shared by the tests of the dashboard, and a frozen clock."""

import os
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import synthetic_runs as synthetic
from foretell.store.head import Rates
from foretell.types import ChunkState, RunState
from synthetic_runs import T0
from watching import Clock


@pytest.fixture(autouse=True, scope="session")
def _utc():
    """Clocks on the screen show UTC."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Finished and unfinished runs of every kind, by name; nobody changes them."""
    place = tmp_path_factory.mktemp("runs")
    made = {}

    def new(name, n=2000, **options):
        run = made[name] = synthetic.make_run(place / name, n, **options)
        synthetic.lines(run)
        return run

    fresh = new("fresh")
    fresh.write_head(state="starting", session_rows=0, rates=Rates())
    running = new("running", workers=16)
    running.done(range(1242), until=T0 - 2)
    for chunk in (30, 31, 32):
        running.failed(chunk, "RuntimeError", "CUDA out of memory: tried {chunk} MB")
    running.failed(912)
    running.running(range(1242, 1258))
    running.samples(w2={"rss": 61 * synthetic.GB, "cpu": 0.12})
    running.write_head(resumed_chunks=400)
    done = new("done")
    done.done(range(2000))
    done.samples()
    done.end(RunState.DONE, 0)
    partial = new("partial")
    partial.done(range(1999))
    partial.failed(1999, state=ChunkState.QUARANTINED)
    partial.end(RunState.PARTIAL, 3)
    for name in ("lost", "stale"):
        run = new(name)
        run.done(range(700))
        run.running(range(700, 704))
        run.samples()
        run.write_head(time=T0 - (3000 if name == "lost" else 48))
    interrupted = new("interrupted")
    interrupted.done(range(900))
    interrupted.end(RunState.INTERRUPTED, 75, reason="stopped by SIGTERM")
    resumed = new("resumed")
    resumed.done(range(900))
    resumed.end(RunState.INTERRUPTED, 75, reason="stopped by SIGTERM")
    resumed.begin_again()
    resumed.done(range(900, 1100), until=T0 - 2)
    resumed.running(range(1100, 1104))
    resumed.samples()
    resumed.write_head()
    empty = new("empty", 0)
    empty.end(RunState.DONE, 0)
    one = new("one", 1)
    one.running([0])
    one.samples()
    one.write_head(rates=Rates())
    ten = new("ten", 10)
    ten.done(range(4))
    ten.failed(4)
    ten.running([5, 6])
    ten.samples()
    ten.write_head()
    planned = synthetic.make_run(place / "planned", 50)
    made["planned"] = planned
    middle = new("middle", 10_000)
    middle.done(range(6000))
    middle.failed(7000)
    middle.write_head()
    big = made["big"] = synthetic.big_run(place / "big", 1_000_000, 620_000, workers=16)
    synthetic.lines(big)
    big.failed(38_204, "RuntimeError", "CUDA out of memory")
    big.running(range(620_000, 620_064))
    big.samples()
    big.write_head(resumed_chunks=208_684)
    return made
