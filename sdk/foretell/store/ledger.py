"""The only writer of a run's truth: appends segments, and notices when it may not any more."""

from __future__ import annotations

import secrets
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress

from foretell.errors import Fenced, StorageError
from foretell.store.codec import gather
from foretell.store.compact import compact
from foretell.store.fold import Fold, new_name, write_fold
from foretell.store.layout import segment_key
from foretell.store.objects import ObjectStore
from foretell.store.projection import Projection, withheld
from foretell.store.records import Record, SessionStarted
from foretell.store.segments import decode_segment, encode_segment, read_header
from foretell.store.table import ChunkTable
from foretell.text import word

FOLD_EVERY_LOCAL = 4_096
FOLD_EVERY_REMOTE = 512
"""Segments after which the ledger is folded: opening reads them one by one, so this bounds how long
opening takes (about 0.1 ms each on a local disk, 2 to 30 ms on an object store)."""

FOLD_AT_END_LOCAL = 512
FOLD_AT_END_REMOTE = 64
"""Segments worth folding when a session ends."""

_active: set[str] = set()


def new_writer_name() -> str:
    """A random name for a writer; its segments carry it."""
    return secrets.token_hex(4)


def active_here(writer: str) -> bool:
    """Whether the writer of that name is open in this process."""
    return writer in _active


class LedgerWriter:
    """Appends to a ledger whose newest segment is known.

    Made by :func:`foretell.store.takeover.claim`, which has written this session's first record.
    Creating the next segment only if it is absent is the lock: whoever finds it taken by another
    writer has been fenced.

    Args:
        objects: The run store.
        projection: The ledger as read so far; owned by the writer from now on.
        epoch: Number of this session.
        name: Random name of this writer.
    """

    def __init__(
        self, objects: ObjectStore, projection: Projection, epoch: int, name: str = ""
    ) -> None:
        self.epoch = epoch
        self.name = name or new_writer_name()
        self._objects = objects
        self._projection = projection
        self._lock = threading.Lock()
        self._fold_every = FOLD_EVERY_REMOTE if objects.remote else FOLD_EVERY_LOCAL
        self._fold_at_end = FOLD_AT_END_REMOTE if objects.remote else FOLD_AT_END_LOCAL
        _active.add(self.name)
        # A writer that nobody closed does not count once nobody can use it.
        weakref.finalize(self, _active.discard, self.name)

    @property
    def table(self) -> ChunkTable:
        """Every chunk, all appended records applied."""
        return self._projection.table

    @property
    def last_segment(self) -> int:
        """Number of the newest segment, 0 before the first."""
        return self._projection.last_segment

    @property
    def session(self) -> SessionStarted:
        """This session's first record, as long as nobody has taken the run over."""
        return self.table.sessions[-1]

    @property
    def next_worker(self) -> int:
        """Index for the next ``WorkerSeen``: unique over all sessions of the run."""
        return max((worker.index for worker in self.table.workers), default=-1) + 1

    @property
    def newest_fold(self) -> str:
        """Name of the newest fold, ``""`` for none."""
        return self._projection.fold

    def append(self, records: Sequence[Record]) -> None:
        """Make records durable as one segment, then apply them to the table.

        After a :class:`StorageError` it is unknown whether they are durable: append them again,
        alone or with more. Applying a record twice does no harm.

        Raises:
            Fenced: another driver has taken the run.
            StorageError: the storage refused, after retries.
        """
        if not records:
            return
        with self._lock:
            self._append(records)
            if self._projection.tail >= self._fold_every and not self._try_fold():
                # A fold is a convenience: what failed it will fail the next append as well.
                self._fold_every *= 2

    def check_fence(self) -> None:
        """Notice a newer driver without writing anything.

        Raises:
            Fenced: another driver has taken the run.
        """
        with self._lock:
            self._check_fence()

    def fold(self, force: bool = False) -> str | None:
        """Fold the ledger and compact it when it has grown, or when told to.

        Returns:
            Name of the new fold, None when none was made.
        """
        with self._lock:
            if self._projection.tail == 0 or not (
                force or self._projection.tail >= self._fold_every
            ):
                return None
            return self._fold()

    def fold_at_end(self) -> str | None:
        """Fold a ledger that has grown long enough for the next start to feel it.

        Returns:
            Name of the new fold, None when none was made: not worth it, or the storage refused.
        """
        with self._lock:
            worth = self._projection.tail >= self._fold_at_end
            return self.newest_fold if worth and self._try_fold() else None

    def close(self) -> None:
        """Say that this process will not append any more."""
        _active.discard(self.name)

    def _check_fence(self) -> None:
        with suppress(FileNotFoundError):
            while True:
                self._settle(self._objects.get(segment_key(self.last_segment + 1)))

    def _try_fold(self) -> bool:
        try:
            self._fold()
        except StorageError:
            return False
        return True

    def _append(self, records: Sequence[Record]) -> None:
        entries = gather(records)
        projection = self._projection
        while True:
            number = projection.last_segment + 1
            data = encode_segment(number, self.epoch, self.name, projection.last_hash, entries)
            if self._objects.create(segment_key(number), data):
                break
            try:
                found = self._objects.get(segment_key(number))
            except FileNotFoundError as error:
                raise withheld(self._objects, segment_key(number)) from error
            if found == data:
                break
            self._settle(found)
        projection.take_own(data, entries, self.name)

    def _settle(self, found: bytes) -> None:
        """Take an earlier segment of ours that was reported as failed; stop at a rival's."""
        projection = self._projection
        number = projection.last_segment + 1
        header, _ = read_header(found, number)
        if header.writer != self.name:
            raise self._fenced(found, number)
        projection.take(found)

    def _fenced(self, found: bytes, number: int) -> Fenced:
        segment = decode_segment(found, number, self.table.n_chunks, None)
        facts = [("run", self._objects.url), ("this session", str(self.epoch))]
        for entry in segment.entries:
            if isinstance(entry, SessionStarted):
                facts.append(
                    ("taken by", f"session {entry.epoch}: pid {entry.pid} on {entry.host}")
                )
                if entry.command:
                    facts.append(("with", entry.command))
        return Fenced(
            "another driver has taken this run over; this one stops",
            facts=[*facts, ("safe", "everything recorded so far, by either driver")],
            tries=[(f"sdk status {word(self._objects.url)}", "how the other one is doing")],
        )

    def _fold(self) -> str:
        self._check_fence()
        projection = self._projection
        name = new_name(self.epoch, projection.last_segment)
        fold = Fold(
            name,
            projection.last_segment,
            projection.last_hash,
            projection.last_writer,
            tuple(projection.fences),
            projection.table,
        )
        write_fold(self._objects, fold)
        projection.fold, projection.fold_sequence = name, projection.last_segment
        compact(self._objects)
        return name
