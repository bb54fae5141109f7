"""The driver: one loop over one inbox that keeps every seat busy until the work is done.

It decides, records and dispatches; it never reads rows, loads a model or touches predictions.
"""

from __future__ import annotations

import math
import os
import queue
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from foretell.engine.cluster import (
    Answered,
    Cluster,
    SchedulerLost,
    TaskEnded,
    WorkerJoined,
    WorkerLeft,
)
from foretell.engine.crew import Attempt, Crew, Seat
from foretell.engine.dispatch import Dispatcher, Settings
from foretell.engine.lease import RENEW_EVERY
from foretell.engine.limits import Limits
from foretell.engine.losses import Losses
from foretell.engine.outcome import Settler
from foretell.engine.pause import Pause
from foretell.engine.placement import Placement
from foretell.engine.prints import listen
from foretell.engine.queue import WorkQueue
from foretell.engine.recorder import Recorder
from foretell.engine.stopping import Signalled, Stop, on_signal
from foretell.engine.tasks import LoadFailed
from foretell.errors import Fenced, LoadError, StorageError
from foretell.plan import Plan
from foretell.store.manifest import check_there
from foretell.store.records import WorkerSeen
from foretell.types import RunState

METRICS_EVERY = 5.0
"""Seconds between the samples that are kept over time."""

WORKER_WAIT = 90.0
"""Seconds a run goes on without any worker."""


class Driver:
    """Runs the chunks of one session.

    Args:
        plan: The plan.
        queue: Which chunks are left.
        cluster, crew, limits: The workers.
        placement: The services on them.
        recorder: What is written down.
        settings: Resolved schedule.
        inbox: Where the cluster, signals and requests arrive.
        cancelled: Asks the store whether ``sdk cancel`` was typed.
    """

    def __init__(
        self,
        plan: Plan,
        work: WorkQueue,
        cluster: Cluster,
        crew: Crew,
        limits: Limits,
        placement: Placement,
        recorder: Recorder,
        settings: Settings,
        inbox: queue.Queue[Any],
        cancelled: Callable[[], bool],
    ) -> None:
        self.plan = plan
        self.work = work
        self.cluster = cluster
        self.crew = crew
        self.limits = limits
        self.placement = placement
        self.recorder = recorder
        self.settings = settings
        self.inbox = inbox
        self.stop: Stop | None = None
        self._cancelled = cancelled
        self._drain_until = math.inf
        self._beat = self._checked_cancel = self._renewed = self._sampled = 0.0
        self._no_worker_since: float | None = time.monotonic()
        self.settler = Settler(
            plan, work, recorder, settings.on_error, self.end, settings.retry_chunks
        )
        self.losses = Losses(cluster, crew, limits, work, recorder, self.settler, self._load_failed)
        self.dispatcher = Dispatcher(
            cluster, crew, placement, work, recorder, self.losses, settings, self._flush_now
        )
        self.pause = Pause(recorder, 2 * plan.chunk_bytes, settings.storage_wait, self.end)
        self.host = socket.gethostname()

    # -- the loop --------------------------------------------------------------------------

    def run(self) -> Stop | None:
        """Work until everything is done (None) or there is a reason to stop.

        Raises:
            Fenced: another driver took the run.
        """
        self.beat(force=True)
        while not self._finished():
            self._hear()
            self._tick()
            if self.stop is None and not self.pause:
                self.dispatcher.give_out()
            self._flush()
            self.beat()
        listen(self.crew, self.recorder, self.host)
        self._last_figures()
        return self.stop

    def _last_figures(self) -> None:
        """What the deployments counted, for the record: a short run ends before a first sample."""
        if self.stop is None or self.stop.drain:
            self.limits.last_figures(self.inbox)
            with suppress(StorageError):
                self.recorder.workers(list(self.limits.samples.values()))

    def end(self, stop: Stop) -> None:
        """Decide to end the session; the first decision stands unless a later one is harsher."""
        if self.stop is not None and (stop.drain or not self.stop.drain):
            return
        self.stop = stop
        self._drain_until = time.monotonic() + (self.settings.drain if stop.drain else 0.0)
        self.recorder.say("WARN" if stop.exit_code else "INFO", stop.reason)
        self.crew.renew_due(draining=True, force=True)

    def _finished(self) -> bool:
        busy = any(seat.tasks for seat in self.crew.seats)
        if self.stop is None:
            return not busy and not self.work.waiting and not self.losses.pending
        if not self.stop.drain or not busy:
            return True
        return time.monotonic() > self._drain_until

    def _hear(self) -> None:
        """Wait for the next event, then take all that are there."""
        try:
            event = self.inbox.get(timeout=self._patience())
        except queue.Empty:
            return
        while True:
            self._handle(event)
            try:
                event = self.inbox.get_nowait()
            except queue.Empty:
                return

    def _patience(self) -> float:
        due = self.work.next_due()
        waits = [0.25]
        if due is not None:
            waits.append(max(0.01, due - time.monotonic()))
        return min(waits)

    def _handle(self, event: Any) -> None:
        match event:
            case TaskEnded():
                self._task_ended(event)
            case WorkerJoined(address):
                self.crew.joined(address)
            case WorkerLeft(address):
                self.placement.left(address)
                self.losses.worker_left(address)
            case Answered(what="install"):
                self._installed(event)
            case Answered(what="renew"):
                if self.crew.renewed(event):
                    self._no_worker_since = None
            case Answered(what="board"):
                self.limits.board_read(event)
            case Answered(what="stats"):
                self.limits.sampled(event)
            case Signalled(number):
                self._signalled(number)
            case SchedulerLost():
                self.end(_scheduler_lost())
            case _:
                pass

    def _signalled(self, number: int) -> None:
        stop = on_signal(number, self.stop)
        if stop is not self.stop:
            self.end(stop)

    # -- results ---------------------------------------------------------------------------

    def _task_ended(self, event: TaskEnded) -> None:
        if self.placement.ended(event):
            self.crew.renew_due(draining=self.stop is not None, force=True)
            return
        seat = self.crew.seat_of(event.address)
        key, _, rank = event.key.rpartition("-")
        attempt = None if seat is None else seat.tasks.get(key)
        if seat is None or attempt is None:
            return
        if event.error:
            self.losses.doubt(event.address)
            return
        if isinstance(event.result, LoadFailed):
            self._load_failed(event.result)
            return
        if event.result is None:
            del seat.tasks[key]
            self.losses.give_back(attempt)
            self.losses.reinstall(seat)
            return
        attempt.reports[int(rank)] = event.result
        if len(attempt.reports) == len(seat.members):
            del seat.tasks[key]
            self._settle(seat, attempt)
        elif not all(report.ok for report in event.result):
            self.losses.end_group(seat, attempt)

    def _settle(self, seat: Seat, attempt: Attempt) -> None:
        reported: set[int] = set()
        leader = seat.members[0]
        for report in self.settler.merged(attempt, len(seat.members)):
            reported.add(report.chunk)
            if not report.ok and report.touched:
                self.losses.overwritten.add(report.chunk)
            self.dispatcher.keep_pace(report.milliseconds)
            verdict = self.settler.settle(report, leader.index, leader.address, attempt.alone)
            if verdict == "storage-full":
                self.pause.begin(report.troubles[0].message)
            elif verdict == "done":
                self.pause.stored()
        for work in attempt.works:
            if work.chunk not in reported:
                self.work.give_back(work.chunk)

    def _load_failed(self, failed: LoadFailed) -> None:
        trouble = failed.trouble
        error = LoadError(
            trouble.message,
            facts=trouble.facts or [("cause", f"{trouble.kind}: {trouble.message}")],
            tries=trouble.tries,
            slug=trouble.slug or "load",
        )
        error.add_note(trouble.traceback)
        reason = f"a worker cannot load the model: {trouble.message}"
        self.end(Stop(RunState.FAILED, LoadError.exit_code, reason, drain=False, error=error))

    # -- workers coming and going ----------------------------------------------------------

    def _installed(self, answer: Answered) -> None:
        member = self.crew.installed(answer)
        if member is None or member.info is None:
            if not self.crew.install_again(answer):
                self.recorder.say("WARN", f"a worker cannot be prepared: {answer.error}")
            return
        self.recorder.add(
            WorkerSeen(
                index=member.index,
                address=member.address,
                host=member.info.host,
                pid=member.info.pid,
                pid_started=member.info.pid_started,
                owned=self.crew.job.local or member.info.pid == os.getpid(),
            )
        )

    # -- time ------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = time.monotonic()
        if now - self._renewed >= RENEW_EVERY / 2:
            # Before any lease is renewed: a driver that was taken over must let them run out.
            self._renewed = now
            if self._unfenced():
                self.crew.renew_due(draining=self.stop is not None)
        self.limits.check()
        self.placement.keep(self.crew)
        self.losses.tick(now)
        self._check_workers(now)
        self._check_walltime()
        if self.stop is None:
            self.pause.check(now)
        if now - self._checked_cancel >= self.recorder.facts.interval:
            self._checked_cancel = now
            if self._cancelled():
                self.end(Stop(RunState.CANCELLED, 75, "cancelled by sdk cancel"))

    def _unfenced(self) -> bool:
        """Whether this surely is the run's driver still; False when the storage does not say.

        Raises:
            Fenced: it is not.
        """
        try:
            self.recorder.ledger.check_fence()
        except StorageError as error:
            if error.slug == "store-vanished":
                raise
            return False
        return True

    def _check_workers(self, now: float) -> None:
        if any(seat.ready for seat in self.crew.seats):
            self._no_worker_since = None
            return
        if self._no_worker_since is None:
            self._no_worker_since = now
        if not self.cluster.alive():
            self.end(_scheduler_lost())
        elif now - self._no_worker_since > WORKER_WAIT:
            why = f"no worker for {WORKER_WAIT:.0f} s"
            self.end(Stop(RunState.INTERRUPTED, 75, why, drain=False))

    def _check_walltime(self) -> None:
        ends = self.settings.walltime_ends
        if ends is None or self.stop is not None:
            return
        needed = (self.limits.typical() or 0.0) * 1.5 + 1.0
        if time.time() + needed > ends:
            self.end(Stop(RunState.INTERRUPTED, 75, "the walltime is nearly over"))

    # -- storage ---------------------------------------------------------------------------

    def _flush(self, force: bool = False) -> bool:
        """Write what is due; False when the storage is full and it must be tried again."""
        if not (force or self.recorder.due or self._finished()):
            return True
        try:
            self.recorder.flush()
        except Fenced:
            raise
        except StorageError as error:
            if error.slug != "storage-full":
                raise
            self.pause.begin(error.message, ledger=True)
            return False
        self.pause.stored(ledger=True)
        return True

    def _flush_now(self) -> bool:
        return self._flush(force=True)

    def beat(self, force: bool = False) -> None:
        """Write the head and the worker samples when they are due."""
        now = time.monotonic()
        if not force and now - self._beat < self.recorder.facts.interval:
            return
        self._beat = now
        ready = [seat for seat in self.crew.seats if seat.ready]
        state = RunState.RUNNING if ready or self.recorder.rates.count else RunState.STARTING
        if self.pause:
            state = RunState.PAUSED
        if self.stop is not None:
            state = RunState.DRAINING
        try:
            check_there(self.recorder.objects)
            listen(self.crew, self.recorder, self.host)
            head = self.recorder.beat(state, sum(len(s.members) for s in ready), self.pause.reason)
            samples = list(self.limits.samples.values())
            self.recorder.workers(samples)
            if now - self._sampled >= METRICS_EVERY:
                self._sampled = now
                self.recorder.sample(head, samples)
            self.pause.stored(ledger=True)
        except StorageError as error:
            if error.slug == "storage-full":
                self.pause.begin(error.message, ledger=True)
            elif error.slug == "store-vanished":
                raise
            # Else a viewer misses a beat. What matters is in the ledger, which is less patient.


def _scheduler_lost() -> Stop:
    reason = "the connection to the Dask scheduler is lost"
    return Stop(RunState.INTERRUPTED, 75, reason, drain=False)
