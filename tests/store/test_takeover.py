"""Who may drive a run, and what must be dead before a chunk is dispatched again."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from foretell.errors import Fenced, HeldError, StorageError
from foretell.store import control
from foretell.store.fold import complete_folds
from foretell.store.head import HeadWriter
from foretell.store.identity import is_alive, process_started, this_process
from foretell.store.layout import segment_key
from foretell.store.leases import LATE_WRITE_SECONDS
from foretell.store.ledger import LedgerWriter
from foretell.store.local import LocalObjects
from foretell.store.objects import set_fault_hook
from foretell.store.records import ChunkDone, Intent, SessionEnded
from foretell.store.takeover import claim, read_ledger
from foretell.types import ChunkState
from ledger_model import FakeTime, driver, head_of
from takeover_parts import ELSEWHERE, started_of, take


@pytest.fixture
def run(objects, new_run):
    return new_run(objects, 9)


# --- epochs -----------------------------------------------------------------------------------


def test_the_first_driver_has_epoch_one(objects, run, fake_time):
    said: list[str] = []
    writer = take(objects, run, fake_time, command="sdk predict --token=abc", say=said.append)
    assert (writer.epoch, writer.last_segment) == (1, 1)
    session = writer.session
    assert (session.host, session.pid) == (this_process().host, os.getpid())
    assert session.time == fake_time.now
    assert said == []
    assert fake_time.slept == []


def test_the_next_driver_goes_on_where_the_first_stopped(objects, run, fake_time):
    first = take(objects, run, fake_time, me=driver(1))
    first.append([Intent((0, 1, 2), 1), ChunkDone(0, 1, 1e9, 5, 0, 0, (1,), (2,))])
    second = take(objects, run, fake_time, me=driver(2))
    assert second.epoch == 2
    assert second.table.state[:4].tolist() == [
        ChunkState.DONE,
        ChunkState.PENDING,
        ChunkState.PENDING,
        ChunkState.PENDING,
    ]
    assert second.table.suspect.tolist()[:4] == [False, True, True, False]
    assert second.table.attempt.tolist()[:4] == [1, 1, 1, 0]


def test_after_a_clean_end_nothing_is_suspect(objects, run, fake_time):
    first = take(objects, run, fake_time, me=driver(1))
    first.append([Intent((0,), 1), SessionEnded("interrupted", 75, 1.0)])
    second = take(objects, run, fake_time, me=driver(2))
    assert second.table.state[0] == ChunkState.PENDING
    assert not second.table.suspect.any()


def test_secrets_in_a_command_are_not_recorded(objects, run, fake_time, monkeypatch):
    monkeypatch.setenv("LAB_API_KEY", "hunter2-hunter2")
    writer = take(objects, run, fake_time, command="sdk predict --set key=hunter2-hunter2")
    assert "hunter2" not in writer.session.command


# --- is anybody there? ------------------------------------------------------------------------


def test_a_live_driver_of_this_host_holds_the_run(objects, run, fake_time, child):
    alive = replace(this_process(), pid=child.pid, pid_started=started_of(child))
    take(objects, run, fake_time, me=alive, command="sdk predict job.toml")
    before = sorted(objects.list())
    with pytest.raises(HeldError) as caught:
        take(objects, run, fake_time)
    assert caught.value.exit_code == 6
    facts = dict(caught.value.facts)
    assert f"pid {child.pid} on {alive.host}, since 1970" in facts["driver"]
    assert facts["command"] == "sdk predict job.toml"
    assert "--take-over" in dict(caught.value.tries)
    assert fake_time.slept == []
    assert sorted(objects.list()) == before


def test_a_killed_driver_holds_nothing_at_once(objects, run, fake_time, child):
    alive = replace(this_process(), pid=child.pid, pid_started=started_of(child))
    take(objects, run, fake_time, me=alive)
    child.kill()
    child.wait()
    assert take(objects, run, fake_time).epoch == 2
    assert fake_time.slept == []


def test_a_recycled_pid_is_not_the_driver(objects, run, fake_time):
    take(objects, run, fake_time, me=replace(this_process(), pid=os.getppid(), pid_started=0.5))
    assert take(objects, run, fake_time).epoch == 2


def test_this_process_holds_a_run_until_its_writer_is_closed(objects, run, fake_time):
    first = take(objects, run, fake_time)
    with pytest.raises(HeldError):
        take(objects, run, fake_time)
    first.close()
    assert take(objects, run, fake_time).epoch == 2


def test_a_driver_elsewhere_with_a_heartbeat_holds_the_run(objects, run, fake_time):
    first = take(objects, run, fake_time, me=ELSEWHERE)
    heads = HeadWriter(objects)
    head = head_of(first.session, first)
    heads.write(head)
    said: list[str] = []

    def sleep(seconds):
        fake_time.sleep(seconds)
        heads.write(head)

    clock = replace(fake_time.clock, sleep=sleep)
    with pytest.raises(HeldError, match="another driver holds") as caught:
        claim(objects, run, clock=clock, say=said.append)
    assert "pid 17 on other-host" in dict(caught.value.facts)["driver"]
    assert len(said) == 1
    assert sum(fake_time.slept) <= 3


def test_a_silent_driver_elsewhere_is_waited_for(objects, run, fake_time):
    first = take(objects, run, fake_time, me=ELSEWHERE)
    HeadWriter(objects).write(head_of(first.session, first))
    before = fake_time.now
    assert take(objects, run, fake_time).epoch == 2
    assert fake_time.now - before >= LATE_WRITE_SECONDS


def test_a_driver_elsewhere_that_ends_meanwhile_is_no_longer_in_the_way(objects, run, fake_time):
    first = take(objects, run, fake_time, me=ELSEWHERE)

    def sleep(seconds):
        fake_time.sleep(seconds)
        if first.table.ended is None:
            first.append([SessionEnded("interrupted", 75, 1.0)])

    assert claim(objects, run, clock=replace(fake_time.clock, sleep=sleep)).epoch == 2


def test_after_a_reboot_nobody_is_waited_for(objects, run, fake_time):
    me = this_process()
    before = replace(me, boot_id="an-earlier-boot/1")
    first = take(objects, run, fake_time, me=before)
    HeadWriter(objects).write(replace(head_of(first.session, first), time=fake_time.now - 300))
    assert take(objects, run, fake_time, me=me).epoch == 2
    assert fake_time.slept == []


# --- taking over ------------------------------------------------------------------------------


def test_a_taken_over_driver_stops_and_loses_nothing(objects, run, fake_time):
    first = take(objects, run, fake_time)
    first.append([Intent((0, 1), 1), ChunkDone(0, 1, 1e9, 5, 0, 0, (1,), (2,))])
    second = take(objects, run, fake_time, take_over=True)
    for act in (
        first.check_fence,
        lambda: first.append([ChunkDone(1, 1, 1e9, 5, 0, 0, (1,), (2,))]),
    ):
        with pytest.raises(Fenced) as caught:
            act()
        assert caught.value.exit_code == 6
        assert f"session 2: pid {os.getpid()}" in dict(caught.value.facts)["taken by"]
    assert second.table.state[0] == ChunkState.DONE
    assert second.table.state[1] == ChunkState.PENDING
    assert read_ledger(objects, run).table.state.tolist() == second.table.state.tolist()


def test_claimers_race_and_one_wins(tmp_path, manifest_of):
    from foretell.store.manifest import write_manifest

    for turn in range(10):
        folder = str(tmp_path / str(turn))
        LocalObjects(folder).ensure_root()
        run = manifest_of(4)
        write_manifest(LocalObjects(folder), run)
        barrier = threading.Barrier(4)
        won: list[LedgerWriter] = []
        held: list[int] = []

        def race(folder=folder, run=run, barrier=barrier, won=won, held=held):
            barrier.wait()
            try:
                won.append(claim(LocalObjects(folder), run, clock=FakeTime().clock))
            except HeldError:
                held.append(1)

        threads = [threading.Thread(target=race) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(won), len(held)) == (1, 3)
        assert won[0].epoch == 1


_DRIVER = """
import sys
from foretell.errors import HeldError, Fenced
from foretell.store.ledger import LedgerWriter
from foretell.store.local import LocalObjects
from foretell.store.manifest import read_manifest
from foretell.store.objects import set_fault_hook
from foretell.store.records import ChunkDone
from foretell.store.takeover import claim
objects = LocalObjects(sys.argv[1])
number = int(sys.argv[2])
sys.stdin.readline()
done = []
try:
    writer = claim(objects, read_manifest(objects), take_over=True)
    for chunk in range(number * 100, number * 100 + 100):
        writer.append([ChunkDone(chunk, writer.epoch, 1e9, 5, 0, 0, (1,), (2,))])
        done.append(chunk)
    print("finished", len(done), writer.epoch)
except Fenced:
    print("fenced", len(done), writer.epoch)
"""


def test_processes_that_take_over_each_other_lose_nothing(objects, new_run):
    """Whatever a driver was told is durable, is; the fenced ones know it; the chain is whole."""
    run = new_run(objects, 400)
    drivers = [
        subprocess.Popen(
            [sys.executable, "-c", _DRIVER, objects.path, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for process in drivers:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate()[0].split() for process in drivers]
    table = read_ledger(objects, run).table
    assert sorted(int(words[2]) for words in said) == [1, 2, 3, 4]
    for number, (word, acknowledged, epoch) in enumerate(said):
        chunks = table.state[number * 100 : number * 100 + 100]
        assert (chunks[: int(acknowledged)] == ChunkState.DONE).all()
        assert (chunks[int(acknowledged) :] == ChunkState.PENDING).all()
        assert word == "finished" or int(epoch) < 4
    assert any(word == "finished" for word, *_ in said)


def test_an_old_reading_cannot_claim_a_place_that_is_history(objects, run, fake_time):
    """Between reading and claiming, another driver came, worked, folded twice and compacted."""
    old = read_ledger(objects, run)
    busy = take(objects, run, fake_time, me=driver(1))
    for chunk in range(4):
        busy.append([ChunkDone(chunk, 1, 1e9, 5, 0, 0, (1,), (2,))])
    busy.fold(force=True)
    busy.append([ChunkDone(5, 1, 1e9, 5, 0, 0, (1,), (2,))])
    busy.fold(force=True)
    assert len(complete_folds(objects)) == 2
    following = take(objects, run, fake_time, me=driver(2), projection=old)
    assert following.epoch == 2
    assert following.table.counts()[ChunkState.DONE] == 5
    assert read_ledger(objects, run).table.epoch == 2


@pytest.mark.parametrize("lagging", [False, True])
def test_a_driver_stopped_for_long_finds_its_fence(objects, run, fake_time, lagging):
    """Its next place in the ledger may have been used and compacted away meanwhile."""
    stopped = take(objects, run, fake_time, me=driver(1))
    stopped.append([ChunkDone(0, 1, 1e9, 5, 0, 0, (1,), (2,))])
    if lagging:

        def lost(operation, key):
            if operation == "create-done":
                raise OSError(5, "the answer was lost")

        set_fault_hook(lost)
        with pytest.raises(StorageError):
            stopped.append([ChunkDone(1, 1, 1e9, 5, 0, 0, (1,), (2,))])
        set_fault_hook(None)
    following = take(objects, run, fake_time, me=driver(2))
    for chunk in (2, 3, 4):
        following.append([ChunkDone(chunk, 1, 1e9, 5, 0, 0, (1,), (2,))])
        following.fold(force=True)
    before = sorted(objects.list())
    assert segment_key(2 if lagging else 5) not in before
    with pytest.raises(Fenced):
        stopped.append([ChunkDone(5, 1, 1e9, 5, 0, 0, (1,), (2,))])
    with pytest.raises(Fenced):
        stopped.check_fence()
    assert sorted(objects.list()) == before


# --- requests ---------------------------------------------------------------------------------


def test_requests_are_for_one_session(objects, run, fake_time):
    first = take(objects, run, fake_time, me=driver(1))
    assert control.pending(objects, first.epoch) == []
    assert control.request(objects, control.CANCEL, first.epoch, "enough") is True
    assert control.request(objects, control.CANCEL, first.epoch) is False
    assert control.pending(objects, first.epoch) == ["cancel"]
    second = take(objects, run, fake_time, me=driver(2))
    assert control.pending(objects, second.epoch) == []
    assert list(objects.list("_run/control/")) == []


# --- processes --------------------------------------------------------------------------------


def test_processes_are_told_apart(child):
    me = this_process()
    assert is_alive(me.pid, me.pid_started)
    assert not is_alive(me.pid, me.pid_started + 1)
    started = started_of(child)
    assert is_alive(child.pid, started)
    child.kill()
    deadline = time.monotonic() + 10
    while process_started(child.pid) is not None and time.monotonic() < deadline:
        pass  # until it is a zombie, which counts as dead
    assert not is_alive(child.pid, started)


def test_start_times_of_psutil_are_understood(child):
    import psutil

    created = psutil.Process(child.pid).create_time()
    assert is_alive(child.pid, created)
    assert not is_alive(child.pid, created - 60)
