"""What single screens want to know of the table of chunks: lists, one chunk, the task stream.

Called in the reader's thread, for the table is its own and changes there; what is returned is
immutable and goes to the screen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from foretell.plan import Plan
from foretell.store.codec import DoneColumns
from foretell.store.follow import finish_times
from foretell.store.table import ChunkTable
from foretell.types import ChunkState

from foretell_tui.look import HOLES
from foretell_tui.query import Query

LIST_LIMIT = 1000
"""Rows of a list of chunks."""

RECENT = 60.0
"""Seconds over which the speed of a worker is taken."""


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """One chunk, as its list and its detail show it.

    Attributes:
        chunk: Id.
        code: Shown state.
        start, stop: Its rows.
        attempt: The last one's number, 0 for none.
        worker: Number of the worker, -1 for none.
        seconds: It took, None where it is not done.
        started: When, seconds since the epoch, None where it is not done.
        quarantined, nan, splits: As in the ledger.
        suspect: Whether it was in hand when a driver or worker died.
        failure: Number of its last failure, 0 for none.
    """

    chunk: int
    code: int
    start: int
    stop: int
    attempt: int
    worker: int
    seconds: float | None
    started: float | None
    quarantined: int
    nan: int
    splits: int
    suspect: bool
    failure: int


@dataclass(frozen=True, slots=True)
class ChunkList:
    """Chunks that were asked for.

    Attributes:
        query: By which.
        total: How many there are.
        rows: Those that are shown.
    """

    query: Query
    total: int
    rows: tuple[ChunkRow, ...]


@dataclass(frozen=True, slots=True)
class Stream:
    """What every worker did over time, one column a pixel.

    Attributes:
        start, stop: Seconds since the epoch at the first column's begin and the last one's end.
        workers: Number of the worker of each row.
        codes: uint8 ``(rows, columns)``: a state's code, 255 for nothing.
        seconds: float32 ``(rows, columns)``: mean duration of the chunks there, NaN for none.
        done_by: int64 ``(columns,)``: chunks done at each column's end.
        first, last: The whole time there is something to show for.
    """

    start: float
    stop: float
    workers: tuple[int, ...]
    codes: np.ndarray
    seconds: np.ndarray
    done_by: np.ndarray
    first: float
    last: float


def chunk_row(table: ChunkTable, plan: Plan, chunk: int, code: int) -> ChunkRow:
    """One chunk."""
    rows = plan.chunk(chunk)
    done = code in (ChunkState.DONE, HOLES)
    return ChunkRow(
        chunk,
        code,
        rows.start,
        rows.stop,
        int(table.attempt[chunk]),
        int(table.worker[chunk]) if done else -1,
        int(table.milliseconds[chunk]) / 1000 if done else None,
        float(table.started[chunk]) if done else None,
        int(table.quarantined[chunk]) if done else 0,
        int(table.nan[chunk]) if done else 0,
        int(table.splits[chunk]) if done else 0,
        bool(table.suspect[chunk]),
        int(table.failure[chunk]),
    )


def chunk_list(table: ChunkTable, plan: Plan, codes: np.ndarray, query: Query) -> ChunkList:
    """The chunks a query names, sorted as it says."""
    ids = np.flatnonzero(_matching(table, codes, query))
    ids = _sorted(table, codes, ids, query)
    shown = ids[:LIST_LIMIT].tolist()
    return ChunkList(
        query,
        len(ids),
        tuple(chunk_row(table, plan, chunk, int(codes[chunk])) for chunk in shown),
    )


def _matching(table: ChunkTable, codes: np.ndarray, query: Query) -> np.ndarray:
    keep = np.ones(table.n_chunks, dtype=bool)
    done = np.isin(codes, (ChunkState.DONE, HOLES))
    for test in query.tests:
        if test.kind == "state":
            found = np.isin(codes, test.codes)
        elif test.kind == "worker":
            found = done & (table.worker == test.low)
        elif test.kind == "seconds":
            took = table.milliseconds / 1000
            found = done & (took >= test.low) & (took <= test.high)
        else:
            found = np.zeros(table.n_chunks, dtype=bool)
            found[max(0, int(test.low)) : int(test.high) + 1] = True
        keep &= ~found if test.inverse else found
    return keep


def _sorted(table: ChunkTable, codes: np.ndarray, ids: np.ndarray, query: Query) -> np.ndarray:
    if query.sort == "slowest":
        done = np.isin(codes[ids], (ChunkState.DONE, HOLES))
        took = np.where(done, table.milliseconds[ids].astype(np.int64), -1)
        return ids[np.argsort(-took, kind="stable")]
    if query.sort == "newest":
        done = np.isin(codes[ids], (ChunkState.DONE, HOLES))
        return ids[np.argsort(-np.where(done, table.started[ids], 0.0), kind="stable")]
    if query.sort == "worker":
        return ids[np.argsort(table.worker[ids], kind="stable")]
    if query.sort == "attempts":
        return ids[np.argsort(-table.attempt[ids].astype(np.int64), kind="stable")]
    return ids


def order_by(table: ChunkTable, by: str) -> np.ndarray | None:
    """Chunk at each position of the map: by time of completion, or by worker; None for linear."""
    if by == "time":
        done, times = finish_times(table)
        when = np.full(table.n_chunks, np.inf)
        when[done] = times
        return np.argsort(when, kind="stable")
    if by == "worker":
        worker = np.where(table.worker < 0, np.iinfo(np.int32).max, table.worker)
        return np.argsort(worker, kind="stable")
    return None


@dataclass(frozen=True, slots=True)
class Recent:
    """Chunks finished lately: when begun and ended (seconds), by which worker; equal lengths."""

    begins: np.ndarray
    ends: np.ndarray
    workers: np.ndarray


def recent_of(table: ChunkTable) -> Recent:
    """The chunks of the last minute of work."""
    done, ends = finish_times(table)
    return _lately(Recent(table.started[done], ends, table.worker[done]))


def add_recent(recent: Recent, done: Sequence[DoneColumns]) -> Recent:
    """With more completions, and without those that are too old by now."""
    if not done:
        return recent
    begins = [recent.begins, *(columns.started / 1000.0 for columns in done)]
    ends = [recent.ends, *((c.started + c.milliseconds) / 1000.0 for c in done)]
    workers = [recent.workers, *(columns.worker for columns in done)]
    return _lately(Recent(np.concatenate(begins), np.concatenate(ends), np.concatenate(workers)))


def _lately(recent: Recent) -> Recent:
    if not len(recent.ends):
        return recent
    keep = recent.ends > recent.ends.max() - RECENT
    return Recent(recent.begins[keep], recent.ends[keep], recent.workers[keep])


def worker_rates(recent: Recent) -> dict[int, float]:
    """Chunks a second of every worker over the last minute of work."""
    if not len(recent.ends):
        return {}
    span = max(1.0, min(RECENT, float(recent.ends.max() - recent.begins.min())))
    counts = np.bincount(recent.workers.clip(0))
    return {worker: count / span for worker, count in enumerate(counts.tolist()) if count}


def stream(
    table: ChunkTable, codes: np.ndarray, start: float | None, stop: float | None, width: int
) -> Stream | None:
    """The task stream of a stretch of time; None where nothing was done.

    Args:
        table: The chunks.
        codes: Their shown states.
        start, stop: Seconds since the epoch; None for the whole time there is.
        width: Columns.
    """
    ids, ends = finish_times(table)
    if not len(ids) or width < 1:
        return None
    begins = table.started[ids]
    first, last = float(begins.min()), float(ends.max())
    start = first if start is None else start
    stop = max(last, start + 0.001) if stop is None else max(stop, start + 0.001)
    scale = width / (stop - start)
    at = np.clip(np.floor((ends - start) * scale), -1, width - 1).astype(np.int64) + 1
    at[ends > stop] = width + 1
    done_by = np.cumsum(np.bincount(at, minlength=width + 2))[1 : width + 1]
    workers = np.unique(table.worker[ids])
    inside = (ends >= start) & (begins <= stop)
    ids, begins, ends = ids[inside], begins[inside], ends[inside]
    a = np.clip(((begins - start) * scale).astype(np.int64), 0, width - 1)
    b = np.clip(((ends - start) * scale).astype(np.int64), 0, width - 1)
    row = np.searchsorted(workers, table.worker[ids])
    took = table.milliseconds[ids] / 1000.0
    shape = (len(workers), width)
    busy = _covered(row, a, b, shape)
    with np.errstate(invalid="ignore"):
        seconds = _covered(row, a, b, shape, took) / np.where(busy > 0, busy, np.nan)
    shown = np.full(shape, 255, dtype=np.uint8)
    shown[busy > 0] = ChunkState.DONE
    for code, rough in ((HOLES, table.quarantined[ids] > 0), (2, table.attempt[ids] > 1)):
        marked = _covered(row[rough], a[rough], b[rough], shape)
        shown[marked > 0] = code
    return Stream(
        start,
        stop,
        tuple(workers.tolist()),
        shown,
        seconds.astype(np.float32),
        done_by,
        first,
        last,
    )


def _covered(
    row: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    shape: tuple[int, int],
    weight: np.ndarray | None = None,
) -> np.ndarray:
    """Sum over bars of their weight (1 by default) in each column they cover."""
    rows, width = shape
    edges = np.bincount(row * (width + 1) + first, weight, rows * (width + 1))
    edges = edges - np.bincount(row * (width + 1) + last + 1, weight, rows * (width + 1))
    return np.cumsum(edges.reshape(rows, width + 1), axis=1)[:, :width].round(6)


def curve_of(table: ChunkTable, plan: Plan, since: float) -> np.ndarray:
    """Rows finished in each second from ``since`` on, float64."""
    ids, ends = finish_times(table)
    return add_to_curve(np.zeros(0), plan, ids, ends, since)


def add_to_curve(
    curve: np.ndarray, plan: Plan, ids: np.ndarray, ends: np.ndarray, since: float
) -> np.ndarray:
    """The curve with more completions; those before ``since`` are of earlier sessions."""
    at = (ends - since).astype(np.int64)
    mine = (ends >= since) & (at < MOST_SECONDS)
    if not mine.any():
        return curve
    at, ids = at[mine], ids[mine]
    length = max(len(curve), int(at.max()) + 1)
    rows = np.minimum(plan.chunk_rows, plan.n_rows - ids * plan.chunk_rows)
    more = np.bincount(at, rows, length)
    more[: len(curve)] += curve
    return more


MOST_SECONDS = 60 * 86_400
"""Length of a curve: clocks may lie."""


def columns(values: np.ndarray, width: int) -> Iterator[float]:
    """A curve as ``width`` means, or fewer where it is short."""
    count = min(width, len(values))
    for part in np.array_split(values, count) if count else ():
        yield float(part.mean())
