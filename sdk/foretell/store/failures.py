"""``_run/failures/``: what went wrong, in full for the first of each kind, counted for the rest.

Numbered segments like the ledger's, created only if absent. A failure is durable before the ledger
record that cites its number.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace

from foretell.errors import DamagedLedger, StorageError
from foretell.store.fingerprint import cut, fingerprint, user_frame
from foretell.store.layout import FAILURES, number_of, numbered_key
from foretell.store.objects import ObjectStore
from foretell.store.redact import redact_text
from foretell.store.sealed import Broken, dumps, seal, unseal
from foretell.types import RowError

FORMAT = "foretell-failures"
VERSION = 1
MAX_TRACEBACK = 64 * 1024
MAX_MESSAGE = 2_000
MAX_DETAILS = 20
"""Failures of one fingerprint stored in full, per session; the others are counted."""
MAX_ROWS = 10_000
"""Rows of one fingerprint named one by one, per session; the others are counted."""
_CREATE_TRIES = 1_000


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt, one set of bad rows, or a count of more like an earlier one.

    Attributes:
        number: Unique in the run, ascending; what the ledger cites.
        kind: Cause in one word: the exception's class, ``worker-died``, ``timeout`` …
        message: One line.
        fingerprint: Equal for failures of one cause.
        time: Seconds since the epoch.
        chunk, attempt, worker: Where it happened; -1 where that means nothing.
        traceback: As text, at most 64 KiB; empty in a count.
        frame: The innermost line of user code, ``unet.py:41 in build``.
        rows: Rows it made unusable.
        count: Failures this record stands for: 1, or more in a count.
        row_count: Rows it made unusable, named in ``rows`` or not.
        like: In a count, number of the failure it is more of; 0 otherwise.
    """

    number: int
    kind: str
    message: str
    fingerprint: str
    time: float
    chunk: int = -1
    attempt: int = 0
    worker: int = -1
    traceback: str = ""
    frame: str = ""
    rows: tuple[RowError, ...] = ()
    count: int = 1
    row_count: int = 0
    like: int = 0


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """All failures of one cause.

    Attributes:
        example: The first of them, in full.
        count: How many.
        row_count: Rows they made unusable.
        chunks: Chunks named by those stored in full, ascending.
        first, last: When.
    """

    example: Failure
    count: int
    row_count: int
    chunks: tuple[int, ...]
    first: float
    last: float


@dataclass(slots=True)
class _Seen:
    """What this session knows of one fingerprint."""

    example: Failure
    details: int = 0
    rows: int = 0
    extra: int = 0
    extra_rows: int = 0


@dataclass(slots=True)
class _Batch:
    """Failures not yet durable."""

    records: list[Failure] = field(default_factory=list)
    more: dict[str, _Seen] = field(default_factory=dict)


class FailureLog:
    """Collects failures and stores them, a segment at each flush. For the driver only.

    Args:
        objects: The run store.
        epoch: Number of the session.

    Attributes:
        last_segment: Newest segment, 0 for none.
        kinds: Failures by kind over all sessions, exact whatever was left out of the details.
    """

    def __init__(self, objects: ObjectStore, epoch: int = 0) -> None:
        self._objects = objects
        self._epoch = epoch
        self._seen: dict[str, _Seen] = {}
        self._batch = _Batch()
        self.kinds: Counter[str] = Counter()
        self.last_segment = 0
        self._next = 1
        for number in _segments(objects):
            self.last_segment = number
            for failure in _read_segment(objects, number):
                self.kinds[failure.kind] += failure.count
                self._next = max(self._next, failure.number + 1)

    def add(
        self,
        kind: str,
        message: str,
        traceback: str = "",
        chunk: int = -1,
        attempt: int = 0,
        worker: int = -1,
        rows: Sequence[RowError] = (),
        total: int | None = None,
        when: float | None = None,
    ) -> int:
        """Take note of a failure; durable after :meth:`flush`.

        ``total`` is how many rows it concerns where ``rows`` lists only some of them.

        Returns:
            The number to cite: its own, or that of an earlier one like it when only counted.
        """
        failure = self._make(kind, message, traceback, chunk, attempt, worker, tuple(rows), when)
        concerned = len(rows) if total is None else max(total, len(rows))
        failure = replace(failure, row_count=concerned)
        self.kinds[kind] += 1
        seen = self._seen.get(failure.fingerprint)
        if seen is None:
            seen = self._seen[failure.fingerprint] = _Seen(failure)
        if seen.details >= MAX_DETAILS and (not rows or seen.rows >= MAX_ROWS):
            seen.extra += 1
            seen.extra_rows += concerned
            self._batch.more[failure.fingerprint] = seen
            return seen.example.number
        if seen.details >= MAX_DETAILS:
            failure = replace(failure, traceback="")
        failure = replace(failure, rows=failure.rows[: max(0, MAX_ROWS - seen.rows)])
        seen.details += 1
        seen.rows += len(failure.rows)
        self._next += 1
        self._batch.records.append(failure)
        return failure.number

    def flush(self) -> None:
        """Make everything added durable.

        Raises:
            StorageError: the storage refused; nothing is forgotten, flush again.
        """
        records = self._batch.records + [self._count(seen) for seen in self._batch.more.values()]
        if not records:
            return
        self._store(records)
        self._next += len(self._batch.more)
        for seen in self._batch.more.values():
            seen.extra = seen.extra_rows = 0
        self._batch = _Batch()

    def _make(
        self,
        kind: str,
        message: str,
        traceback: str,
        chunk: int,
        attempt: int,
        worker: int,
        rows: tuple[RowError, ...],
        when: float | None,
    ) -> Failure:
        frame = user_frame(traceback)
        return Failure(
            number=self._next,
            kind=kind,
            message=cut(redact_text(message), MAX_MESSAGE),
            fingerprint=fingerprint(kind, message, frame),
            time=time.time() if when is None else when,
            chunk=chunk,
            attempt=attempt,
            worker=worker,
            traceback=cut(redact_text(traceback), MAX_TRACEBACK),
            frame=frame,
            rows=tuple(
                replace(row, message=cut(redact_text(row.message), MAX_MESSAGE)) for row in rows
            ),
            row_count=len(rows),
        )

    def _count(self, seen: _Seen) -> Failure:
        number = self._next + list(self._batch.more.values()).index(seen)
        return replace(
            seen.example,
            number=number,
            time=time.time(),
            chunk=-1,
            attempt=0,
            worker=-1,
            traceback="",
            rows=(),
            count=seen.extra,
            row_count=seen.extra_rows,
            like=seen.example.number,
        )

    def _store(self, records: list[Failure]) -> None:
        body = "".join(dumps(asdict(record)) + "\n" for record in records).encode()
        for number in range(self.last_segment + 1, self.last_segment + _CREATE_TRIES):
            head = {"format": FORMAT, "version": VERSION, "sequence": number, "epoch": self._epoch}
            data = seal(head | {"records": len(records)}, body)
            key = numbered_key(FAILURES, number)
            # A fenced driver may have taken the number, or this is our own ambiguous attempt.
            if self._objects.create(key, data) or self._objects.get(key) == data:
                self.last_segment = number
                return
        raise StorageError("no place is left among the failures", facts=[("under", FAILURES)])


def read_failures(objects: ObjectStore, after: int = 0) -> Iterator[Failure]:
    """All failures of a run, oldest first.

    Args:
        objects: The run store.
        after: Skip segments up to this one.

    Raises:
        DamagedLedger: a segment is damaged.
    """
    for number in _segments(objects):
        if number > after:
            yield from _read_segment(objects, number)


def find_failure(objects: ObjectStore, number: int) -> Failure | None:
    """The failure the ledger cites as ``number``, None when it is not there."""
    found = (failure for failure in read_failures(objects) if failure.number == number)
    return next(found, None)


def group_failures(failures: Iterable[Failure]) -> list[FailureGroup]:
    """Failures by cause, the most frequent first."""
    by_cause: dict[str, list[Failure]] = {}
    for failure in failures:
        by_cause.setdefault(failure.fingerprint, []).append(failure)
    groups = [_group(found) for found in by_cause.values()]
    return sorted(groups, key=lambda group: (-group.count, group.first))


def _group(found: list[Failure]) -> FailureGroup:
    return FailureGroup(
        example=next((failure for failure in found if not failure.like), found[0]),
        count=sum(failure.count for failure in found),
        row_count=sum(failure.row_count for failure in found),
        chunks=tuple(sorted({failure.chunk for failure in found if failure.chunk >= 0})),
        first=min(failure.time for failure in found),
        last=max(failure.time for failure in found),
    )


def _segments(objects: ObjectStore) -> list[int]:
    numbers = (number_of(key) for key in objects.list(FAILURES + "/"))
    return sorted(number for number in numbers if number is not None)


def _read_segment(objects: ObjectStore, number: int) -> list[Failure]:
    key = numbered_key(FAILURES, number)
    try:
        head, body = unseal(objects.get(key))
        if head["format"] != FORMAT or head["version"] != VERSION or head["sequence"] != number:
            raise Broken("it is something else")
        return [_from_json(line) for line in body.splitlines()]
    except (Broken, KeyError, TypeError, ValueError) as error:
        raise DamagedLedger(
            f"failure segment {number} cannot be trusted: {error}",
            facts=[("segment", key), ("safe", "the outputs and the ledger")],
            tries=[(f"remove {key}", "its details are lost, the run is not")],
            slug="failures-damaged",
        ) from error


def _from_json(line: bytes) -> Failure:
    data = json.loads(line)
    data["rows"] = tuple(RowError(**row) for row in data["rows"])
    return Failure(**data)
