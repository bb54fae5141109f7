"""The truth about every chunk: ledger records applied, in order, to one table of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from foretell.store.codec import DoneColumns, Entry
from foretell.store.head import Totals
from foretell.store.records import (
    ChunkDamaged,
    ChunkDone,
    ChunkFailed,
    ChunkRestored,
    Intent,
    SessionEnded,
    SessionStarted,
    WorkerSeen,
)
from foretell.types import ChunkState

Array = np.ndarray[Any, np.dtype[Any]]

COLUMNS: dict[str, str] = {
    "state": "u1",
    "attempt": "u2",
    "suspect": "?",
    "started": "f8",
    "milliseconds": "u4",
    "worker": "i4",
    "quarantined": "u4",
    "nan": "u4",
    "splits": "u2",
    "failure": "u4",
}
"""Columns with one value a chunk, and their dtypes. Stored in folds under these names."""

OBJECT_COLUMNS: dict[str, str] = {"sizes": "u8", "crcs": "u4"}
"""Columns with one value for each stored object of a chunk."""


class ChunkTable:
    """Where every chunk stands. ``n`` chunks, ``k`` objects per chunk.

    Args:
        n_chunks: Chunks of the plan.
        objects_per_chunk: Objects of the largest chunk; grows by itself when it is not known.

    Attributes:
        state: uint8 ``(n,)``, :class:`~foretell.types.ChunkState`.
        attempt: uint16 ``(n,)``, number of the last attempt, 0 for none.
        suspect: bool ``(n,)``, whether the chunk was in flight when its driver or worker died.
        started: float64 ``(n,)``, seconds since the epoch, to the millisecond.
        milliseconds: uint32 ``(n,)``, from the first read to the last stored byte.
        worker: int32 ``(n,)``, ``WorkerSeen.index``; -1 before.
        quarantined: uint32 ``(n,)``, rows without a prediction.
        nan: uint32 ``(n,)``, rows with a NaN or an infinity.
        splits: uint16 ``(n,)``, out-of-memory splits.
        failure: uint32 ``(n,)``, number of the last failure, 0 for none.
        sizes: uint64 ``(n, k)``, bytes of each object; 0 where a chunk has fewer.
        crcs: uint32 ``(n, k)``, crc32c of each object.
        sessions: Every driver so far.
        endings: How the sessions ended that did, by epoch.
        workers: Every worker so far; ``worker_epochs`` names the session of each.
        retried: Chunks a retry took out of DONE, with the attempt that had made them.
        intent_epoch: Last session that dispatched anything, 0 for none.
        loose: Whether that session died with chunks in flight, whose workers may still write.

    All but ``state``, ``attempt``, ``suspect`` and ``failure`` describe the last commit, and mean
    something only while the chunk is DONE.
    """

    state: Array
    attempt: Array
    suspect: Array
    started: Array
    milliseconds: Array
    worker: Array
    quarantined: Array
    nan: Array
    splits: Array
    failure: Array
    sizes: Array
    crcs: Array

    def __init__(self, n_chunks: int, objects_per_chunk: int = 0) -> None:
        self.n_chunks = n_chunks
        for name, dtype in COLUMNS.items():
            setattr(self, name, np.zeros(n_chunks, dtype=dtype))
        for name, dtype in OBJECT_COLUMNS.items():
            setattr(self, name, np.zeros((n_chunks, objects_per_chunk), dtype=dtype))
        self.worker.fill(-1)
        self.sessions: list[SessionStarted] = []
        self.endings: dict[int, SessionEnded] = {}
        self.workers: list[WorkerSeen] = []
        self.worker_epochs: list[int] = []
        self.retried: dict[int, int] = {}
        self.intent_epoch = 0
        self.loose = False

    @property
    def objects_per_chunk(self) -> int:
        """Objects of the largest chunk seen so far."""
        return int(self.sizes.shape[1])

    @property
    def epoch(self) -> int:
        """Epoch of the newest session, 0 before the first."""
        return self.sessions[-1].epoch if self.sessions else 0

    @property
    def ended(self) -> SessionEnded | None:
        """How the newest session ended; None while it lasts or when it was killed."""
        return self.endings.get(self.epoch)

    # --- applying records ---------------------------------------------------------------------

    def apply(self, entry: Entry) -> None:
        """Take one record (or columns of completions) into account."""
        if isinstance(entry, DoneColumns):
            self.apply_columns(entry)
        elif isinstance(entry, ChunkDone):
            self.apply_columns(DoneColumns.of([entry]))
        elif isinstance(entry, Intent):
            self._intent(entry)
        elif isinstance(entry, ChunkFailed):
            self._failed(entry)
        elif isinstance(entry, ChunkRestored):
            self._restored(entry)
        elif isinstance(entry, ChunkDamaged):
            self.state[np.array(entry.chunks, dtype=np.int64)] = ChunkState.DAMAGED
        elif isinstance(entry, SessionStarted):
            self._session(entry)
        elif isinstance(entry, SessionEnded):
            self.endings[self.epoch] = entry
        elif all(entry.index != known.index for known in self.workers[-64:]):
            # An append that was reported as failed may have landed: its records come twice.
            self.workers.append(entry)
            self.worker_epochs.append(self.epoch)

    def apply_columns(self, done: DoneColumns) -> None:
        """Take many completions into account at once."""
        ids: Any = done.chunks
        if ids[-1] - ids[0] == len(ids) - 1:
            ids = slice(int(ids[0]), int(ids[-1]) + 1)
        self.state[ids] = ChunkState.DONE
        self.suspect[ids] = False
        self.started[ids] = done.started / 1000.0
        for name in ("attempt", "milliseconds", "worker", "quarantined", "nan", "splits"):
            getattr(self, name)[ids] = getattr(done, name)
        self._store_objects(ids, done)
        for chunk in [chunk for chunk in self.retried if chunk in done.chunks]:
            del self.retried[chunk]

    def _store_objects(self, ids: Any, done: DoneColumns) -> None:
        width = done.sizes.shape[1]
        missing = width - self.objects_per_chunk
        for name in OBJECT_COLUMNS:
            column = getattr(self, name)
            if missing > 0:
                column = np.pad(column, ((0, 0), (0, missing)))
                setattr(self, name, column)
            column[ids, :width] = getattr(done, name)
            column[ids, width:] = 0

    def _intent(self, record: Intent) -> None:
        ids = np.array(record.chunks, dtype=np.int64)
        for chunk in ids[self.state[ids] == ChunkState.DONE].tolist():
            self.retried[chunk] = int(self.attempt[chunk])
        self.state[ids] = ChunkState.RUNNING
        self.attempt[ids] = record.attempt
        self.intent_epoch = self.epoch
        self.loose = False

    def _failed(self, record: ChunkFailed) -> None:
        chunk = record.chunk
        self.state[chunk] = record.state
        self.attempt[chunk] = record.attempt
        self.suspect[chunk] = record.suspect
        if record.failure:
            self.failure[chunk] = record.failure

    def _restored(self, record: ChunkRestored) -> None:
        for chunk in record.chunks:
            self.state[chunk] = ChunkState.DONE
            self.suspect[chunk] = False
            self.attempt[chunk] = self.retried.pop(chunk, int(self.attempt[chunk]))

    def _session(self, record: SessionStarted) -> None:
        if record.epoch == self.epoch:
            return
        lost = self.in_flight()
        if self.sessions and self.ended is None:
            # Nobody said what became of them: one of them may have taken the driver down.
            self.suspect[lost] = True
        self.state[lost] = ChunkState.PENDING
        self.loose = self.loose or len(lost) > 0
        self.retried.clear()
        self.sessions.append(record)

    # --- asking -------------------------------------------------------------------------------

    def in_flight(self) -> Array:
        """int64 ids of the chunks with an INTENT and no end."""
        return np.flatnonzero(self.state == ChunkState.RUNNING)

    def ids(self, *states: ChunkState) -> Array:
        """int64 ids of the chunks in one of ``states``, ascending."""
        return np.flatnonzero(np.isin(self.state, np.array(states, dtype=np.uint8)))

    def restorable(self, chunk: int) -> bool:
        """Whether the chunk is DONE, or was until a retry of this session took it on."""
        return bool(self.state[chunk] == ChunkState.DONE) or chunk in self.retried

    def counts(self) -> dict[ChunkState, int]:
        """Chunks in each state, every state named."""
        found = np.bincount(self.state, minlength=len(ChunkState))
        return {state: int(found[state]) for state in ChunkState}

    def totals(self, n_rows: int, chunk_rows: int) -> Totals:
        """The figures of ``head.json``, which add up exactly.

        Args:
            n_rows: Rows of the plan.
            chunk_rows: Rows of every chunk but the last.
        """
        counts = self.counts()
        done = self.state == ChunkState.DONE
        short = self.n_chunks * chunk_rows - n_rows
        quarantined = int(self.quarantined[done].sum(dtype=np.int64))

        def rows(state: ChunkState) -> int:
            last = self.n_chunks > 0 and self.state[-1] == state
            return counts[state] * chunk_rows - (short if last else 0)

        return Totals(
            chunks=self.n_chunks,
            **{state.name.lower(): counts[state] for state in ChunkState},
            rows=n_rows,
            rows_done=rows(ChunkState.DONE) - quarantined,
            rows_quarantined=rows(ChunkState.QUARANTINED) + quarantined,
            rows_failed=rows(ChunkState.FAILED),
            rows_nan=int(self.nan[done].sum(dtype=np.int64)),
            bytes_written=int(self.sizes[done].sum(dtype=np.int64)) if done.any() else 0,
        )


class OutlineTable(ChunkTable):
    """A table that leaves out sizes and checksums of the stored objects.

    Enough for whoever shows a run: a third of the memory, and a fold is read without the pages
    that do not compress. Its ``totals`` count no bytes.
    """

    def _store_objects(self, ids: Any, done: DoneColumns) -> None:
        """Objects are not kept."""
