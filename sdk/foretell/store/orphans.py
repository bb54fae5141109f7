"""Proves that the workers of an earlier session cannot write any more."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress

from foretell.store.identity import ProcessIdentity, is_alive
from foretell.store.records import SessionStarted, WorkerSeen
from foretell.store.table import ChunkTable

POLL_SECONDS = 0.02
KILL_SECONDS = 5.0
"""A process that is still there this long after SIGKILL is stuck in the kernel."""


def relevant_workers(table: ChunkTable) -> list[tuple[WorkerSeen, SessionStarted]]:
    """Workers that may still be at work, each with its session.

    A session dispatches only after the workers of the sessions before it were dealt with, so only
    those of the last one that dispatched, and of any after it, matter.
    """
    sessions = {session.epoch: session for session in table.sessions}
    return [
        (worker, sessions[epoch])
        for worker, epoch in zip(table.workers, table.worker_epochs, strict=True)
        if epoch >= table.intent_epoch and epoch in sessions
    ]


def is_here(session: SessionStarted, me: ProcessIdentity) -> bool:
    """Whether pids of that session mean something in this process: same host, same boot."""
    return session.host == me.host and session.boot_id == me.boot_id


def end_orphans(
    workers: Iterable[tuple[WorkerSeen, SessionStarted]],
    me: ProcessIdentity,
    sleep: Callable[[float], None],
) -> list[WorkerSeen]:
    """Kill the local workers an earlier driver owned; returns those not proved dead.

    Workers of a cluster that was only joined, workers elsewhere, and a driver that was its own
    worker are left alone: of those only the passing of time is proof.
    """
    unproved: list[WorkerSeen] = []
    dying: list[WorkerSeen] = []
    for worker, session in workers:
        if worker.host != me.host or not is_here(session, me):
            unproved.append(worker)
        elif is_alive(worker.pid, worker.pid_started):
            ours = worker.owned and worker.pid not in (session.pid, me.pid)
            (dying if ours else unproved).append(worker)
    for worker in dying:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(worker.pid, signal.SIGKILL)
    return unproved + _wait_for_death(dying, sleep)


def _wait_for_death(dying: list[WorkerSeen], sleep: Callable[[float], None]) -> list[WorkerSeen]:
    for _ in range(int(KILL_SECONDS / POLL_SECONDS)):
        dying = [worker for worker in dying if is_alive(worker.pid, worker.pid_started)]
        if not dying:
            break
        sleep(POLL_SECONDS)
    return dying
