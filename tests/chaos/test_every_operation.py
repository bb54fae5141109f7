"""A crash, a full disk and a failing one at every store operation of a run of eight chunks."""

from __future__ import annotations

import random
import shutil

import pytest
from forks import ForkBench
from small_run import Fault, finished, holds, predict, prepare, traced

SIGKILLED = -9


@pytest.fixture(scope="module")
def reference(forks, tmp_path_factory) -> tuple[list[str], dict[str, bytes]]:
    """The operations of an uninterrupted run, and what it stored."""
    bench = ForkBench(tmp_path_factory.mktemp("reference"), forks=forks)
    prepare(bench)
    operations = traced(bench)
    assert len(operations) > 100
    return operations, bench.outputs()


def met(bench: ForkBench, fault: str) -> tuple[str, int]:
    """A run with a fault in it: where it was met ("" when not) and what the command exited with."""
    shutil.rmtree(bench.store, ignore_errors=True)
    injected = Fault(bench, fault)
    code = predict(injected.bench, schedule__storage_wait=2).code
    return injected.place if injected.met else "", code


def killed(bench: ForkBench, where: str, expected: dict[str, bytes]) -> str:
    """A crash at an operation, then the next start; where it was, "" past the last operation."""
    place, code = met(bench, f"{where},do=kill")
    if place:
        assert code == SIGKILLED
        holds(bench)
        again = predict(bench)
        assert again.code == 0, f"after a crash at {where}, {place}: {again.err}"
    else:
        assert code == 0
    finished(bench, expected)
    return place


def failed(bench: ForkBench, where: str, do: str, expected: dict[str, bytes], times: int) -> str:
    """An error at an operation: the run goes on, or ends with 7 and is continued."""
    place, code = met(bench, f"{where},do={do},times={times}")
    where = f"{do} at {where}, {place}"
    assert code in ((0, 7) if place else (0,)), f"{where}: exit {code}"
    if code:
        done = holds(bench)
        again = predict(bench)
        assert again.code == 0, f"after {where}, {done} chunks done: {again.err}"
    finished(bench, expected)
    return place


def some(operations: list[str], count: int, seed: int) -> list[int]:
    """Numbers of operations; not the last, which another interleaving may not reach."""
    return sorted(random.Random(seed).sample(range(1, int(len(operations) * 0.8)), count))


def test_a_crash_at_some_operations(fork_bench, reference):
    operations, expected = reference
    prepare(fork_bench)
    for number in some(operations, 4, seed=3):
        assert killed(fork_bench, f"n={number}", expected)


def test_a_crash_where_it_is_seen_by_nobody_else(fork_bench, reference):
    _, expected = reference
    prepare(fork_bench)
    # Before there is a run, and after it is done but before a viewer could know.
    for where in (
        "op=create-staged,key=_run/manifest.json",
        "op=put-staged,key=_run/head.json,n=2",
    ):
        assert killed(fork_bench, where, expected)


@pytest.mark.parametrize("do", ["enospc", "eio"])
def test_an_error_at_some_operations(fork_bench, reference, do):
    operations, expected = reference
    prepare(fork_bench)
    for number in some(operations, 3, seed=5):
        assert failed(fork_bench, f"n={number}", do, expected, times=1)


# A quota refuses what the disk has room for, so that looking for room alone would never end.
@pytest.mark.parametrize("do", ["edquot", "eio"])
def test_an_error_for_good_costs_no_chunk_its_attempts(fork_bench, reference, do):
    _, expected = reference
    prepare(fork_bench)
    assert failed(fork_bench, "op=put-staged,key=z/c.3", do, expected, times=0)


def test_the_last_words_wait_for_room(fork_bench, reference):
    _, expected = reference
    prepare(fork_bench)
    for key, n in (("zarr.json", 2), ("_run/head.json", 2)):
        place, code = met(fork_bench, f"op=put-staged,key={key},n={n},do=enospc")
        assert place
        assert code == 0
        finished(fork_bench, expected)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_crash_at_every_operation(fork_bench, reference):
    operations, expected = reference
    prepare(fork_bench)
    number = 1
    while killed(fork_bench, f"n={number}", expected):
        number += 1
    assert number > 0.9 * len(operations)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("times", [1, 3, 0], ids=["once", "thrice", "for-good"])
@pytest.mark.parametrize("do", ["enospc", "edquot", "eio"])
def test_an_error_at_every_operation(fork_bench, reference, do, times):
    operations, expected = reference
    prepare(fork_bench)
    number = 1
    while failed(fork_bench, f"n={number}", do, expected, times):
        number += 1
    assert number > 0.9 * len(operations)
