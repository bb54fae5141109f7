"""Reads a ledger from its newest fold and the segments after it, and keeps up with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from foretell.errors import DamagedLedger, StorageError
from foretell.store.codec import Entry
from foretell.store.fold import REMOTE_THREADS, DamagedFold, Fold, complete_folds, read_fold
from foretell.store.layout import LEDGER, number_of, segment_key
from foretell.store.objects import ObjectStore
from foretell.store.records import SessionStarted
from foretell.store.segments import START, damaged, decode_segment, segment_hash
from foretell.store.table import ChunkTable

_LOAD_TRIES = 3
_LOAD_PAUSE = 0.1


class Projection:
    """A table of chunks and how much of the ledger it holds.

    Attributes:
        table: Every record up to ``last_segment`` applied.
        last_segment: Newest segment in it, 0 for none.
        last_hash: Its hash: what the next segment must name.
        last_writer: Random name of the writer that made it.
        fences: Segments that began a session.
        fold: Name of the newest fold known, ``""`` for none.
        fold_sequence: Newest segment in that fold.
        notes: What was found damaged and could be done without.
    """

    def __init__(self, n_chunks: int) -> None:
        self.table = ChunkTable(n_chunks)
        self.last_segment = 0
        self.last_hash = START
        self.last_writer = ""
        self.fences: list[int] = []
        self.fold = ""
        self.fold_sequence = 0
        self.notes: list[str] = []

    @property
    def tail(self) -> int:
        """Segments since the newest fold."""
        return self.last_segment - self.fold_sequence

    def take(self, data: bytes) -> None:
        """Apply the next segment.

        Raises:
            DamagedLedger: it is damaged or does not follow.
        """
        number = self.last_segment + 1
        segment = decode_segment(data, number, self.table.n_chunks, self.last_hash)
        self._apply(segment.entries, segment.hash, segment.header.writer)

    def take_own(self, data: bytes, entries: list[Entry], writer: str) -> None:
        """Apply a segment just written, without decoding it again."""
        self._apply(entries, segment_hash(data), writer)

    def read_on(self, objects: ObjectStore, until: int = 0) -> int:
        """Take the segments that came since; returns how many.

        Args:
            objects: The run store.
            until: Segment known to exist; reads on from there until one is missing.

        Raises:
            FileNotFoundError: a segment up to ``until`` is missing.
        """
        before = self.last_segment
        for data in bytes_of(objects, range(before + 1, until + 1)):
            self.take(data)
        with suppress(FileNotFoundError):
            while True:
                self.take(objects.get(segment_key(self.last_segment + 1)))
        return self.last_segment - before

    def adopt(self, fold: Fold) -> None:
        """Start over from a fold."""
        self.table = fold.table
        self.last_segment = self.fold_sequence = fold.sequence
        self.last_hash, self.last_writer = fold.hash, fold.writer
        self.fences = list(fold.fences)
        self.fold = fold.name

    def _apply(self, entries: list[Entry], digest: str, writer: str) -> None:
        self.last_segment += 1
        for entry in entries:
            self.table.apply(entry)
            if isinstance(entry, SessionStarted):
                self.fences.append(self.last_segment)
        self.last_hash, self.last_writer = digest, writer


def load(objects: ObjectStore, n_chunks: int, at_least: int = 0) -> Projection:
    """Read the whole ledger the way a driver must: every segment accounted for.

    Args:
        objects: The run store.
        n_chunks: Chunks of the plan.
        at_least: A segment that is known to have existed, from ``head.json``.

    Raises:
        DamagedLedger: a segment is missing, torn, altered or out of order.
        StorageError: a segment is listed and cannot be read.
    """
    for attempt in range(_LOAD_TRIES):
        try:
            return _load(objects, n_chunks, at_least)
        except FileNotFoundError as error:
            # A driver compacts at this moment: its newer fold covers what it removed.
            if attempt == _LOAD_TRIES - 1:
                raise withheld(objects, str(error)) from error
            time.sleep(_LOAD_PAUSE)
    raise AssertionError


def withheld(objects: ObjectStore, key: str) -> StorageError:
    """The error for a part of the ledger that the storage says is there, and does not give."""
    return StorageError(
        "the storage has an object of the ledger and does not give it out",
        facts=[("store", objects.url), ("missing", key), ("safe", "nothing was changed")],
        tries=[("try again", "when the storage is well")],
    )


def reaches_end(objects: ObjectStore, projection: Projection) -> bool:
    """Whether no segment lies beyond those read: reading on stops at a gap as at the end."""
    return not any(True for _ in _numbers(objects, projection.last_segment))


def _load(objects: ObjectStore, n_chunks: int, at_least: int) -> Projection:
    projection = Projection(n_chunks)
    for name in complete_folds(objects):
        try:
            projection.adopt(read_fold(objects, name, n_chunks))
            break
        except (DamagedFold, FileNotFoundError) as error:
            projection.notes.append(str(error))
    numbers = sorted(_numbers(objects, projection.last_segment))
    for expected, number in enumerate(numbers, start=projection.last_segment + 1):
        if number != expected:
            raise _missing(expected, projection)
    last = numbers[-1] if numbers else projection.last_segment
    if last < at_least:
        raise _missing(last + 1, projection)
    projection.read_on(objects, last)
    return projection


def _numbers(objects: ObjectStore, after: int) -> Iterator[int]:
    for key in objects.list(LEDGER + "/"):
        number = number_of(key)
        if number is not None and number > after:
            yield number


def _missing(number: int, projection: Projection) -> DamagedLedger:
    why = "it is missing"
    if projection.notes:
        why += f", and so is a way around it ({'; '.join(projection.notes)})"
    return damaged(number, why)


def bytes_of(objects: ObjectStore, numbers: range) -> Iterator[bytes]:
    """Segments by number, side by side where round trips are slow.

    Raises:
        FileNotFoundError: one of them is missing.
    """
    keys = (segment_key(number) for number in numbers)
    if not objects.remote or len(numbers) < 2:
        yield from map(objects.get, keys)
        return
    with ThreadPoolExecutor(REMOTE_THREADS) as pool:
        yield from pool.map(objects.get, keys)
