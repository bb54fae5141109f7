"""A second, slow opinion on what a ledger means, and strategies for its records."""

from dataclasses import dataclass, field
from typing import Any

from foretell.store.head import Head, Totals
from foretell.store.identity import ProcessIdentity
from foretell.store.ledger import LedgerWriter
from foretell.store.records import (
    ChunkDamaged,
    ChunkDone,
    ChunkFailed,
    ChunkRestored,
    Intent,
    Record,
    SessionEnded,
    SessionStarted,
    WorkerSeen,
)
from foretell.store.table import ChunkTable
from foretell.store.takeover import Clock
from foretell.types import ChunkState
from hypothesis import strategies as st

NO_SUCH_PID = 2**22


def driver(number: int) -> ProcessIdentity:
    """A driver of this host that is dead: no process has such a pid."""
    return ProcessIdentity("host", "boot", NO_SUCH_PID + number, 1.0)


class FakeTime:
    """Time that passes by sleeping."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.now, self.sleep)


@dataclass
class ModelChunk:
    state: ChunkState = ChunkState.PENDING
    attempt: int = 0
    suspect: bool = False
    failure: int = 0
    done: tuple[Any, ...] | None = None


@dataclass
class Model:
    """The meaning of records, chunk by chunk."""

    n_chunks: int
    chunks: dict[int, ModelChunk] = field(default_factory=dict)
    retried: dict[int, int] = field(default_factory=dict)
    sessions: list[SessionStarted] = field(default_factory=list)
    workers: list[WorkerSeen] = field(default_factory=list)
    ended: SessionEnded | None = None

    def __post_init__(self) -> None:
        self.chunks = {number: ModelChunk() for number in range(self.n_chunks)}

    def apply(self, record: Record) -> None:
        match record:
            case SessionStarted():
                for chunk in self.chunks.values():
                    if chunk.state == ChunkState.RUNNING:
                        chunk.state = ChunkState.PENDING
                        chunk.suspect = chunk.suspect or (
                            self.ended is None and len(self.sessions) > 0
                        )
                self.retried = {}
                self.sessions.append(record)
                self.ended = None
            case WorkerSeen():
                self.workers.append(record)
            case Intent():
                for number in record.chunks:
                    chunk = self.chunks[number]
                    if chunk.state == ChunkState.DONE:
                        self.retried[number] = chunk.attempt
                    chunk.state, chunk.attempt = ChunkState.RUNNING, record.attempt
            case ChunkDone():
                self.retried.pop(record.chunk, None)
                old = self.chunks[record.chunk]
                done = (
                    round(record.started * 1000),
                    record.milliseconds,
                    record.worker,
                    record.quarantined,
                    record.nan,
                    record.splits,
                    record.sizes,
                    record.crcs,
                )
                self.chunks[record.chunk] = ModelChunk(
                    ChunkState.DONE, record.attempt, False, old.failure, done
                )
            case ChunkFailed():
                chunk = self.chunks[record.chunk]
                chunk.state, chunk.attempt = record.state, record.attempt
                chunk.suspect = record.suspect
                chunk.failure = record.failure or chunk.failure
            case ChunkRestored():
                for number in record.chunks:
                    chunk = self.chunks[number]
                    chunk.state, chunk.suspect = ChunkState.DONE, False
                    chunk.attempt = self.retried.pop(number, chunk.attempt)
            case ChunkDamaged():
                for number in record.chunks:
                    self.chunks[number].state = ChunkState.DAMAGED
            case SessionEnded():
                self.ended = record

    def check(self, table: ChunkTable) -> None:
        """Assert that a table says the same."""
        assert table.n_chunks == self.n_chunks
        assert table.sessions == self.sessions
        assert table.workers == self.workers
        assert table.ended == self.ended
        assert table.retried == self.retried
        for number, chunk in self.chunks.items():
            assert table.state[number] == chunk.state, number
            assert table.attempt[number] == chunk.attempt, number
            assert table.suspect[number] == chunk.suspect, number
            assert table.failure[number] == chunk.failure, number
            if chunk.done is not None:
                assert done_of(table, number, len(chunk.done[-1])) == chunk.done, number
        counts = table.counts()
        assert sum(counts.values()) == self.n_chunks
        for state in ChunkState:
            here = [chunk for chunk in self.chunks.values() if chunk.state == state]
            assert counts[state] == len(here)
        running = [n for n, chunk in self.chunks.items() if chunk.state == ChunkState.RUNNING]
        assert table.in_flight().tolist() == running


def done_of(table: ChunkTable, number: int, width: int) -> tuple[Any, ...]:
    return (
        round(float(table.started[number]) * 1000),
        int(table.milliseconds[number]),
        int(table.worker[number]),
        int(table.quarantined[number]),
        int(table.nan[number]),
        int(table.splits[number]),
        tuple(table.sizes[number, :width].tolist()),
        tuple(table.crcs[number, :width].tolist()),
    )


def records(n_chunks: int) -> st.SearchStrategy[Record]:
    """Any record but those of sessions."""
    chunk = st.integers(0, n_chunks - 1)
    chunks = st.sets(chunk, min_size=1).map(lambda found: tuple(sorted(found)))
    attempt = st.integers(1, 5)
    u32 = st.integers(0, 2**32 - 1)
    objects = st.integers(1, 3).flatmap(
        lambda k: st.tuples(
            st.tuples(*[st.integers(0, 2**45)] * k),
            st.tuples(*[u32] * k),
        )
    )
    done = st.builds(
        lambda objects, **fields: ChunkDone(sizes=objects[0], crcs=objects[1], **fields),
        objects=objects,
        chunk=chunk,
        attempt=attempt,
        started=st.floats(1e9, 3e9),
        milliseconds=u32,
        worker=st.integers(0, 1000),
        quarantined=st.integers(0, 10),
        nan=st.integers(0, 10),
        splits=st.integers(0, 3),
    )
    failed = st.builds(
        ChunkFailed,
        chunk,
        attempt,
        st.sampled_from([ChunkState.RETRYING, ChunkState.FAILED, ChunkState.QUARANTINED]),
        st.booleans(),
        u32,
    )
    return st.one_of(
        done,
        done,
        failed,
        st.builds(Intent, chunks, attempt, st.booleans(), st.booleans()),
        st.builds(ChunkRestored, chunks),
        st.builds(ChunkDamaged, chunks),
    )


def plan_json(n_chunks: int, chunk_rows: int = 10, n_rows: int | None = None) -> dict[str, Any]:
    return {
        "n_rows": n_chunks * chunk_rows if n_rows is None else n_rows,
        "row_offset": 0,
        "chunk_rows": chunk_rows,
        "batch_size": chunk_rows,
        "slots": 1,
        "threads": 1,
        "group_size": 1,
        "seed": 0,
        "outputs": [],
        "keep": [],
    }


def head_of(session: SessionStarted, writer: LedgerWriter) -> Head:
    return Head(
        state="running",
        sequence=0,
        interval=1.0,
        time=session.time,
        epoch=session.epoch,
        host=session.host,
        boot_id=session.boot_id,
        pid=session.pid,
        pid_started=session.pid_started,
        session_started=session.time,
        totals=Totals(chunks=writer.table.n_chunks),
        last_segment=writer.last_segment,
        fold=writer.newest_fold,
    )
