"""A crash at every store operation of a retry: what was predicted before is not lost by it."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace

import numpy as np
import pytest
from foretell.types import ChunkState
from forks import ForkBench, Forks
from small_run import CHUNKS, ROWS, Fault, finished, predict, prepare, values
from workbench import Finished

# One row of the fourth chunk fails for as long as the file ``bad`` is there.
MODEL = f"""
import os
def f(x):
    if os.path.exists("bad") and (x[:, 0] == {3 * ROWS * 2 + 10}).any():
        raise ValueError("a bad row")
    return {{"y": x * 2, "z": x.sum(1)}}
"""
BAD_CHUNK = 3


class Partial:
    """A finished run with one bad row, as often as it is needed, and what mends it."""

    def __init__(self, bench: ForkBench) -> None:
        self.bench = bench
        prepare(bench)
        bench.model(MODEL)
        assert predict(bench).code == 0
        self.expected = bench.outputs()
        shutil.rmtree(bench.store)
        (bench.folder / "bad").touch()
        assert predict(bench).code == 3
        (bench.folder / "bad").unlink()
        shutil.copytree(bench.store, bench.folder / "kept", copy_function=shutil.copy2)

    def again(self) -> None:
        """The run as it was before anything was retried."""
        shutil.rmtree(self.bench.store)
        shutil.copytree(self.bench.folder / "kept", self.bench.store, copy_function=shutil.copy2)

    def retry(self, bench: ForkBench | None = None) -> Finished:
        bench = bench or self.bench
        return bench.sdk("retry", str(bench.store))


@pytest.fixture(scope="module")
def partial(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Partial:
    return Partial(ForkBench(tmp_path_factory.mktemp("partial"), forks=forks))


def operations(partial: Partial) -> int:
    """Store operations of a whole retry."""
    trace = partial.bench.folder / "trace.txt"
    partial.again()
    done = partial.retry(replace(partial.bench, extra_env={"FORETELL_TESTING_TRACE": str(trace)}))
    assert done.code == 0, done.err
    finished(partial.bench, partial.expected)
    return len(trace.read_text().splitlines())


def killed(partial: Partial, where: str) -> str:
    """A retry that is killed; then the run is mended. Where it was, "" past the last operation."""
    partial.again()
    fault = Fault(partial.bench, f"{where},do=kill")
    code = partial.retry(fault.bench).code
    assert code == (-9 if fault.met else 0)
    if fault.met:
        untouched(partial)
        mended(partial, fault.place)
    finished(partial.bench, partial.expected)
    return fault.place if fault.met else ""


def untouched(partial: Partial) -> None:
    """All other chunks are there, and the bad row is not made up."""
    run = partial.bench.opened()
    state = run.snapshot.table.state
    others = np.arange(CHUNKS) != BAD_CHUNK
    assert (state[others] == ChunkState.DONE).all()
    got = run["y"].masked()[:]
    mask = np.ma.getmaskarray(got)
    np.testing.assert_array_equal(np.ma.getdata(got)[~mask], (values() * 2)[~mask])


def mended(partial: Partial, place: str) -> None:
    """The same command once more ends in a whole run."""
    again = partial.retry()
    assert again.code == 0, f"after a crash at {place}: {again.err}"


def test_a_crash_at_some_operations_of_a_retry(partial: Partial) -> None:
    count = operations(partial)
    for number in sorted(random.Random(8).sample(range(1, int(count * 0.9)), 3)):
        assert killed(partial, f"n={number}")


def test_a_retry_that_is_killed_in_mid_put(partial: Partial) -> None:
    for where in ("op=put,key=y/c.3.0", "op=put-done,key=y/c.3.0"):
        assert killed(partial, where)


def test_resume_mends_it_as_well(partial: Partial) -> None:
    partial.again()
    fault = Fault(partial.bench, "op=put-done,key=y/c.3.0,do=kill")
    assert partial.retry(fault.bench).code == -9
    resumed = partial.bench.sdk("resume", str(partial.bench.store))
    assert resumed.code == 0, resumed.err
    finished(partial.bench, partial.expected)


def test_a_retry_leaves_alone_what_was_never_computed(fork_bench: ForkBench) -> None:
    prepare(fork_bench)
    fork_bench.model(MODEL)
    (fork_bench.folder / "bad").touch()
    fault = Fault(fork_bench, "op=put-staged,key=y/c.6.0,do=kill")
    assert predict(fault.bench).code == -9
    assert fault.met
    (fork_bench.folder / "bad").unlink()
    store = str(fork_bench.store)
    retried = fork_bench.sdk("retry", store)
    assert retried.code == 75, retried.err
    assert "not computed yet" in retried.err
    run = fork_bench.opened()
    assert run.status().state == "interrupted"
    assert int((run.snapshot.table.state == ChunkState.DONE).sum()) < CHUNKS
    assert fork_bench.sdk("resume", store).code in (0, 3)
    assert fork_bench.sdk("retry", store).code == 0
    fork_bench.verified()


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_crash_at_every_operation_of_a_retry(partial: Partial) -> None:
    count = operations(partial)
    number = 1
    while killed(partial, f"n={number}"):
        number += 1
    assert number > 0.9 * count
