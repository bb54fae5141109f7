"""Which worker had chunks in hand when, from what the ledger says of done chunks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretell.store.table import ChunkTable
from foretell.types import ChunkState

COLUMNS = 900
MOST_ROWS = 64
_LONG = 0.05
_KEPT = 0.02
_SHORTEST = 10.0


@dataclass(frozen=True, slots=True)
class Timeline:
    """Rows of workers over columns of time, long pauses shortened.

    Attributes:
        workers: Indices of the workers, one for each row.
        busy: bool ``(workers, columns)``: whether the worker had a chunk in hand.
        again: bool ``(workers, columns)``: whether it was not the chunk's first attempt.
        pauses: Columns at which a pause was shortened.
        begin, end: Seconds since the epoch of the first start and of the last end.
        shown: Seconds that the columns stand for, shortened pauses included.
        more: Workers that are not shown.
    """

    workers: tuple[int, ...]
    busy: np.ndarray
    again: np.ndarray
    pauses: tuple[int, ...] = ()
    begin: float = 0.0
    end: float = 0.0
    shown: float = 0.0
    more: int = 0


@dataclass(frozen=True, slots=True)
class WorkerShare:
    """What one worker did.

    Attributes:
        index: Of the worker.
        host: Where it ran.
        pid: Its process.
        session: Number of the session it belonged to.
        chunks: Chunks it finished.
        rows: Rows of those.
        seconds: Mean seconds of a chunk.
        again: Chunks of those that were not a first attempt.
    """

    index: int
    host: str
    pid: int
    session: int
    chunks: int
    rows: int
    seconds: float
    again: int


@dataclass(frozen=True, slots=True)
class Squeezed:
    """Intervals on an axis without long pauses.

    Attributes:
        start, end: Seconds from the first start.
        length: Of the axis.
        pauses: Where a pause was shortened.
    """

    start: np.ndarray
    end: np.ndarray
    length: float
    pauses: np.ndarray


def squeeze(start: np.ndarray, seconds: np.ndarray) -> Squeezed:
    """Intervals moved together where nothing happened for long: a run resumed a day later.

    Args:
        start: float64 ``(n,)``, any order, at least one.
        seconds: float64 ``(n,)``.
    """
    order = np.argsort(start, kind="stable")
    begin, end = start[order], start[order] + seconds[order]
    reached = np.maximum.accumulate(end)
    gaps = np.maximum(0.0, begin[1:] - reached[:-1])
    busy = float(reached[-1] - begin[0] - gaps.sum())
    kept = max(busy * _KEPT, 1e-3)
    long = gaps > max(busy * _LONG, kept, _SHORTEST)
    removed = np.concatenate(([0.0], np.cumsum(np.where(long, gaps - kept, 0.0))))
    moved = np.empty_like(start)
    moved[order] = begin - removed - begin[0]
    length = max(float((moved + seconds).max()), 1e-3)
    pauses = (begin[1:] - removed[1:] - begin[0])[long] - kept / 2
    return Squeezed(moved, moved + seconds, length, pauses)


def timeline_of(table: ChunkTable, columns: int = COLUMNS, most: int = MOST_ROWS) -> Timeline:
    """The timeline of the done chunks of a run."""
    done = np.flatnonzero((table.state == ChunkState.DONE) & (table.worker >= 0))
    if not len(done):
        return Timeline((), np.zeros((0, columns), bool), np.zeros((0, columns), bool))
    start, seconds = table.started[done], table.milliseconds[done] / 1000.0
    axis = squeeze(start, seconds)
    workers, row = np.unique(table.worker[done], return_inverse=True)
    shown = row < most
    first = np.minimum((axis.start / axis.length * columns).astype(np.int64), columns - 1)
    last = np.minimum((axis.end / axis.length * columns).astype(np.int64), columns - 1)
    again = table.attempt[done] > 1
    size = min(len(workers), most)
    return Timeline(
        workers=tuple(workers[:most].tolist()),
        busy=_covered(row[shown], first[shown], last[shown], size, columns),
        again=_covered(
            row[shown & again], first[shown & again], last[shown & again], size, columns
        ),
        pauses=tuple((axis.pauses / axis.length * columns).astype(np.int64).tolist()),
        begin=float(start.min()),
        end=float((start + seconds).max()),
        shown=axis.length,
        more=max(0, len(workers) - most),
    )


def _covered(
    row: np.ndarray, first: np.ndarray, last: np.ndarray, rows: int, columns: int
) -> np.ndarray:
    """bool ``(rows, columns)``: where some interval lies."""
    steps = np.zeros((rows, columns + 1), np.int64)
    np.add.at(steps, (row, first), 1)
    np.add.at(steps, (row, last + 1), -1)
    covered: np.ndarray = np.cumsum(steps, axis=1)[:, :columns] > 0
    return covered


def shares_of(table: ChunkTable, n_rows: int, chunk_rows: int) -> tuple[WorkerShare, ...]:
    """What each worker did that finished a chunk."""
    done = np.flatnonzero((table.state == ChunkState.DONE) & (table.worker >= 0))
    rows = np.minimum(chunk_rows, n_rows - done * chunk_rows)
    worker = table.worker[done]
    size = int(worker.max(initial=-1)) + 1
    chunks = np.bincount(worker, minlength=size)
    total = np.bincount(worker, weights=rows, minlength=size)
    seconds = np.bincount(worker, weights=table.milliseconds[done] / 1000.0, minlength=size)
    again = np.bincount(worker, weights=table.attempt[done] > 1, minlength=size)
    known = {
        seen.index: (seen, epoch)
        for seen, epoch in zip(table.workers, table.worker_epochs, strict=True)
    }
    found = []
    for index in np.flatnonzero(chunks).tolist():
        seen, epoch = known.get(index, (None, 0))
        found.append(
            WorkerShare(
                index,
                seen.host if seen is not None else "",
                seen.pid if seen is not None else 0,
                epoch,
                int(chunks[index]),
                int(total[index]),
                float(seconds[index] / chunks[index]),
                int(again[index]),
            )
        )
    return tuple(found)
