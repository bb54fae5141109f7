"""Workers killed under a driver: it goes on, blames no innocent, and stores the same bytes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from typing import Any

import pytest
from foretell.types import ChunkState
from forks import ForkBench
from long_run import CHUNKS, SETTINGS, computed, in_state, prepare, reference, whole

KILLS = 3
DRY_BATCHES = 3
"""A worker that dies in one of them ends the run before it began, and rightly so."""
# Nobody but the test is to blame, so no number of deaths may use up a chunk's attempts.
TWO_WORKERS: dict[str, Any] = SETTINGS | {"schedule__workers": 2, "schedule__retries": 20}


@pytest.fixture(scope="module")
def expected(forks, tmp_path_factory) -> dict[str, bytes]:
    return reference(ForkBench(tmp_path_factory.mktemp("reference"), forks=forks))


def kill_workers(bench: ForkBench, seed: int) -> list[int]:
    """Run, and kill the worker that computed last each time the work has come a little further."""
    chooser = random.Random(seed)
    driver = bench.start(bench.predict_command(**TWO_WORKERS))
    killed: list[int] = []
    limit = DRY_BATCHES
    while len(killed) < KILLS:
        limit += chooser.randint(2, CHUNKS // KILLS - 4)
        while len(computed(bench)) < limit:
            assert driver.poll() is None, (bench.folder / "messages.txt").read_text()
            time.sleep(0.002)
        time.sleep(chooser.uniform(0.0, 0.02))
        last = computed(bench)[-1].pid
        if last not in killed:
            os.kill(last, signal.SIGKILL)
            killed.append(last)
    assert driver.wait(240) == 0, (bench.folder / "messages.txt").read_text()
    return killed


def check(bench: ForkBench, killed: list[int], expected: dict[str, bytes]) -> None:
    assert len(set(killed)) == KILLS
    whole(bench, expected)
    assert len(in_state(bench, ChunkState.DONE)) == CHUNKS
    kinds = {failure.kind for failure in bench.opened().each_failure()}
    assert kinds <= {"worker-died"}
    seen = {worker.pid for worker in bench.opened().snapshot.table.workers}
    assert set(killed) <= seen


def test_killed_workers_change_no_byte(fork_bench, expected):
    prepare(fork_bench)
    check(fork_bench, kill_workers(fork_bench, seed=1), expected)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_killed_workers_change_no_byte_in_twenty_runs(fork_bench, expected):
    prepare(fork_bench)
    for seed in range(20):
        shutil.rmtree(fork_bench.store, ignore_errors=True)
        (fork_bench.folder / "computed.log").unlink(missing_ok=True)
        check(fork_bench, kill_workers(fork_bench, seed), expected)
