"""Protections taken away one by one: each is missed by a check that holds with it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from foretell.errors import StoreError
from foretell.types import ChunkState
from forks import ForkBench, ForkedProcess, Forks
from racers import WAITING_MODEL, Racer
from small_run import Fault, holds, predict, prepare, tree

PLANTED = Path(__file__).with_name("planted")


def a_flipped_bit_is_found(bench: ForkBench) -> None:
    assert predict(bench).code == 0
    stored = bench.store / "y" / "c.3.0"
    data = bytearray(stored.read_bytes())
    data[len(data) // 2] ^= 1
    stored.write_bytes(data)
    assert bench.sdk("verify", str(bench.store)).code == 3


def what_is_done_survives_a_crash(bench: ForkBench) -> None:
    # Its intent came after the first receipts, so something is done by then.
    killed = Fault(bench, "op=put-staged,key=y/c.6.0,do=kill")
    assert predict(killed.bench).code == -9
    assert killed.met
    assert holds(bench) > 0
    assert predict(bench).code == 0
    bench.verified()


def of_two_that_create_one_drives(bench: ForkBench) -> None:
    """The first is held in the middle of its claim until the second has made its own."""
    bench.model(WAITING_MODEL)
    held = Fault(bench, "op=create-staged,key=_run/ledger/000000000001.jsonl,do=pause")
    first = Racer(held.bench, "first")
    until(lambda: held.met, first.process)
    second = Racer(bench, "second")
    until(lambda: at_work(bench, second.process), second.process)
    Path(f"{held.mark}.go").touch()
    try:
        driving = [driver for driver in (first, second) if still_drives(bench, driver)]
        assert len(driving) == 1, "two drivers drive"
        assert first.process.returncode == 6
    finally:
        (bench.folder / "go").touch()
        for driver in (first, second):
            driver.process.wait(60)


def at_work(bench: ForkBench, driver: ForkedProcess) -> bool:
    """Whether the ledger has a chunk that this driver has sent out."""
    if not (bench.store / "_run" / "manifest.json").exists():
        return False
    table = bench.opened().snapshot.table
    mine = bool(table.sessions) and table.sessions[-1].pid == driver.pid
    return mine and bool((table.state == ChunkState.RUNNING).any())


def still_drives(bench: ForkBench, driver: Racer) -> bool:
    """Whether a driver goes on, once it has either ended or taken the run."""
    until(lambda: driver.process.poll() is not None or at_work(bench, driver.process))
    return driver.process.poll() is None


def who_was_taken_over_stops(bench: ForkBench) -> None:
    bench.model(WAITING_MODEL)
    first = Racer(bench, "first")
    until(lambda: holds(bench) >= 2, first.process)
    second = Racer(bench, "second", "--take-over")
    until(lambda: bench.opened().snapshot.table.epoch == 2, second.process)
    time.sleep(3)  # longer than a driver may take to look at the ledger
    (bench.folder / "go").touch()
    assert second.process.wait(90) == 0, second.said
    assert first.process.wait(90) == 6, first.said


def a_late_put_changes_nothing(bench: ForkBench) -> None:
    """The first driver, its own worker, is stopped in mid-put and wakes up too late."""
    stopped = Fault(bench, "op=put-staged,key=y/c.5.0,do=stop")
    first = Racer(stopped.bench, "first")
    until(lambda: stopped.met, first.process)
    try:
        second = Racer(bench, "second", "--take-over")
        assert second.process.wait(90) == 0, second.said
        before = {key: kept for key, kept in tree(bench.store).items() if "_run/" not in key}
    finally:
        os.kill(first.process.pid, signal.SIGCONT)
    assert first.process.wait(90) == 6, first.said
    after = {key: kept for key, kept in tree(bench.store).items() if "_run/" not in key}
    assert after == before


def what_was_sent_out_is_known(bench: ForkBench) -> None:
    killed = Fault(bench, "op=put-staged,key=y/c.5.0,do=kill")
    assert predict(killed.bench).code == -9
    assert killed.met
    assert bench.opened().snapshot.table.state[5] == ChunkState.RUNNING


def a_full_disk_makes_nothing_done(bench: ForkBench) -> None:
    full = Fault(bench, "op=put-staged,key=y/c.5.0,times=0,do=enospc")
    code = predict(full.bench, schedule__storage_wait=1).code
    assert full.met
    holds(bench)
    assert code == 7


def until(condition: Callable[[], bool], *processes: ForkedProcess) -> None:
    while not condition():
        for process in processes:
            assert process.poll() is None, "it ended too early"
        time.sleep(0.01)


@dataclass(frozen=True)
class Bug:
    """A protection that is taken away.

    Attributes:
        check: Holds with it.
        seen: What the check says without it.
    """

    check: Callable[[ForkBench], None]
    seen: str


BUGS = {
    "no_checksum": Bug(a_flipped_bit_is_found, "assert 0 == 3"),
    "early_receipt": Bug(what_is_done_survives_a_crash, "an object of a finished chunk is missing"),
    "create_replaces": Bug(of_two_that_create_one_drives, "two drivers drive|ledger-damaged"),
    "no_fence": Bug(who_was_taken_over_stops, "assert 0 == 6"),
    "no_lease": Bug(a_late_put_changes_nothing, "Differing items"),
    "no_intent": Bug(what_was_sent_out_is_known, "ChunkState.RUNNING"),
    "swallowed_error": Bug(a_full_disk_makes_nothing_done, "is missing"),
}


@pytest.fixture(params=list(BUGS))
def bug(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def without(tmp_path: Path, bug: str) -> Iterator[ForkBench]:
    """A workbench whose commands lack one protection."""
    server = Forks(str(PLANTED / f"{bug}.py"))
    bench = ForkBench(tmp_path / "without", forks=server)
    bench.folder.mkdir()
    prepare(bench)
    yield bench
    (bench.folder / "go").touch()
    server.close()


def test_every_bug_has_a_file() -> None:
    assert {path.stem for path in PLANTED.glob("*.py")} == set(BUGS)


def test_the_check_holds(fork_bench: ForkBench, bug: str) -> None:
    prepare(fork_bench)
    BUGS[bug].check(fork_bench)


def test_the_bug_is_caught(without: ForkBench, bug: str) -> None:
    with pytest.raises((AssertionError, StoreError), match=BUGS[bug].seen):
        BUGS[bug].check(without)
