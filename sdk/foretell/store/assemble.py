"""Makes a finished run of predictions that exist already: a run store without an engine.

For plugins that predict under somebody else's loop. What comes out is a run like any other: its
manifest, ledger, head and outputs are written in the order a driver writes them, by the calling
process: one thread reads the chunks in turn, a few others encode and store them. A call that was
killed is continued by the next.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from foretell.abc.writer import Writer, WriterPlan
from foretell.errors import FingerprintMismatch, Interrupted, NotARun
from foretell.plan import Plan
from foretell.rows import not_finite
from foretell.store import control
from foretell.store.head import Head, HeadWriter, Totals
from foretell.store.leases import HEARTBEAT_LOCAL, HEARTBEAT_REMOTE
from foretell.store.manifest import Manifest, write_manifest
from foretell.store.objects import ObjectStore
from foretell.store.rates import RateMeter
from foretell.store.records import ChunkDone, Intent, Record, SessionEnded, WorkerSeen
from foretell.store.snapshot import open_snapshot
from foretell.store.takeover import Clock, claim
from foretell.types import Arrays, Chunk, ChunkState, RunState, Valid

GROUP = 64
"""Chunks recorded at once, as long as they take no longer than a second."""

THREADS = min(4, os.cpu_count() or 1)
"""Chunks that are encoded and stored at once; one more may be read meanwhile."""

_CANCELLED = "cancelled by sdk cancel"
_FINISHED = (RunState.DONE, RunState.PARTIAL)

ReadChunk = Callable[[Chunk], "tuple[Arrays, np.ndarray]"]
"""Gives a chunk's outputs and its uint8 ``valid``: 1 predicted, 2 without a prediction."""


def assemble(
    objects: ObjectStore,
    manifest: Manifest,
    writer: Writer,
    read: ReadChunk,
    *,
    command: str = "",
    clock: Clock | None = None,
) -> RunState:
    """Write every chunk of a plan and finish the run.

    Args:
        objects: The run store; its folder is made when it is missing.
        manifest: What the run is. A run that is there already must have the same fingerprint and
            plan; its done chunks are left alone.
        writer: On the same store.
        read: Called once for each chunk that is not done, in ascending order.
        command: What is doing this, for the record.
        clock: Time; the real one by default.

    Returns:
        ``done``, or ``partial`` when rows have no prediction.

    Raises:
        FingerprintMismatch: the run that is there is another one.
        HeldError: another process is writing it.
        StorageError, ShapeMismatch: see :class:`~foretell.abc.Writer`.
    """
    with Assembly(objects, manifest, writer, command=command, clock=clock) as assembly:
        assembly.fill(read)
        return assembly.finish()


class Assembly:
    """A run store that is being made, by :func:`assemble` or a chunk at a time.

    Methods are called from one thread at a time. Leaving its ``with`` block lets go of the run;
    whoever opens it next goes on.

    Args:
        objects, manifest, writer, command, clock: As for :func:`assemble`.
        say: Told what is being waited for, one line at a time.

    Attributes:
        ended: How the run ended, when it had before; then there is nothing to do.
        cancelled: Whether ``sdk cancel`` asked for an end: :meth:`beat` looks, the caller obeys.

    Raises:
        FingerprintMismatch, HeldError, StorageError: as :func:`assemble` does.
    """

    def __init__(
        self,
        objects: ObjectStore,
        manifest: Manifest,
        writer: Writer,
        *,
        command: str = "",
        clock: Clock | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._objects = objects
        self._plan = Plan.from_json(manifest.plan)
        self._writer = writer
        self._clock = clock or Clock()
        self._heads = HeadWriter(objects)
        self._unrecorded: list[ChunkDone] = []
        self._beaten = 0.0
        self.cancelled = False
        self._let_go: Callable[[], None] = lambda: None
        writer_plan = self._plan.writer_plan()
        writer.check(writer_plan)
        objects.ensure_root()
        self.ended = _looked_at(objects, manifest)
        if self.ended is not None:
            return
        write_manifest(objects, manifest)
        self._ledger = claim(objects, manifest, command=command, clock=self._clock, say=say)
        self._let_go = self._ledger.close
        try:
            self._begin(writer_plan)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Assembly:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # --- chunks ---------------------------------------------------------------------------------

    def is_done(self, chunk: int) -> bool:
        """Whether a chunk is in the store."""
        return self.ended is not None or bool(self._ledger.table.state[chunk] == ChunkState.DONE)

    def add(self, chunk: Chunk, arrays: Arrays, valid: np.ndarray, seconds: float = 0.0) -> None:
        """Store a chunk that is not done. Whatever is called next records it.

        Args:
            chunk: Of the plan.
            arrays: Outputs, a row for each of the chunk.
            valid: uint8 ``(rows,)``: 1 predicted, 2 without a prediction.
            seconds: What predicting it took.
        """
        self._intend([chunk.id])
        started, began = self._clock.now() - seconds, self._clock.monotonic() - seconds
        self._unrecorded.append(self._write(chunk, arrays, valid, started, began))

    def record(self, more: Sequence[Record] = ()) -> None:
        """Make durable what is known of chunks that were stored, and ``more``."""
        self._ledger.append([*self._unrecorded, *more])
        for done in self._unrecorded:
            rows = len(self._plan.chunk(done.chunk)) - done.quarantined
            self._meter.finished(rows, sum(done.sizes), done.milliseconds / 1000)
        self._unrecorded = []

    def beat(self) -> None:
        """Record what is stored, and show that somebody is at work. Cheap when it is not due."""
        if self.ended is None and self._clock.monotonic() - self._beaten >= self.interval:
            self.record()
            self.cancelled |= control.cancelled(self._objects, self._ledger.epoch)
            self._beat(RunState.RUNNING)

    def fill(self, read: ReadChunk) -> None:
        """Store every chunk that is not done.

        Raises:
            Interrupted: ``sdk cancel`` asked for an end.
        """
        if self.ended is not None:
            return
        self.record()
        waiting = np.flatnonzero(self._ledger.table.state != ChunkState.DONE).tolist()
        # Left only when nothing is on its way to the store any more.
        with ThreadPoolExecutor(THREADS, "assemble") as threads:
            for at in range(0, len(waiting), GROUP):
                self._obey()
                self._fill_group(waiting[at : at + GROUP], read, threads)

    # --- the end --------------------------------------------------------------------------------

    def finish(self) -> RunState:
        """End a run whose chunks are all done; how it ended."""
        if self.ended is not None:
            return self.ended
        self.record()
        totals = self._ledger.table.totals(self._plan.n_rows, self._plan.chunk_rows)
        complete = totals.rows_done == totals.rows
        self._writer.finalize(complete, {})
        lost = totals.rows - totals.rows_done
        reason = "" if complete else f"{lost:,} of {totals.rows:,} rows have no prediction"
        self.ended = RunState.DONE if complete else RunState.PARTIAL
        self._end(self.ended, 0 if complete else 3, reason)
        return self.ended

    def stop(self, reason: str) -> None:
        """End the session with chunks missing, so that the next need not ask who is alive."""
        if self.ended is None:
            self.record()
            state = RunState.CANCELLED if self.cancelled else RunState.INTERRUPTED
            self._end(state, 75, _CANCELLED if self.cancelled else reason)

    def close(self) -> None:
        """Let go of the run."""
        self._let_go()

    @property
    def interval(self) -> float:
        """Seconds after which :meth:`beat` is due."""
        return HEARTBEAT_REMOTE if self._objects.remote else HEARTBEAT_LOCAL

    # --- steps ----------------------------------------------------------------------------------

    def _begin(self, writer_plan: WriterPlan) -> None:
        self._writer.create(writer_plan)
        self._writer.open(writer_plan)
        table, session = self._ledger.table, self._ledger.session
        self._resumed = int((table.state == ChunkState.DONE).sum())
        self._meter = RateMeter(self._clock.monotonic, 1)
        self._worker = self._ledger.next_worker
        seen = WorkerSeen(
            self._worker, "", session.host, os.getpid(), session.pid_started, owned=False
        )
        self._ledger.append([seen])

    def _intend(self, chunks: list[int]) -> None:
        """Say which chunks are to be stored, in the record of those that have been."""
        attempts = self._ledger.table.attempt
        intents: list[Record] = []
        for attempt in sorted({int(attempts[chunk]) + 1 for chunk in chunks}):
            ids = tuple(chunk for chunk in chunks if int(attempts[chunk]) + 1 == attempt)
            intents.append(Intent(ids, attempt))
        self.record(intents)

    def _fill_group(self, chunks: list[int], read: ReadChunk, threads: ThreadPoolExecutor) -> None:
        self._intend(chunks)
        began = self._clock.monotonic()
        for written in self._written(chunks, read, threads):
            self._unrecorded.append(written)
            if self._clock.monotonic() - began > 1.0:
                self.record()
                self.beat()
                self._obey()
                began = self._clock.monotonic()
        self.record()
        self.beat()

    def _obey(self) -> None:
        if self.cancelled:
            raise Interrupted(_CANCELLED, facts=[("store", self._objects.url)])

    def _written(
        self, chunks: list[int], read: ReadChunk, threads: ThreadPoolExecutor
    ) -> Iterator[ChunkDone]:
        """Chunks in the order given, each once it is stored."""
        waiting: deque[Future[ChunkDone]] = deque()
        for number in chunks:
            chunk = self._plan.chunk(number)
            started, began = self._clock.now(), self._clock.monotonic()
            waiting.append(threads.submit(self._write, chunk, *read(chunk), started, began))
            if len(waiting) > THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _write(
        self, chunk: Chunk, arrays: Arrays, valid: np.ndarray, started: float, began: float
    ) -> ChunkDone:
        receipt = self._writer.write(chunk, arrays, valid)
        bad = not_finite(arrays.values(), len(valid))
        return ChunkDone(
            chunk=chunk.id,
            attempt=int(self._ledger.table.attempt[chunk.id]),
            started=started,
            milliseconds=round((self._clock.monotonic() - began) * 1000),
            worker=self._worker,
            quarantined=int(np.count_nonzero(valid == Valid.QUARANTINED)),
            sizes=receipt.sizes,
            crcs=receipt.crcs,
            nan=int(np.count_nonzero(bad & (valid == Valid.PREDICTED))),
        )

    def _end(self, state: RunState, code: int, reason: str) -> None:
        self._ledger.append([SessionEnded(state.value, code, self._clock.now(), reason)])
        self._ledger.fold_at_end()
        self._beat(state, reason, code)

    def _totals(self) -> Totals:
        return self._ledger.table.totals(self._plan.n_rows, self._plan.chunk_rows)

    def _beat(self, state: RunState, reason: str = "", code: int | None = None) -> None:
        self._beaten = self._clock.monotonic()
        session, totals = self._ledger.session, self._totals()
        self._heads.write(
            Head(
                state=state.value,
                sequence=0,
                interval=self.interval,
                time=self._clock.now(),
                epoch=self._ledger.epoch,
                host=session.host,
                boot_id=session.boot_id,
                pid=session.pid,
                pid_started=session.pid_started,
                session_started=session.time,
                totals=totals,
                session_rows=self._meter.rows,
                rates=self._meter.rates(totals.rows - totals.rows_done),
                resumed_chunks=self._resumed,
                last_segment=self._ledger.last_segment,
                fold=self._ledger.newest_fold,
                unit=str(self._plan.attrs.get("unit", "rows")),
                reason=reason,
                exit_code=code,
            )
        )


def _looked_at(objects: ObjectStore, manifest: Manifest) -> RunState | None:
    """The state of a run that is there already and finished; None while there is work."""
    try:
        snapshot = open_snapshot(objects)
    except NotARun:
        return None
    stored = snapshot.manifest
    same_plan = snapshot.plan == Plan.from_json(manifest.plan)
    if dict(stored.fingerprint) != dict(manifest.fingerprint) or not same_plan:
        raise FingerprintMismatch(
            "there is another run in this place",
            facts=[("store", objects.url)],
            tries=[("another place", "keeps both")],
        )
    told = snapshot.head is not None and snapshot.head.state
    ended = snapshot.table.ended
    finished = ended is not None and RunState(ended.state) in _FINISHED
    return RunState(ended.state) if ended is not None and finished and told == ended.state else None
