"""Follows a run from outside, cheaply: for viewers that look again and again.

A look costs one conditional read of the head while nothing happens, and one read for each new
ledger segment otherwise. Nothing is listed once the head is there, nothing is written ever, and
the checksums of the outputs, which make up most of a fold, are never fetched.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from foretell.plan import Plan
from foretell.store.codec import DoneColumns, Entry
from foretell.store.fold import DamagedFold, read_fold
from foretell.store.head import Head, parse_head
from foretell.store.layout import HEAD, parse_fold_name, segment_key
from foretell.store.manifest import Manifest
from foretell.store.objects import ObjectStore, Version
from foretell.store.projection import bytes_of
from foretell.store.records import (
    ChunkDamaged,
    ChunkDone,
    ChunkFailed,
    ChunkRestored,
    Intent,
    SessionStarted,
)
from foretell.store.segments import START, decode_segment
from foretell.store.table import ChunkTable, OutlineTable
from foretell.types import ChunkState

LEAP = 1024
"""Segments behind a newer fold from which on the fold is read instead of them."""

TRUSTED = 3
"""Looks in a row that may find an unchanged file by its times alone; the next one reads it.

A shared file system may tell stale modification times for a minute. Object stores tell a tag of
what is stored, which needs no doubt.
"""


@dataclass(slots=True)
class News:
    """What one step along the ledger brought.

    Attributes:
        segments: How many segments were read.
        whole: Whether the table was read anew from a fold: everything may have changed.
        done: Completions, in the order of the ledger.
        touched: Ids of chunks that records were about; all of them where ``whole``.
    """

    segments: int = 0
    whole: bool = False
    done: list[DoneColumns] = field(default_factory=list)
    touched: list[np.ndarray] = field(default_factory=list)

    def __bool__(self) -> bool:
        return self.whole or self.segments > 0


class Follower:
    """One run, followed.

    Args:
        objects: The run store.
        manifest: What the run is.

    Attributes:
        plan: The plan of the run.
        head: The last head that could be read, None before the first.
        torn: Whether the head read last could not be trusted; the one before it is kept.
        missing: Whether there was no head at the last look.
        table: Where every chunk stands after segment ``last_segment``.
        last_segment: Newest segment taken into account, 0 for none.
    """

    def __init__(self, objects: ObjectStore, manifest: Manifest) -> None:
        self.objects = objects
        self.manifest = manifest
        self.plan = Plan.from_json(manifest.plan)
        self.head: Head | None = None
        self.torn = False
        self.missing = True
        self.table = OutlineTable(self.plan.n_chunks)
        self.last_segment = 0
        self._last_hash = START
        self._version: Version | None = None
        self._unchanged = 0

    @property
    def behind(self) -> int:
        """Segments the head knows of that were not read yet."""
        return max(0, self.head.last_segment - self.last_segment) if self.head else 0

    def look(self) -> bool:
        """Read the head if it changed; whether a newer one was read.

        Raises:
            StorageError, StoreError: the storage does not give it.
        """
        doubted = not self.objects.remote and self._unchanged >= TRUSTED
        try:
            found = self.objects.get_if_changed(HEAD, None if doubted else self._version)
        except FileNotFoundError:
            self.missing = True
            return False
        self.missing = False
        self._unchanged = self._unchanged + 1 if found is None else 0
        if found is None:
            return False
        data, self._version = found
        head = parse_head(data)
        self.torn = head is None
        if head is None or (self.head is not None and head.epoch < self.head.epoch):
            return False
        newer = head != self.head
        self.head = head
        return newer

    def read_on(self, most: int = 0, *, beyond: bool = False) -> News:
        """Take the segments the head knows of into account.

        Args:
            most: Segments to read at most, 0 for all.
            beyond: Look for segments the head does not know of as well: a driver that was killed
                may have left some.

        Raises:
            DamagedLedger: a segment cannot be trusted; those before it were taken.
            FileNotFoundError: a segment is gone, and so is a fold that has it.
        """
        news = News()
        if self.head is None:
            return news
        if self._worth_leaping():
            self._leap(news)
        until = self.head.last_segment
        if most:
            until = min(until, self.last_segment + most)
        try:
            for data in bytes_of(self.objects, range(self.last_segment + 1, until + 1)):
                self._take(data, news)
        except FileNotFoundError:
            # Compacted while we were behind: the newest fold has it.
            self._version = None
            self.look()
            if not self._leap(news):
                raise
            return news
        while beyond:
            try:
                data = self.objects.get(segment_key(self.last_segment + 1))
            except FileNotFoundError:
                break
            self._take(data, news)
        return news

    def _worth_leaping(self) -> bool:
        at = self._fold_at()
        return at > self.last_segment and (self.last_segment == 0 or self.behind > LEAP)

    def _fold_at(self) -> int:
        name = parse_fold_name(self.head.fold) if self.head is not None else None
        return name[1] if name else 0

    def _leap(self, news: News) -> bool:
        """Start over from the fold the head names, when it is newer; whether it was."""
        if self.head is None or self._fold_at() <= self.last_segment:
            return False
        try:
            fold = read_fold(self.objects, self.head.fold, self.plan.n_chunks, outline=True)
        except (DamagedFold, FileNotFoundError):
            return False
        assert isinstance(fold.table, OutlineTable)
        self.table = fold.table
        self.last_segment, self._last_hash = fold.sequence, fold.hash
        news.whole = True
        return True

    def _take(self, data: bytes, news: News) -> None:
        number = self.last_segment + 1
        segment = decode_segment(data, number, self.table.n_chunks, self._last_hash)
        for entry in segment.entries:
            if isinstance(entry, SessionStarted):
                news.touched.append(self.table.in_flight())
            self.table.apply(entry)
            news.touched += _ids_of(entry)
        news.done += [entry for entry in segment.entries if isinstance(entry, DoneColumns)]
        self.last_segment, self._last_hash = number, segment.hash
        news.segments += 1


def _ids_of(entry: Entry) -> list[np.ndarray]:
    """The chunks a record is about."""
    if isinstance(entry, DoneColumns):
        return [entry.chunks]
    if isinstance(entry, ChunkFailed | ChunkDone):
        return [np.array([entry.chunk], dtype=np.int64)]
    if isinstance(entry, Intent | ChunkRestored | ChunkDamaged):
        return [np.array(entry.chunks, dtype=np.int64)]
    return []


def finish_times(table: ChunkTable) -> tuple[np.ndarray, np.ndarray]:
    """When done chunks were finished: int64 ids ``(m,)``, seconds since the epoch ``(m,)``."""
    ids = np.flatnonzero(table.state == ChunkState.DONE)
    return ids, table.started[ids] + table.milliseconds[ids] / 1000.0
