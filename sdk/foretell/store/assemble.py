"""Makes a finished run of predictions that exist already: a run store without an engine.

For plugins that predict under somebody else's loop. What comes out is a run like any other: its
manifest, ledger, head and outputs are written in the order a driver writes them, by the calling
process: one thread reads the chunks in turn, a few others encode and store them. A call that was
killed is continued by the next.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from foretell.abc.writer import Writer
from foretell.errors import FingerprintMismatch, NotARun
from foretell.plan import Plan
from foretell.store.head import Head, HeadWriter
from foretell.store.leases import HEARTBEAT_LOCAL, HEARTBEAT_REMOTE
from foretell.store.ledger import LedgerWriter
from foretell.store.manifest import Manifest, write_manifest
from foretell.store.objects import ObjectStore
from foretell.store.records import ChunkDone, Intent, Record, SessionEnded, WorkerSeen
from foretell.store.snapshot import open_snapshot
from foretell.store.takeover import Clock, claim
from foretell.types import Arrays, Chunk, ChunkState, RunState, Valid

GROUP = 64
"""Chunks recorded at once, as long as they take no longer than a second."""

THREADS = min(4, os.cpu_count() or 1)
"""Chunks that are encoded and stored at once; one more may be read meanwhile."""

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
    clock = clock or Clock()
    plan = Plan.from_json(manifest.plan)
    writer.check(plan.writer_plan())
    objects.ensure_root()
    finished = _looked_at(objects, manifest)
    if finished is not None:
        return finished
    write_manifest(objects, manifest)
    ledger = claim(objects, manifest, command=command, clock=clock)
    try:
        return _Assembly(objects, plan, writer, ledger, clock).run(read)
    finally:
        ledger.close()


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
    ended = snapshot.table.ended
    told = snapshot.head is not None and RunState(snapshot.head.state).ended
    return RunState(ended.state) if ended is not None and told else None


class _Assembly:
    def __init__(
        self,
        objects: ObjectStore,
        plan: Plan,
        writer: Writer,
        ledger: LedgerWriter,
        clock: Clock,
    ) -> None:
        self._objects = objects
        self._plan = plan
        self._writer = writer
        self._ledger = ledger
        self._clock = clock
        self._heads = HeadWriter(objects)
        self._resumed = int((ledger.table.state == ChunkState.DONE).sum())
        self._worker = ledger.next_worker
        self._beaten = 0.0

    def run(self, read: ReadChunk) -> RunState:
        writer_plan = self._plan.writer_plan()
        self._writer.create(writer_plan)
        self._writer.open(writer_plan)
        session = self._ledger.session
        seen = WorkerSeen(
            self._worker, "", session.host, os.getpid(), session.pid_started, owned=False
        )
        self._ledger.append([seen])
        waiting = np.flatnonzero(self._ledger.table.state != ChunkState.DONE).tolist()
        # Left only when nothing is on its way to the store any more.
        with ThreadPoolExecutor(THREADS, "assemble") as threads:
            for at in range(0, len(waiting), GROUP):
                self._write_group(waiting[at : at + GROUP], read, threads)
        return self._finish()

    def _write_group(self, chunks: list[int], read: ReadChunk, threads: ThreadPoolExecutor) -> None:
        attempts = self._ledger.table.attempt
        again = sorted({int(attempts[chunk]) + 1 for chunk in chunks})
        for attempt in again:
            ids = tuple(chunk for chunk in chunks if int(attempts[chunk]) + 1 == attempt)
            self._ledger.append([Intent(ids, attempt)])
        done: list[Record] = []
        began = self._clock.monotonic()
        for written in self._written(chunks, read, threads):
            done.append(written)
            if self._clock.monotonic() - began > 1.0:
                self._record(done)
                done, began = [], self._clock.monotonic()
        self._record(done)

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
        return ChunkDone(
            chunk=chunk.id,
            attempt=int(self._ledger.table.attempt[chunk.id]),
            started=started,
            milliseconds=round((self._clock.monotonic() - began) * 1000),
            worker=self._worker,
            quarantined=int(np.count_nonzero(valid == Valid.QUARANTINED)),
            sizes=receipt.sizes,
            crcs=receipt.crcs,
            nan=_not_finite(arrays, valid),
        )

    def _record(self, records: list[Record]) -> None:
        self._ledger.append(records)
        if self._clock.monotonic() - self._beaten >= self._interval:
            self._beat(RunState.RUNNING)

    def _finish(self) -> RunState:
        totals = self._ledger.table.totals(self._plan.n_rows, self._plan.chunk_rows)
        complete = totals.rows_done == totals.rows
        state = RunState.DONE if complete else RunState.PARTIAL
        self._writer.finalize(complete, {})
        lost = totals.rows - totals.rows_done
        reason = "" if complete else f"{lost:,} of {totals.rows:,} rows have no prediction"
        code = 0 if complete else 3
        self._ledger.append([SessionEnded(state.value, code, self._clock.now(), reason)])
        self._ledger.fold_at_end()
        self._beat(state, reason, code)
        return state

    @property
    def _interval(self) -> float:
        return HEARTBEAT_REMOTE if self._objects.remote else HEARTBEAT_LOCAL

    def _beat(self, state: RunState, reason: str = "", code: int | None = None) -> None:
        self._beaten = self._clock.monotonic()
        session, table = self._ledger.session, self._ledger.table
        totals = table.totals(self._plan.n_rows, self._plan.chunk_rows)
        self._heads.write(
            Head(
                state=state.value,
                sequence=0,
                interval=self._interval,
                time=self._clock.now(),
                epoch=self._ledger.epoch,
                host=session.host,
                boot_id=session.boot_id,
                pid=session.pid,
                pid_started=session.pid_started,
                session_started=session.time,
                totals=totals,
                session_rows=totals.rows_done,
                resumed_chunks=self._resumed,
                last_segment=self._ledger.last_segment,
                fold=self._ledger.newest_fold,
                unit=str(self._plan.attrs.get("unit", "rows")),
                reason=reason,
                exit_code=code,
            )
        )


def _not_finite(arrays: Arrays, valid: np.ndarray) -> int:
    """Predicted rows with a NaN or an infinity in some output."""
    found = np.zeros(len(valid), dtype=bool)
    for values in arrays.values():
        if values.dtype.kind in "fc":
            found |= ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    return int(np.count_nonzero(found & (valid == Valid.PREDICTED)))
