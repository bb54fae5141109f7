"""Failures as they are stored, and how they are read back and grouped by cause."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from foretell.errors import DamagedLedger
from foretell.store.columns import pack_ids, unpack_ids
from foretell.store.layout import FAILURES, number_of, numbered_key
from foretell.store.objects import ObjectStore
from foretell.store.sealed import Broken, dumps, seal, unseal
from foretell.store.table import ChunkTable
from foretell.types import ChunkState, RowError

FORMAT = "foretell-failures"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt, a chunk's bad rows of one cause, or a count of more like an earlier one.

    Attributes:
        number: Unique in the run, ascending; what the ledger cites.
        kind: Cause in one word: the exception's class, ``worker-died``, ``timeout`` …
        message: One line.
        cause: Equal for failures of one cause.
        time: Seconds since the epoch.
        chunks: Where it happened, ascending; one chunk, or all those of a count.
        attempt: Which attempt, 0 where that means nothing.
        worker: Address of the worker.
        traceback: As text, at most 64 KiB; empty in a count.
        frame: The innermost line of user code, ``unet.py:41 in build``.
        rows: Rows it made unusable, as far as they are named.
        row_count: Rows it made unusable, named or not.
        count: Failures this record stands for: 1, or more in a count.
        weight: What it adds to the figures by kind: its rows, 1 for a failure without.
        like: In a count, number of the failure it is more of; 0 otherwise.
    """

    number: int
    kind: str
    message: str
    cause: str
    time: float
    chunks: tuple[int, ...] = ()
    attempt: int = 0
    worker: str = ""
    traceback: str = ""
    frame: str = ""
    rows: tuple[RowError, ...] = ()
    row_count: int = 0
    count: int = 1
    weight: int = 1
    like: int = 0


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """All failures of one cause.

    Attributes:
        example: The first of them, in full.
        count: How many, those included that a later attempt made good.
        standing: How many of them no later attempt made good.
        row_count: Rows that have no prediction because of those.
        rows: Those of them that are named, in order.
        chunks: Where, ascending.
        first, last: When.
    """

    example: Failure
    count: int
    standing: int
    row_count: int
    rows: tuple[RowError, ...]
    chunks: tuple[int, ...]
    first: float
    last: float


def read_failures(objects: ObjectStore, after: int = 0) -> Iterator[Failure]:
    """All failures of a run, oldest first.

    Args:
        objects: The run store.
        after: Skip segments up to this one.

    Raises:
        DamagedLedger: a segment is damaged.
    """
    for number in failure_segments(objects):
        if number > after:
            yield from read_failure_segment(objects, number)


def find_failure(objects: ObjectStore, number: int) -> Failure | None:
    """The failure the ledger cites as ``number``, None when it is not there."""
    found = (failure for failure in read_failures(objects) if failure.number == number)
    return next(found, None)


def group_failures(
    failures: Iterable[Failure], table: ChunkTable | None = None
) -> list[FailureGroup]:
    """Failures by cause, the most frequent first.

    Args:
        failures: Of one run.
        table: Where its chunks stand: failures that a later attempt made good are told apart by
            it. Without it all of them stand.
    """
    by_cause: dict[str, list[Failure]] = {}
    for failure in failures:
        by_cause.setdefault(failure.cause, []).append(failure)
    groups = [_group(found, table) for found in by_cause.values()]
    return sorted(groups, key=lambda group: (-group.count, group.first))


def failure_segments(objects: ObjectStore) -> list[int]:
    """Numbers of the failure segments, ascending."""
    numbers = (number_of(key) for key in objects.list(FAILURES + "/"))
    return sorted(number for number in numbers if number is not None)


def encode_failures(sequence: int, epoch: int, failures: Sequence[Failure]) -> bytes:
    """The bytes of failure segment ``sequence``."""
    body = "".join(dumps(_to_json(failure)) + "\n" for failure in failures).encode()
    head = {"format": FORMAT, "version": VERSION, "sequence": sequence, "epoch": epoch}
    return seal(head | {"records": len(failures)}, body)


def read_failure_segment(objects: ObjectStore, number: int) -> list[Failure]:
    """The failures of one segment.

    Raises:
        DamagedLedger: it is damaged.
    """
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


def _group(found: list[Failure], table: ChunkTable | None) -> FailureGroup:
    standing = [failure for failure in found if table is None or _stands(failure, table)]
    return FailureGroup(
        example=next((failure for failure in found if not failure.like), found[0]),
        count=sum(failure.count for failure in found),
        standing=sum(failure.count for failure in standing),
        row_count=sum(failure.row_count for failure in standing),
        rows=tuple(row for failure in standing for row in failure.rows),
        chunks=tuple(sorted({chunk for failure in found for chunk in failure.chunks})),
        first=min(failure.time for failure in found),
        last=max(failure.time for failure in found),
    )


def _stands(failure: Failure, table: ChunkTable) -> bool:
    """Whether no later attempt of its chunks took the place of the one that failed so."""
    if not failure.chunks:
        return True
    ids = np.array(failure.chunks, dtype=np.int64)
    stands = np.isin(table.state[ids], (ChunkState.FAILED, ChunkState.QUARANTINED))
    stands |= (table.state[ids] == ChunkState.DONE) & (table.quarantined[ids] > 0)
    if failure.attempt:
        stands &= table.attempt[ids] == failure.attempt
    return bool(stands.any())


def _to_json(failure: Failure) -> dict[str, object]:
    ids = np.array(failure.chunks, dtype=np.int64)
    return asdict(failure) | {"chunks": pack_ids(ids) if len(ids) else ""}


def _from_json(line: bytes) -> Failure:
    data = json.loads(line)
    data["rows"] = tuple(RowError(**row) for row in data["rows"])
    text = data["chunks"]
    data["chunks"] = tuple(unpack_ids(text, 2**40).tolist()) if text else ()
    return Failure(**data)
