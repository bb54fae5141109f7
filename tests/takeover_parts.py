"""What tests of take-overs share: taking over, and what a driver recorded of its workers."""

from foretell.store.identity import ProcessIdentity, process_started, this_process
from foretell.store.records import Intent, WorkerSeen
from foretell.store.takeover import claim

ELSEWHERE = ProcessIdentity("other-host", "other-boot", 17, 1.0)


def take(objects, run, fake_time, **options):
    return claim(objects, run, clock=fake_time.clock, **options)


def started_of(process) -> float:
    started = process_started(process.pid)
    assert started is not None
    return started


def seen(process, index=0, host=None, **options):
    started = started_of(process)
    return WorkerSeen(
        index, "tcp://x", host or this_process().host, process.pid, started, **options
    )


def dispatched(writer, *workers, chunks=(0, 1)):
    writer.append([*workers, Intent(chunks, 1)])
