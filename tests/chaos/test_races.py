"""Two and more drivers on one store: one drives, the others are told who it is, nothing is lost."""

from __future__ import annotations

import random
import shutil
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from foretell.types import ChunkState
from forks import ForkBench
from racers import WAITING_MODEL, Racer
from small_run import SETTINGS, finished, holds, prepare

HELD = 6


@pytest.fixture(scope="module")
def expected(forks, tmp_path_factory) -> dict[str, bytes]:
    bench = ForkBench(tmp_path_factory.mktemp("reference"), forks=forks)
    prepare(bench)
    bench.model(WAITING_MODEL)
    (bench.folder / "go").touch()
    assert bench.predict(**SETTINGS).code == 0
    return bench.outputs()


@pytest.fixture
def arena(fork_bench) -> Iterator[ForkBench]:
    prepare(fork_bench)
    fork_bench.model(WAITING_MODEL)
    yield fork_bench
    (fork_bench.folder / "go").touch()


def again(bench: ForkBench) -> None:
    shutil.rmtree(bench.store, ignore_errors=True)
    for path in [bench.folder / "go", *bench.folder.glob("at-work-*")]:
        path.unlink(missing_ok=True)


def interrupted(bench: ForkBench) -> None:
    """Leave a run behind that was killed when it had done some of its chunks."""
    racer = Racer(bench, "killed")
    wait_for(lambda: holds(bench) >= 3, racer)
    racer.process.kill()
    racer.process.wait(30)


def wait_for(condition: Any, *racers: Racer) -> None:
    while not condition():
        for racer in racers:
            assert racer.process.poll() is None, racer.said
        time.sleep(0.01)


def race(bench: ForkBench, drivers: int, expected: dict[str, bytes]) -> None:
    """Start drivers at once; all but one are refused, by name of the one."""
    racers = [Racer(bench, f"racer-{number}") for number in range(drivers)]
    while len([racer for racer in racers if racer.process.poll() is None]) > 1:
        time.sleep(0.01)
    (winner,) = (racer for racer in racers if racer.process.poll() is None)
    me = f"pid {winner.process.pid} on {socket.gethostname()}"
    for loser in racers:
        if loser is not winner:
            assert loser.process.returncode == HELD, loser.said
            assert "another driver holds this run" in loser.said
            assert me in loser.said
    (bench.folder / "go").touch()
    assert winner.process.wait(60) == 0, winner.said
    finished(bench, expected)


def taken_over(bench: ForkBench, expected: dict[str, bytes], **sets: Any) -> None:
    """A second driver takes a live run: the first stops with 6, and nothing it recorded is lost."""
    first = Racer(bench, "first", **sets)
    wait_for(lambda: holds(bench) >= 2, first)
    refused = Racer(bench, "refused", **sets)
    assert refused.process.wait(60) == HELD, refused.said
    assert f"pid {first.process.pid} on " in refused.said
    before = bench.opened().snapshot.table.state == ChunkState.DONE
    second = Racer(bench, "second", "--take-over", **sets)
    assert first.process.wait(60) == HELD, first.said
    assert "another driver has taken this run over" in first.said
    assert f"pid {second.process.pid} on " in first.said
    after = bench.opened().snapshot.table.state == ChunkState.DONE
    assert (after | ~before).all(), "a chunk that was done is not any more"
    (bench.folder / "go").touch()
    assert second.process.wait(90) == 0, second.said
    finished(bench, expected)


def test_of_racing_drivers_one_drives(arena, expected):
    race(arena, 3, expected)
    again(arena)
    interrupted(arena)
    race(arena, 3, expected)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_live_run_is_taken_over(arena, expected, workers):
    taken_over(arena, expected, schedule__workers=workers)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_hundred_races(arena, expected):
    chooser = random.Random(4)
    for number in range(100):
        again(arena)
        if number % 2:
            interrupted(arena)
        race(arena, chooser.randint(2, 8), expected)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_hundred_take_overs(arena, expected):
    for number in range(100):
        again(arena)
        taken_over(arena, expected, schedule__workers=number % 2)
