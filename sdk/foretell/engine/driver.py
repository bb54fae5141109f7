"""The driver: one loop over one inbox that keeps every seat busy until the work is done.

It decides, records and dispatches; it never reads rows, loads a model or touches predictions.
"""

from __future__ import annotations

import itertools
import math
import os
import queue
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from foretell.engine import blame
from foretell.engine.cluster import (
    Answered,
    Cluster,
    SchedulerLost,
    TaskEnded,
    WorkerJoined,
    WorkerLeft,
)
from foretell.engine.crew import Attempt, Crew, Seat
from foretell.engine.lease import RENEW_EVERY
from foretell.engine.limits import Limits
from foretell.engine.messages import ChunkReport, ChunkWork, Trouble
from foretell.engine.outcome import Settler
from foretell.engine.placement import Placement
from foretell.engine.queue import WorkQueue
from foretell.engine.recorder import Recorder
from foretell.engine.stopping import Signalled, Stop, on_signal
from foretell.engine.tasks import LoadFailed, run_chunks
from foretell.errors import Fenced, LoadError, StorageError
from foretell.plan import Plan
from foretell.store.leases import LATE_WRITE_SECONDS
from foretell.store.records import WorkerSeen
from foretell.types import ChunkState, RunState

TASK_SECONDS = 1.0
"""Work a task aims at, so that Dask's 3 ms a task stay a small share."""

MOST_CHUNKS = 4096
"""Chunks in one task at most: its receipts must stay small."""

METRICS_EVERY = 5.0
"""Seconds between the samples that are kept over time."""

WORKER_WAIT = 90.0
"""Seconds a run goes on without any worker."""

DOUBT = 5.0
"""Seconds a failed task waits for the news that its worker is gone."""


@dataclass(slots=True)
class Settings:
    """What the loop needs to know of ``[schedule]``, resolved."""

    in_hand: int
    retries: int
    drain: float
    walltime_ends: float | None
    on_error: str
    storage_wait: float
    retry_chunks: frozenset[int]


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
        self.paused = ""
        self._paused_until = 0.0
        self._pause_began = 0.0
        self._cancelled = cancelled
        self._keys = itertools.count(1)
        self._drain_until = math.inf
        self._pace: float | None = None
        self._beat = self._checked_cancel = self._renewed = self._sampled = 0.0
        self._no_worker_since: float | None = time.monotonic()
        self._limbo: list[tuple[float, list[int]]] = []
        self._doubts: dict[str, float] = {}
        self._load_deaths = 0
        self._overwritten: set[int] = set()
        self._broken: dict[str, float] = {}
        self.settler = Settler(plan, work, recorder, settings.on_error, self.end)
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
            if not self.paused:
                self._dispatch()
            self._flush()
            self.beat()
        return self.stop

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
            return not busy and not self.work.waiting and not self._limbo
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
                self._worker_left(address)
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

    # -- giving out work -------------------------------------------------------------------

    def _dispatch(self) -> None:
        if self.stop is not None or not (self.placement.ready or self._pace):
            return
        chosen: list[tuple[Seat, Attempt]] = []
        now = time.monotonic()
        lone_wanted = self.work.lone_due(now)
        for seat in self.crew.seats:
            if not seat.ready or seat.lone:
                continue
            if lone_wanted:
                if not seat.tasks and (chunk := self.work.take_lone(now)) is not None:
                    chosen.append((seat, self._attempt(seat, [chunk], alone=True)))
                    lone_wanted = self.work.lone_due(now)
                    continue
                if self._is_quietest(seat):
                    continue
            while len(seat.tasks) < self.settings.in_hand:
                chunks = self.work.take(self._task_size())
                if not chunks:
                    break
                attempt = self._attempt(seat, chunks, alone=False)
                seat.tasks[attempt.key] = attempt
                chosen.append((seat, attempt))
        if chosen:
            self._send(chosen)

    def _is_quietest(self, seat: Seat) -> bool:
        """Whether this seat is the one kept free for the chunk that must run alone."""
        ready = [s for s in self.crew.seats if s.ready and not s.lone]
        return seat is min(ready, key=lambda s: len(s.tasks), default=None)

    def _task_size(self) -> int:
        if self._pace is None or self.crew.job.batch_size == 0:
            return 1
        seats = max(1, len(self.crew.seats)) * self.settings.in_hand
        fair = max(1, self.work.waiting // (2 * seats))
        by_time = int(TASK_SECONDS / max(self._pace, 1e-6))
        if any(len(seat.members) > 1 for seat in self.crew.seats):
            return 1
        return max(1, min(by_time, fair, MOST_CHUNKS))

    def _attempt(self, seat: Seat, chunks: list[int], *, alone: bool) -> Attempt:
        table = self.recorder.ledger.table
        works: list[ChunkWork] = []
        for chunk in chunks:
            retry = self._keeps_good_rows(chunk)
            works.append(
                ChunkWork(
                    chunk=chunk,
                    attempt=self.work.number(chunk),
                    retry=retry,
                    sizes=tuple(table.sizes[chunk].tolist()) if retry else (),
                    crcs=tuple(table.crcs[chunk].tolist()) if retry else (),
                )
            )
        return Attempt(f"{self.crew.job.run}-{next(self._keys)}", tuple(works), alone)

    def _keeps_good_rows(self, chunk: int) -> bool:
        """Whether a retry may build on what is stored: nothing has been put over it yet."""
        if chunk not in self.settings.retry_chunks or chunk in self._overwritten:
            return False
        table = self.recorder.ledger.table
        return chunk in table.retried or bool(table.state[chunk] == ChunkState.DONE)

    def _send(self, chosen: list[tuple[Seat, Attempt]]) -> None:
        """Record the intents, then dispatch: in this order, always."""
        for seat, attempt in chosen:
            seat.tasks[attempt.key] = attempt
            for number, group in itertools.groupby(
                attempt.works, key=lambda w: (w.attempt, w.retry)
            ):
                self.recorder.intent(
                    [w.chunk for w in group], number[0], retry=number[1], alone=attempt.alone
                )
        if not self._flush(force=True):
            for seat, attempt in chosen:
                seat.tasks.pop(attempt.key, None)
                self._give_back(attempt)
            return
        for seat, attempt in chosen:
            attempt.works = tuple(
                replace(work, turn=seat.turns + at) for at, work in enumerate(attempt.works)
            )
            seat.turns += len(attempt.works)
            for member, key in zip(seat.members, self.crew.keys(seat, attempt), strict=True):
                self.cluster.submit(
                    key, member.address, run_chunks, self.crew.job.run, attempt.works
                )

    def _give_back(self, attempt: Attempt) -> None:
        for work in attempt.works:
            self.work.give_back(work.chunk)

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
            self._doubts[event.address] = time.monotonic() + DOUBT
            return
        if isinstance(event.result, LoadFailed):
            self._load_failed(event.result)
            return
        if event.result is None:
            del seat.tasks[key]
            self._give_back(attempt)
            self._reinstall(seat)
            return
        attempt.reports[int(rank)] = event.result
        if len(attempt.reports) == len(seat.members):
            del seat.tasks[key]
            self._settle(seat, attempt)
        elif not all(report.ok for report in event.result):
            self._end_group(seat, attempt)

    def _end_group(self, seat: Seat, attempt: Attempt) -> None:
        """One member failed while others may wait for it for ever: the group ends together."""
        for member in seat.members:
            if member.rank not in attempt.reports:
                self.limits.end(member, "group")

    def _settle(self, seat: Seat, attempt: Attempt) -> None:
        reported: set[int] = set()
        leader = seat.members[0]
        for report in self.settler.merged(attempt, len(seat.members)):
            reported.add(report.chunk)
            if not report.ok and report.touched:
                self._overwritten.add(report.chunk)
            self._keep_pace(report, len(attempt.works))
            verdict = self.settler.settle(report, leader.index, leader.address, attempt.alone)
            if verdict == "storage-full":
                self._pause(report.troubles[0])
        for work in attempt.works:
            if work.chunk not in reported:
                self.work.give_back(work.chunk)

    def _keep_pace(self, report: ChunkReport, tasks: int) -> None:
        seconds = max(report.milliseconds, 0.2) / 1000
        self._pace = seconds if self._pace is None else 0.8 * self._pace + 0.2 * seconds

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
            if self.crew.member(answer.address) is not None:
                self._broken[answer.address] = time.monotonic()
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

    def _reinstall(self, seat: Seat) -> None:
        addresses = [member.address for member in seat.members]
        if seat in self.crew.seats:
            self.crew.seats.remove(seat)
        for attempt in seat.tasks.values():
            self.cluster.cancel(self.crew.keys(seat, attempt))
            self._give_back(attempt)
        for address in addresses:
            self.crew.joined(address)

    def _worker_left(self, address: str) -> None:
        lost = self.crew.left(address)
        self.placement.left(address)
        self._doubts.pop(address, None)
        if lost is None:
            return
        seat, member = lost
        held = [work.chunk for attempt in seat.tasks.values() for work in attempt.works]
        for attempt in seat.tasks.values():
            self.cluster.cancel(self.crew.keys(seat, attempt))
        proven = blame.make_sure_dead(member, self.host)
        stamps, output = blame.read_remains(member) if proven else ([], "")
        exit_code = self.cluster.exit_code(address)
        verdict = blame.judge(member, stamps, held, exit_code, output)
        if held or exit_code:
            self.recorder.say("WARN", f"{address}: {verdict.trouble.message}")
        for other in seat.members:
            if other is not member and not other.doomed:
                self.limits.end(other, "group")
                proven = blame.make_sure_dead(other, self.host) and proven
        if proven:
            blame.sweep_remains(member)
        self._after_death(seat, held, verdict, proven, member.index, address)

    def _after_death(
        self,
        seat: Seat,
        held: list[int],
        verdict: blame.Verdict,
        proven: bool,
        worker: int,
        address: str,
    ) -> None:
        if verdict.loading:
            self._load_deaths += 1
            if self._load_deaths >= 3:
                self._load_failed(LoadFailed(verdict.trouble, LoadError.exit_code))
        self._overwritten.update(held)
        shared = len(verdict.suspects) > 1
        innocent = [chunk for chunk in held if chunk not in verdict.suspects]
        attempts = {w.chunk: w.attempt for a in seat.tasks.values() for w in a.works}
        for chunk in sorted(verdict.suspects):
            state = self.work.strike(chunk, time.monotonic(), shared=shared, exhausted=True)
            self.recorder.failed(
                chunk, attempts[chunk], state, verdict.trouble, worker, address, suspect=True
            )
            self.settler.ended(chunk, state)
        if proven or not held:
            for chunk in innocent:
                self.work.give_back(chunk)
        else:
            wait = LATE_WRITE_SECONDS
            self._limbo.append((time.monotonic() + wait, innocent))
            if verdict.suspects:
                self.work.hold(verdict.suspects, time.monotonic() + wait)
        seat.tasks.clear()

    # -- time ------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = time.monotonic()
        if now - self._renewed >= RENEW_EVERY / 2:
            # Before any lease is renewed: a driver that was taken over must let them run out.
            self._renewed = now
            self.recorder.ledger.check_fence()
            self.crew.renew_due(draining=self.stop is not None)
        self.limits.check()
        self.placement.keep(self.crew)
        for due, chunks in [item for item in self._limbo if item[0] <= now]:
            self._limbo.remove((due, chunks))
            for chunk in chunks:
                self.work.give_back(chunk)
        for address in [a for a, due in self._doubts.items() if due <= now]:
            self._doubted(address)
        self._check_workers(now)
        self._check_walltime()
        self._check_pause(now)
        if now - self._checked_cancel >= self.recorder.facts.interval:
            self._checked_cancel = now
            if self._cancelled():
                self.end(Stop(RunState.CANCELLED, 75, "cancelled by sdk cancel"))

    def _doubted(self, address: str) -> None:
        """A task failed in Dask's hands and its worker is still there: count it, start afresh."""
        del self._doubts[address]
        seat = self.crew.seat_of(address)
        if seat is None:
            return
        trouble = Trouble("dask", "the task was lost by the cluster while its worker lived on")
        for attempt in list(seat.tasks.values()):
            for work in attempt.works:
                state = self.work.strike(work.chunk, time.monotonic(), shared=True)
                self.recorder.failed(
                    work.chunk, work.attempt, state, trouble, seat.members[0].index, address
                )
            self.cluster.cancel(self.crew.keys(seat, attempt))
        seat.tasks.clear()
        self._reinstall(seat)

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

    def _pause(self, trouble: Trouble) -> None:
        if not self.paused:
            self._pause_began = time.monotonic()
            self.recorder.say("WARN", f"paused: {trouble.message}")
        self.paused = trouble.message
        self._paused_until = time.monotonic() + 1.0

    def _check_pause(self, now: float) -> None:
        if not self.paused or self.stop is not None:
            return
        if now - self._pause_began > self.settings.storage_wait:
            reason = f"the storage gave out: {self.paused}"
            self.end(Stop(RunState.FAILED, 7, reason))
        elif now >= self._paused_until:
            room = self.recorder.room()
            self._paused_until = now + 1.0
            if room is None or room >= 2 * self.plan.chunk_bytes:
                self.paused = ""
                self.recorder.say("INFO", "there is room again: going on")

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
            self._pause(Trouble("StorageError", error.message, slug=error.slug))
            return False
        return True

    def beat(self, force: bool = False) -> None:
        """Write the head and the worker samples when they are due."""
        now = time.monotonic()
        if not force and now - self._beat < self.recorder.facts.interval:
            return
        self._beat = now
        ready = [seat for seat in self.crew.seats if seat.ready]
        state = RunState.RUNNING if ready or self.recorder.rates.count else RunState.STARTING
        if self.paused:
            state = RunState.PAUSED
        if self.stop is not None:
            state = RunState.DRAINING
        try:
            self._listen()
            head = self.recorder.beat(state, sum(len(s.members) for s in ready), self.paused)
            samples = list(self.limits.samples.values())
            self.recorder.workers(samples)
            if now - self._sampled >= METRICS_EVERY:
                self._sampled = now
                self.recorder.sample(head, samples)
        except StorageError as error:
            self._pause(Trouble("StorageError", error.message, slug=error.slug))

    def _listen(self) -> None:
        """What the workers printed since the last look goes into the log."""
        for member in self.crew.members():
            if member.info is None or member.info.host != self.host or not member.info.output:
                continue
            text, member.heard = blame.printed(member.info.output, member.heard)
            for line in text.splitlines():
                if line.strip():
                    self.recorder.log("PRINT", member.index, line)


def _scheduler_lost() -> Stop:
    reason = "the connection to the Dask scheduler is lost"
    return Stop(RunState.INTERRUPTED, 75, reason, drain=False)
