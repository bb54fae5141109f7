"""``kill -9`` of the driver at any moment: the next start finishes the run, byte for byte."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time

import pytest
from foretell.types import ChunkState
from forks import ForkBench
from long_run import (
    CHUNKS,
    SETTINGS,
    computed,
    in_state,
    prepare,
    reference,
    whole,
)


@pytest.fixture(scope="module")
def expected(forks, tmp_path_factory) -> dict[str, bytes]:
    return reference(ForkBench(tmp_path_factory.mktemp("reference"), forks=forks))


class KillLoop:
    """Start, kill, start again …; a fresh store whenever a run has finished."""

    def __init__(self, bench: ForkBench, expected: dict[str, bytes], seed: int) -> None:
        self.bench = bench
        self.expected = expected
        self.chooser = random.Random(seed)
        self.kills = 0
        self.kills_at_work = 0
        self.longest = 3.0

    def run(self, kills: int) -> None:
        while self.kills < kills:
            if not self.session(self.chooser.uniform(0.0, self.longest)):
                whole(self.bench, self.expected)
                self.start_over()
        assert self.session(None)
        whole(self.bench, self.expected)

    def session(self, limit: float | None) -> bool:
        """One driver, killed after ``limit`` seconds; whether that came before its end.

        What the ledger called done before it is not computed by it.
        """
        done, before = in_state(self.bench, ChunkState.DONE), len(computed(self.bench))
        killed = self.drive(limit)
        self.bench.nobody_left()
        again = {batch.chunk for batch in computed(self.bench)[before:]}
        if done:  # otherwise the first batch is the dry batch's as well
            assert not again & done
        if killed:
            self.kills += 1
            self.kills_at_work += bool(again)
        # Kills should fall among the chunks: not before the first, nor after the last.
        self.longest *= 0.8 if not killed else 1.0 if again else 1.1
        return killed or limit is None

    def drive(self, limit: float | None) -> bool:
        driver = self.bench.start(self.bench.predict_command(**SETTINGS))
        try:
            driver.wait(timeout=240 if limit is None else limit)
        except subprocess.TimeoutExpired:
            assert limit is not None, "the last driver never ended"
            driver.send_signal(signal.SIGKILL)
            if driver.wait() == -signal.SIGKILL:
                return True
        assert driver.returncode == 0, (self.bench.folder / "messages.txt").read_text()
        return False

    def start_over(self) -> None:
        shutil.rmtree(self.bench.store)
        (self.bench.folder / "computed.log").unlink()


def test_a_few_kills(fork_bench, expected):
    prepare(fork_bench)
    loop = KillLoop(fork_bench, expected, seed=1)
    loop.run(kills=5)
    assert loop.kills == 5


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_two_hundred_kills(fork_bench, expected):
    prepare(fork_bench)
    loop = KillLoop(fork_bench, expected, seed=2)
    loop.run(kills=200)
    assert loop.kills == 200
    assert loop.kills_at_work > 40, "most kills fell before the work began"


def test_a_killed_driver_costs_no_more_than_what_was_in_flight(fork_bench, expected):
    bench = fork_bench
    prepare(bench)
    driver = bench.start(bench.predict_command(schedule__workers=2, **SETTINGS))
    while len(computed(bench)) < CHUNKS // 2:
        assert driver.poll() is None
        time.sleep(0.005)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL
    bench.nobody_left()
    lost = in_state(bench, ChunkState.RUNNING)
    pending = in_state(bench, ChunkState.PENDING)
    done = in_state(bench, ChunkState.DONE)
    assert len(lost | pending | done) == CHUNKS
    before = len(computed(bench))
    finished = bench.predict(schedule__workers=2, **SETTINGS)
    assert finished.code == 0, finished.err
    again = [batch.chunk for batch in computed(bench)[before:]]
    # Each chunk that was not recorded as done is computed once more, and no other.
    assert sorted(again) == sorted(lost | pending)
    whole(bench, expected)
