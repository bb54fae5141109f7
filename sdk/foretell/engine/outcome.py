"""What a report means: done, tried again, given up, or the end of the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from foretell.engine.crew import Attempt
from foretell.engine.messages import ChunkReport, Trouble
from foretell.engine.queue import WorkQueue
from foretell.engine.recorder import Recorder
from foretell.engine.stopping import Stop
from foretell.errors import BudgetError, ForetellError, StorageError
from foretell.plan import Plan
from foretell.text import word
from foretell.types import ChunkState, RunState

_FREE = frozenset({"lease-lost", "storage-full"})
"""Causes that are not the chunk's: it runs again as if nothing had happened."""


class Settler:
    """Turns reports into records, queue moves and, where it must be, the end of the run.

    Args:
        plan: The plan.
        work: The queue.
        recorder: Where it is written.
        on_error: The policy.
        end: Ends the session.
        retried: Chunks that get another chance: what they lost before does not count.
    """

    def __init__(
        self,
        plan: Plan,
        work: WorkQueue,
        recorder: Recorder,
        on_error: str,
        end: Callable[[Stop], None],
        retried: frozenset[int] = frozenset(),
    ) -> None:
        self._plan = plan
        self._work = work
        self._recorder = recorder
        self._on_error = on_error
        self._end = end
        totals = recorder.totals()
        self._lost = totals.rows_quarantined + totals.rows_failed
        self._lost -= sum(self._lost_before(chunk) for chunk in retried)
        if self._lost > plan.max_failed:
            self._over_budget()

    def _lost_before(self, chunk: int) -> int:
        table = self._recorder.ledger.table
        if table.state[chunk] == ChunkState.DONE:
            return int(table.quarantined[chunk])
        return self._plan.rows_of(chunk)

    def merged(self, attempt: Attempt, members: int) -> Iterator[ChunkReport]:
        """One report a chunk: a group's parts joined, in rank order."""
        if members == 1:
            yield from attempt.reports[0]
            return
        for position, first in enumerate(attempt.reports[0]):
            parts = [
                reports[position]
                for _, reports in sorted(attempt.reports.items())
                if position < len(reports)
            ]
            if len(parts) == members:
                yield _join(first, parts)

    def settle(self, report: ChunkReport, worker: int, address: str, alone: bool) -> str:
        """Record one report; returns ``done``, the slug of a free cause, or the chunk's state."""
        if report.ok:
            self._work.done(report.chunk)
            self._recorder.done(report, worker, address)
            self._count(report.quarantined, report.troubles[0] if report.troubles else None)
            return "done"
        trouble = report.troubles[0]
        if trouble.slug in _FREE:
            self._recorder.log("WARN", worker, f"chunk {report.chunk}: {trouble.message}")
            self._work.give_back(report.chunk)
            return trouble.slug
        exhausted = trouble.kind in ("MemoryError", "OutOfMemoryError")
        state = self._work.strike(report.chunk, time.monotonic(), exhausted=exhausted)
        if trouble.kind == "StorageError" and state is not ChunkState.RETRYING:
            self._storage_gave_out(trouble)
            state = ChunkState.RETRYING  # not the chunk's fault: the next session tries again
        self._recorder.failed(report.chunk, report.attempt, state, trouble, worker, address)
        if trouble.slug == "not-finite" or trouble.kind == "TooManyFailures":
            self._stop_for(trouble)
        self.ended(report.chunk, state)
        return state.name

    def ended(self, chunk: int, state: ChunkState) -> None:
        """Count a chunk that is given up against the budget."""
        if state in (ChunkState.FAILED, ChunkState.QUARANTINED):
            self._count(self._plan.rows_of(chunk), None)

    def _count(self, rows: int, trouble: Trouble | None) -> None:
        if not rows:
            return
        self._lost += rows
        if self._on_error == "fail":
            what = f": {trouble.kind}: {trouble.message}" if trouble else ""
            self._fail(f'{rows} rows failed and on_error = "fail"{what}')
        elif self._lost > self._plan.max_failed:
            self._over_budget()

    def _storage_gave_out(self, trouble: Trouble) -> None:
        error = StorageError(trouble.message, facts=trouble.facts, tries=trouble.tries)
        reason = f"the storage gave out: {trouble.message}"
        self._end(Stop(RunState.FAILED, StorageError.exit_code, reason, error=error))

    def _over_budget(self) -> None:
        self._fail(
            f"{self._lost:,} rows failed, more than schedule.max_failed = {self._plan.max_failed:,}"
        )

    def _stop_for(self, trouble: Trouble) -> None:
        if trouble.kind == "TooManyFailures":
            self._fail(
                f"too many rows of one chunk failed (schedule.max_failed = "
                f"{self._plan.max_failed:,}): {trouble.message}"
            )
        else:
            self._fail(trouble.message)

    def _fail(self, reason: str) -> None:
        url = self._recorder.facts.url
        error: ForetellError = BudgetError(
            reason, tries=[(f"sdk failures {word(url)}", "what failed, grouped by cause")]
        )
        self._end(Stop(RunState.FAILED, BudgetError.exit_code, reason, error=error))


def _join(first: ChunkReport, parts: list[ChunkReport]) -> ChunkReport:
    return ChunkReport(
        chunk=first.chunk,
        attempt=first.attempt,
        started=min(part.started for part in parts),
        milliseconds=max(part.milliseconds for part in parts),
        ok=all(part.ok for part in parts),
        quarantined=sum(part.quarantined for part in parts if part.sizes),
        nan=sum(part.nan for part in parts if part.sizes),
        splits=max(part.splits for part in parts),
        sizes=tuple(size for part in parts for size in part.sizes),
        crcs=tuple(crc for part in parts for crc in part.crcs),
        troubles=tuple(t for part in parts if part.sizes or not part.ok for t in part.troubles),
    )
