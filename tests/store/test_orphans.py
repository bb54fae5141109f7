"""What a session left: its workers are ended or waited for before anything is dispatched again."""

import os
import signal
from dataclasses import replace

import pytest
from foretell.store.identity import is_alive, this_process
from foretell.store.leases import LATE_WRITE_SECONDS
from foretell.store.local import LocalObjects
from foretell.store.records import ChunkDone, SessionEnded
from foretell.store.takeover import claim
from ledger_model import FakeTime, driver
from takeover_parts import dispatched, seen, started_of, take


@pytest.fixture
def run(objects, new_run):
    return new_run(objects, 9)


def test_an_orphan_of_this_host_is_ended_before_anything_else(objects, run, child):
    class KernelTime(FakeTime):
        """The kernel ends a process in its own time, of which a fake clock knows nothing."""

        def sleep(self, seconds):
            child.wait(timeout=60)
            super().sleep(seconds)

    fake_time = KernelTime()
    first = take(objects, run, fake_time, me=replace(this_process(), pid=2**22 + 1))
    dispatched(first, seen(child))
    second = take(objects, run, fake_time)
    assert child.wait(timeout=60) == -signal.SIGKILL
    assert not is_alive(child.pid, first.table.workers[0].pid_started)
    assert sum(fake_time.slept) < LATE_WRITE_SECONDS
    assert second.table.suspect[:2].all()


@pytest.mark.parametrize("why", ["recycled", "joined", "elsewhere", "its own driver"])
def test_processes_that_are_not_our_orphans_live_on(objects, run, fake_time, child, why):
    me = this_process()
    pid = child.pid if why == "its own driver" else 2**22 + 1
    started = started_of(child) if why == "its own driver" else 1.0
    first = take(objects, run, fake_time, me=replace(me, pid=pid, pid_started=started))
    worker = seen(child)
    if why == "recycled":
        worker = replace(worker, pid_started=worker.pid_started - 1)
    if why == "joined":
        worker = replace(worker, owned=False)
    if why == "elsewhere":
        worker = replace(worker, host="other-host")
    dispatched(first, worker)
    before = fake_time.now
    take(objects, run, fake_time, take_over=True)
    assert child.poll() is None
    waited = fake_time.now - before
    # Only a process that is proved dead need not be waited for.
    assert waited == 0 if why == "recycled" else waited >= LATE_WRITE_SECONDS


def test_waiting_ends_with_the_proof_of_death(objects, run, child):
    """A joined worker is not ours to end, but when it is gone nothing can come from it."""
    fake_time = FakeTime()
    first = take(objects, run, fake_time, me=replace(this_process(), pid=2**22 + 1))
    dispatched(first, seen(child, owned=False))

    def sleep(seconds):
        fake_time.sleep(seconds)
        child.kill()
        child.wait()

    before = fake_time.now
    claim(objects, run, clock=replace(fake_time.clock, sleep=sleep))
    assert fake_time.now - before < 1


def test_nothing_in_flight_is_not_waited_for(objects, run, fake_time, child):
    first = take(objects, run, fake_time, me=replace(this_process(), pid=2**22 + 1))
    dispatched(first, seen(child, owned=False), chunks=(0,))
    first.append([ChunkDone(0, 1, 1e9, 5, 0, 0, (1,), (2,)), SessionEnded("done", 0, 1.0)])
    take(objects, run, fake_time)
    assert fake_time.slept == []


def test_a_driver_that_died_while_it_waited_leaves_the_waiting_to_the_next(
    objects, run, fake_time, child
):
    first = take(objects, run, fake_time, me=replace(this_process(), pid=2**22 + 1))
    dispatched(first, seen(child, owned=False))

    class Killed(BaseException):
        pass

    def die(seconds):
        raise Killed

    with pytest.raises(Killed):
        claim(
            objects,
            run,
            clock=replace(fake_time.clock, sleep=die),
            me=replace(this_process(), pid=2**22 + 2),
        )
    before = fake_time.now
    third = take(objects, run, fake_time)
    assert third.epoch == 3
    assert fake_time.now - before >= LATE_WRITE_SECONDS


def test_staged_files_are_swept_after_the_fence(objects, run, fake_time):
    first = take(objects, run, fake_time, me=driver(1))
    dispatched(first)
    staged = os.path.join(objects.path, "_run", "stage", "e0001-w0")
    os.makedirs(staged)
    with open(os.path.join(staged, "1"), "w"):
        pass
    take(LocalObjects(objects.path, label="e0002"), run, fake_time)
    assert not os.path.exists(staged)
