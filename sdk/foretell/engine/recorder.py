"""Everything the driver writes down, in the only order that is safe.

Failures first, then the ledger segment that cites them, then, and only then, the rest of the world:
events, log, head. A chunk is DONE nowhere before its segment is durable.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from foretell.engine.messages import ChunkReport, Trouble
from foretell.events import ChunkFailed as ChunkFailedEvent
from foretell.events import ChunkFinished, Event
from foretell.plan import Plan
from foretell.store.failures import FailureLog
from foretell.store.head import Head, HeadWriter, Totals
from foretell.store.ledger import LedgerWriter
from foretell.store.objects import ObjectStore
from foretell.store.rates import RateMeter
from foretell.store.records import ChunkDone, ChunkFailed, Intent, Record, SessionEnded
from foretell.store.rings import LogWriter, MetricsWriter, write_workers
from foretell.types import ChunkState, RunState

FLUSH_RECORDS = 1000
FLUSH_SECONDS = 1.0

DRIVER = -1
"""Stands for the driver where the log names a worker."""


class ProgressSink(Protocol):
    """Shows a run while it goes on."""

    def head(self, head: Head) -> None:
        """A new heartbeat: about once a second, and once at the end."""
        ...

    def note(self, level: str, text: str) -> None:
        """Something worth a line: ``INFO``, ``WARN`` or ``ERROR``."""
        ...


@dataclass(slots=True)
class SessionFacts:
    """What every head of this session repeats."""

    url: str
    epoch: int
    host: str
    boot_id: str
    pid: int
    pid_started: float
    started: float
    interval: float
    resumed: int
    unit: str = "rows"
    walltime_ends: float | None = None


@dataclass(slots=True)
class _Pending:
    records: list[Record] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    since: float = 0.0
    chunks: int = 0


class Recorder:
    """Buffers what happened and writes it in order.

    Args:
        ledger: The open ledger.
        objects: The run store.
        plan: The plan.
        facts: Of this session.
        sink: Shows progress.
        observe: Called with each event once it is durable; None when nobody observes.
        rates: The session's meter.
    """

    def __init__(
        self,
        ledger: LedgerWriter,
        objects: ObjectStore,
        plan: Plan,
        facts: SessionFacts,
        sink: ProgressSink,
        observe: Callable[[Event], None] | None,
        rates: RateMeter,
    ) -> None:
        self.ledger = ledger
        self.plan = plan
        self.facts = facts
        self.rates = rates
        self.objects = objects
        self.failures = FailureLog(objects, facts.epoch)
        self.log_writer = LogWriter(objects)
        self.metrics = MetricsWriter(objects)
        self._heads = HeadWriter(objects)
        self._sink = sink
        self._observe = observe
        self._pending = _Pending()
        self._kinds: Counter[str] = Counter(self.failures.kinds())
        self.extra: Mapping[str, Any] = {}

    # -- what happened ---------------------------------------------------------------------

    def add(self, record: Record) -> None:
        """Buffer any record."""
        if not self._pending.records:
            self._pending.since = time.monotonic()
        self._pending.records.append(record)

    def intent(self, chunks: Sequence[int], attempt: int, *, retry: bool, alone: bool) -> None:
        """These chunks are about to be dispatched; flush before doing so."""
        self.add(Intent(tuple(chunks), attempt, retry=retry, alone=alone))

    def done(self, report: ChunkReport, worker: int, address: str) -> None:
        """A chunk is stored whole; the rows it lost go to the failures."""
        for trouble in report.troubles:
            self._failure(trouble, report.chunk, report.attempt, worker)
        self.add(
            ChunkDone(
                chunk=report.chunk,
                attempt=report.attempt,
                started=report.started,
                milliseconds=report.milliseconds,
                worker=worker,
                quarantined=report.quarantined,
                sizes=report.sizes,
                crcs=report.crcs,
                nan=report.nan,
                splits=report.splits,
            )
        )
        self._pending.chunks += 1
        rows, stored = self.plan.rows_of(report.chunk), sum(report.sizes)
        self.rates.finished(rows - report.quarantined, stored, report.milliseconds / 1000)
        if self._observe is not None:
            self._pending.events.append(
                ChunkFinished(
                    run=self.facts.url,
                    time=time.time(),
                    chunk=report.chunk,
                    rows=rows,
                    quarantined=report.quarantined,
                    attempt=report.attempt,
                    seconds=report.milliseconds / 1000,
                    bytes=stored,
                    worker=address,
                )
            )

    def failed(
        self,
        chunk: int,
        attempt: int,
        state: ChunkState,
        trouble: Trouble,
        worker: int,
        address: str,
        *,
        suspect: bool = False,
    ) -> None:
        """An attempt ended without a commit."""
        number = self._failure(trouble, chunk, attempt, worker)
        self.add(ChunkFailed(chunk, attempt, state, suspect=suspect, failure=number))
        final = state is not ChunkState.RETRYING
        verb = "failed for good" if final else "failed, will be tried again alone"
        self.log("WARN", worker, f"chunk {chunk} attempt {attempt} {verb}: {_short(trouble)}")
        if self._observe is not None:
            self._pending.events.append(
                ChunkFailedEvent(
                    run=self.facts.url,
                    time=time.time(),
                    chunk=chunk,
                    attempt=attempt,
                    kind=trouble.kind,
                    message=trouble.message,
                    worker=address,
                    final=final,
                )
            )

    def _failure(self, trouble: Trouble, chunk: int, attempt: int, worker: int) -> int:
        if trouble.kind not in self._kinds:
            self._sink.note("WARN", f"chunk {chunk}: {_short(trouble)}")
        self._kinds[trouble.kind] += max(1, trouble.total)
        return self.failures.add(
            kind=trouble.kind,
            message=trouble.message,
            traceback=trouble.traceback,
            chunk=chunk,
            attempt=attempt,
            worker=worker_name(worker),
            rows=trouble.rows,
            total=trouble.total,
        )

    def log(self, level: str, worker: int, message: str) -> None:
        """A line for the run's log."""
        self.log_writer.add(time.time(), level, worker_name(worker), message)

    def say(self, level: str, message: str) -> None:
        """A line for the log and for whoever watches the command."""
        self.log(level, DRIVER, message)
        self._sink.note(level, message)

    # -- writing it down -------------------------------------------------------------------

    @property
    def due(self) -> bool:
        """Whether what is buffered should be written now."""
        pending = self._pending
        if not pending.records:
            return False
        late = time.monotonic() - pending.since >= FLUSH_SECONDS
        return late or len(pending.records) >= FLUSH_RECORDS

    def flush(self) -> None:
        """Make everything buffered durable, then tell the observers.

        Raises:
            Fenced: another driver took the run; nothing of the buffer counts.
            StorageError: nothing was lost, the buffer is kept; call again.
        """
        if not self._pending.records:
            return
        self.failures.flush()
        self.ledger.append(self._pending.records)
        self._log_done(self._pending.records)
        events, self._pending = self._pending.events, _Pending()
        for event in events:
            self.observe(event)

    def _log_done(self, records: Sequence[Record]) -> None:
        """One line a flush, however many chunks it made durable."""
        done = [record for record in records if isinstance(record, ChunkDone)]
        if not done:
            return
        rows = sum(self.plan.rows_of(record.chunk) for record in done)
        seconds = sum(record.milliseconds for record in done) / 1000
        which = f"chunk {done[0].chunk}" if len(done) == 1 else f"{len(done):,} chunks"
        self.log("INFO", done[0].worker, f"{which} done, {rows:,} rows in {seconds:.2f} s")

    def observe(self, event: Event) -> None:
        """Tell the observers now."""
        if self._observe is not None:
            self._observe(event)

    def workers(self, samples: list[dict[str, Any]]) -> None:
        """Write the last figures of every worker."""
        write_workers(self.objects, samples, time.time())

    def sample(self, head: Head, workers: list[dict[str, Any]]) -> None:
        """Keep the figures of now for those who look at the past."""
        self.metrics.add(
            {
                "t": round(head.time, 3),
                "epoch": head.epoch,
                "done": head.totals.done,
                "rows": head.totals.rows_done,
                "bytes": head.totals.bytes_written,
                "rate": head.rates.rows_per_second,
                "workers": len(workers),
                "rss": sum(worker["rss"] for worker in workers),
                "cpu": round(sum(worker["cpu"] or 0.0 for worker in workers), 3),
            }
        )
        self.metrics.flush()

    def room(self) -> int | None:
        """Bytes left in the storage, where it can be known."""
        return self.objects.free_bytes()

    def end(self, state: RunState, exit_code: int, reason: str) -> None:
        """The session's last record."""
        self.add(SessionEnded(state.value, exit_code, time.time(), reason))
        self.flush()

    def totals(self) -> Totals:
        """Counts over all sessions; they add up exactly."""
        return self.ledger.table.totals(self.plan.n_rows, self.plan.chunk_rows)

    def beat(
        self,
        state: RunState,
        workers: int,
        message: str = "",
        *,
        reason: str = "",
        exit_code: int | None = None,
    ) -> Head:
        """Write the head: how the run stands now."""
        self.log_writer.flush()
        facts, totals = self.facts, self.totals()
        left = totals.rows - totals.rows_done - totals.rows_quarantined - totals.rows_failed
        head = Head(
            state=state.value,
            sequence=0,
            interval=facts.interval,
            time=time.time(),
            epoch=facts.epoch,
            host=facts.host,
            boot_id=facts.boot_id,
            pid=facts.pid,
            pid_started=facts.pid_started,
            session_started=facts.started,
            totals=totals,
            session_rows=self.rates.rows,
            resumed_chunks=facts.resumed,
            rates=self.rates.rates(left),
            last_segment=self.ledger.last_segment,
            fold=self.ledger.newest_fold,
            last_failure=self.failures.last_segment,
            last_log=self.log_writer.last_segment,
            log_bytes=self.log_writer.open_bytes,
            failure_kinds=dict(self._kinds.most_common(10)),
            unit=facts.unit,
            workers=workers,
            walltime_ends=facts.walltime_ends,
            message=message,
            reason=reason,
            exit_code=exit_code,
            extra=dict(self.extra),
        )
        head = self._heads.write(head)
        self._sink.head(head)
        return head


def worker_name(index: int) -> str:
    """How log and failures call a worker: ``w07``; the driver is ``run``."""
    return f"w{index:02d}" if index >= 0 else "run"


def _short(trouble: Trouble) -> str:
    first = trouble.message.splitlines()[0] if trouble.message else ""
    return f"{trouble.kind}: {first}"[:200]
