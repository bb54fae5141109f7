"""``_run/failures/``: what went wrong, in full for the first of each cause, counted for the rest.

Numbered segments like the ledger's, created only if absent. A failure is durable before the ledger
record that cites its number.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from foretell.errors import StorageError
from foretell.redact import redact_text
from foretell.store.cause import cause_of, cut, user_frame
from foretell.store.failure_records import (
    Failure,
    FailureGroup,
    encode_failures,
    failure_segments,
    find_failure,
    group_failures,
    read_failure_segment,
    read_failures,
)
from foretell.store.layout import FAILURES, numbered_key
from foretell.store.objects import ObjectStore
from foretell.types import RowError

__all__ = [
    "Failure",
    "FailureGroup",
    "FailureLog",
    "find_failure",
    "group_failures",
    "read_failures",
]

MAX_TRACEBACK = 64 * 1024
MAX_MESSAGE = 2_000
MAX_DETAILS = 20
"""Failures of one cause stored in full, per session; the others are counted."""
MAX_ROWS = 10_000
"""Rows of one cause named one by one, per session; the others are counted."""
_CREATE_TRIES = 1_000


@dataclass(slots=True)
class _Known:
    """What this session knows of one cause, and what of it is not yet durable."""

    example: Failure
    details: int = 0
    rows: int = 0
    count: int = 0
    row_count: int = 0
    weight: int = 0
    chunks: set[int] = field(default_factory=set)


class FailureLog:
    """Collects failures and stores them, a segment at each flush. For the driver only.

    Args:
        objects: The run store.
        epoch: Number of the session, for the record.

    Attributes:
        last_segment: Newest segment, 0 for none.
    """

    def __init__(self, objects: ObjectStore, epoch: int = 0) -> None:
        self._objects = objects
        self._epoch = epoch
        self._known: dict[str, _Known] = {}
        self._records: list[Failure] = []
        self._more: list[_Known] = []
        self._frozen: list[list[Failure]] = []
        self._kinds: Counter[str] = Counter()
        self.last_segment = 0
        self._next = 1
        for number in failure_segments(objects):
            self.last_segment = number
            for failure in read_failure_segment(objects, number):
                self._kinds[failure.kind] += failure.weight
                self._next = max(self._next, failure.number + 1)

    def kinds(self) -> Mapping[str, int]:
        """Rows lost by kind (failures, where they lost none), over all sessions; always exact."""
        return self._kinds

    def add(
        self,
        kind: str,
        message: str,
        traceback: str = "",
        chunk: int = -1,
        attempt: int = 0,
        worker: str = "",
        rows: Sequence[RowError] = (),
        total: int = 0,
    ) -> int:
        """Take note of a failure; durable after :meth:`flush`.

        Args:
            kind: Cause in one word.
            message: What happened, one line.
            traceback: As text.
            chunk: Where, -1 for nowhere.
            attempt: Which attempt.
            worker: Address of the worker.
            rows: Rows it made unusable, as far as they are named.
            total: How many those are when more than ``rows``.

        Returns:
            The number to cite: its own, or that of an earlier one like it when only counted.
        """
        frame = user_frame(traceback)
        cause = cause_of(kind, message, frame)
        lost = max(total, len(rows))
        self._kinds[kind] += max(1, lost)
        failure = Failure(
            number=self._next,
            kind=kind,
            message=cut(redact_text(message), MAX_MESSAGE),
            cause=cause,
            time=time.time(),
            chunks=(chunk,) if chunk >= 0 else (),
            attempt=attempt,
            worker=worker,
            traceback=cut(redact_text(traceback), MAX_TRACEBACK),
            frame=frame,
            rows=tuple(_row(row) for row in rows),
            row_count=lost,
            weight=max(1, lost),
        )
        return self._take(failure)

    def flush(self) -> None:
        """Make everything added durable.

        Raises:
            StorageError: the storage refused; nothing is forgotten, flush again.
        """
        self._freeze()
        while self._frozen:
            self._store(self._frozen[0])
            del self._frozen[0]

    def _freeze(self) -> None:
        """Make a batch of what was added: tried again it has the same bytes, so it is known."""
        for known in self._more:
            self._records.append(_count(known, self._next))
            self._next += 1
            known.count = known.row_count = known.weight = 0
            known.chunks = set()
        if self._records:
            self._frozen.append(self._records)
        self._records, self._more = [], []

    def _take(self, failure: Failure) -> int:
        known = self._known.setdefault(failure.cause, _Known(failure))
        full = known.details < MAX_DETAILS
        room = max(0, MAX_ROWS - known.rows)
        if not full and not (failure.rows and room):
            return self._count(known, failure)
        known.details += 1
        known.rows += len(failure.rows[:room])
        traceback = failure.traceback if full else ""
        self._records.append(replace(failure, rows=failure.rows[:room], traceback=traceback))
        self._next += 1
        return failure.number

    def _count(self, known: _Known, failure: Failure) -> int:
        if not known.count:
            self._more.append(known)
        known.count += 1
        known.row_count += failure.row_count
        known.weight += failure.weight
        known.chunks.update(failure.chunks)
        return known.example.number

    def _store(self, records: list[Failure]) -> None:
        for number in range(self.last_segment + 1, self.last_segment + _CREATE_TRIES):
            key, data = (
                numbered_key(FAILURES, number),
                encode_failures(number, self._epoch, records),
            )
            # The place may be taken: by a fenced driver, or by an earlier try of our own.
            if self._objects.create(key, data) or self._objects.get(key) == data:
                self.last_segment = number
                return
        raise StorageError("no place is left among the failures", facts=[("under", FAILURES)])


def _row(row: RowError) -> RowError:
    return replace(row, message=cut(redact_text(row.message), MAX_MESSAGE))


def _count(known: _Known, number: int) -> Failure:
    return replace(
        known.example,
        number=number,
        time=time.time(),
        chunks=tuple(sorted(known.chunks)),
        attempt=0,
        worker="",
        traceback="",
        rows=(),
        row_count=known.row_count,
        count=known.count,
        weight=known.weight,
        like=known.example.number,
    )
