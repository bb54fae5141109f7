"""Giving out work: to whom, how much at once, and never before the intent is recorded."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from foretell.engine.cluster import Cluster
from foretell.engine.crew import Attempt, Crew, Seat
from foretell.engine.losses import Losses
from foretell.engine.messages import ChunkWork
from foretell.engine.placement import Placement
from foretell.engine.queue import WorkQueue
from foretell.engine.recorder import Recorder
from foretell.engine.tasks import run_chunks
from foretell.types import ChunkState

TASK_SECONDS = 1.0
"""Work a task aims at, so that Dask's 3 ms a task stay a small share."""

TASKS_PER_SECOND = 100
"""Tasks that all workers together aim at: one scheduler manages some 350 a second."""

LEAST_SECONDS = 0.05
"""Work a task has even when little is left to share out."""

MOST_CHUNKS = 4096
"""Chunks in one task at most: its receipts must stay small."""


@dataclass(slots=True)
class Settings:
    """What driving needs to know of ``[schedule]``, resolved.

    Attributes:
        in_hand: Tasks a seat holds at once: one read, one computed per slot, one written.
        drain: Seconds chunks in hand may take to finish once the session is to end.
        walltime_ends: Seconds since the epoch, or None.
        on_error: The policy.
        storage_wait: Seconds a full storage is waited for.
        retry_chunks: Chunks that were DONE and are predicted again.
    """

    in_hand: int
    drain: float
    walltime_ends: float | None
    on_error: str
    storage_wait: float
    retry_chunks: frozenset[int]


class Dispatcher:
    """Keeps every seat supplied.

    Args:
        cluster, crew, placement: The workers and the services on them.
        work: The queue.
        recorder: Where intents are written.
        losses: Takes back what could not be sent.
        settings: Resolved schedule.
        flush: Makes the intents durable; False when the storage is full.
    """

    def __init__(
        self,
        cluster: Cluster,
        crew: Crew,
        placement: Placement,
        work: WorkQueue,
        recorder: Recorder,
        losses: Losses,
        settings: Settings,
        flush: Callable[[], bool],
    ) -> None:
        self._cluster = cluster
        self._crew = crew
        self._placement = placement
        self._work = work
        self._recorder = recorder
        self._losses = losses
        self._settings = settings
        self._flush = flush
        self._keys = itertools.count(1)
        self._pace: float | None = None

    def keep_pace(self, milliseconds: int) -> None:
        """A chunk took so long: the size of tasks follows."""
        seconds = max(milliseconds, 0.2) / 1000
        self._pace = seconds if self._pace is None else 0.8 * self._pace + 0.2 * seconds

    def give_out(self) -> None:
        """Give every seat what it has room for."""
        if not (self._placement.ready or self._pace):
            return
        chosen: list[tuple[Seat, Attempt]] = []
        now = time.monotonic()
        lone_wanted = self._work.lone_due(now)
        for seat in self._crew.seats:
            if not seat.ready or seat.lone:
                continue
            if lone_wanted:
                if not seat.tasks and (chunk := self._work.take_lone(now)) is not None:
                    chosen.append((seat, self._attempt(seat, [chunk], alone=True)))
                    lone_wanted = self._work.lone_due(now)
                    continue
                if self._is_quietest(seat):
                    continue
            while len(seat.tasks) < self._settings.in_hand:
                chunks = self._work.take(self._task_size())
                if not chunks:
                    break
                attempt = self._attempt(seat, chunks, alone=False)
                seat.tasks[attempt.key] = attempt
                chosen.append((seat, attempt))
        if chosen:
            self._send(chosen)

    def _is_quietest(self, seat: Seat) -> bool:
        """Whether this seat is the one kept free for the chunk that must run alone."""
        ready = [s for s in self._crew.seats if s.ready and not s.lone]
        return seat is min(ready, key=lambda s: len(s.tasks), default=None)

    def _task_size(self) -> int:
        if self._pace is None or self._crew.job.batch_size == 0:
            return 1
        seats = max(1, len(self._crew.seats))
        if any(len(seat.members) > 1 for seat in self._crew.seats):
            return 1
        least = max(1, int(LEAST_SECONDS / self._pace))
        fair = max(least, self._work.waiting // (2 * seats * self._settings.in_hand))
        by_time = int(max(TASK_SECONDS, seats / TASKS_PER_SECOND) / self._pace)
        return max(1, min(by_time, fair, MOST_CHUNKS))

    def _attempt(self, seat: Seat, chunks: list[int], *, alone: bool) -> Attempt:
        table = self._recorder.ledger.table
        works: list[ChunkWork] = []
        for chunk in chunks:
            retry = self._keeps_good_rows(chunk)
            works.append(
                ChunkWork(
                    chunk=chunk,
                    attempt=self._work.number(chunk),
                    retry=retry,
                    sizes=tuple(table.sizes[chunk].tolist()) if retry else (),
                    crcs=tuple(table.crcs[chunk].tolist()) if retry else (),
                )
            )
        return Attempt(f"{self._crew.job.run}-{next(self._keys)}", tuple(works), alone)

    def _keeps_good_rows(self, chunk: int) -> bool:
        """Whether a retry may build on what is stored: nothing has been put over it yet."""
        if chunk not in self._settings.retry_chunks or chunk in self._losses.overwritten:
            return False
        table = self._recorder.ledger.table
        return chunk in table.retried or bool(table.state[chunk] == ChunkState.DONE)

    def _send(self, chosen: list[tuple[Seat, Attempt]]) -> None:
        """Record the intents, then dispatch: in this order, always."""
        for seat, attempt in chosen:
            seat.tasks[attempt.key] = attempt
            for number, group in itertools.groupby(
                attempt.works, key=lambda w: (w.attempt, w.retry)
            ):
                self._recorder.intent(
                    [w.chunk for w in group], number[0], retry=number[1], alone=attempt.alone
                )
        if not self._flush():
            for seat, attempt in chosen:
                seat.tasks.pop(attempt.key, None)
                self._losses.give_back(attempt)
            return
        for seat, attempt in chosen:
            attempt.works = tuple(
                replace(work, turn=seat.turns + at) for at, work in enumerate(attempt.works)
            )
            seat.turns += len(attempt.works)
            for member, key in zip(seat.members, self._crew.keys(seat, attempt), strict=True):
                self._cluster.submit(
                    key, member.address, run_chunks, self._crew.job.run, attempt.works
                )
