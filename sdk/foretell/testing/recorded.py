"""A run store with a ledger, made without an engine: for tests of what reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from foretell.abc.writer import Writer
from foretell.plan import Plan
from foretell.store.ledger import LedgerWriter
from foretell.store.manifest import Manifest, read_manifest, write_manifest
from foretell.store.objects import ObjectStore
from foretell.store.reader import RunReader
from foretell.store.records import ChunkDone, ChunkFailed, Intent, Record, SessionEnded
from foretell.store.report import Report
from foretell.store.snapshot import Snapshot, open_snapshot
from foretell.store.takeover import claim
from foretell.store.verify import verify
from foretell.testing.outputs import fill, sample
from foretell.types import Arrays, ChunkState, OutputSpec, Receipt, RunState

MakeWriter = Callable[[ObjectStore], Writer]


def make_plan(
    outputs: Sequence[OutputSpec], *, rows: int = 21, chunk_rows: int = 8, parts: int = 1
) -> Plan:
    """A plan of a few chunks, the last of them short."""
    return Plan(
        n_rows=rows,
        row_offset=0,
        chunk_rows=chunk_rows,
        batch_size=4,
        slots=1,
        threads=1,
        group_size=parts,
        parts=parts,
        seed=0,
        outputs=tuple(outputs),
    )


class RecordedRun:
    """A driver in a test's hands: chunks are committed, fail and are retried as the test says.

    Args:
        objects: An empty store, its root there.
        plan: The plan.
        make_writer: Builds a writer on an object store.
    """

    def __init__(self, objects: ObjectStore, plan: Plan, make_writer: MakeWriter) -> None:
        self.objects = objects
        self.plan = plan
        self.make_writer = make_writer
        write_manifest(
            objects,
            Manifest(job={}, fingerprint={}, plan=plan.to_json(), versions={}, created=0.0),
        )
        self.manifest = read_manifest(objects)
        self.ledger: LedgerWriter = claim(objects, self.manifest)
        self.writer = self.new_writer(create=True)

    def new_writer(self, *, create: bool = False) -> Writer:
        """A writer as another process has it."""
        writer = self.make_writer(self.objects)
        if create:
            writer.create(self.plan.writer_plan())
        writer.open(self.plan.writer_plan())
        return writer

    def values(
        self, chunk_id: int, seed: int = 0, quarantined: int = 2
    ) -> tuple[Arrays, np.ndarray]:
        """What belongs into a chunk; its last ``quarantined`` rows have no prediction."""
        rows = self.plan.rows_of(chunk_id)
        valid = np.where(np.arange(rows) < rows - quarantined, 1, 2).astype(np.uint8)
        arrays = sample(self.plan.outputs, rows, seed=1000 * seed + chunk_id)
        return fill(self.plan.outputs, arrays, valid), valid

    def intend(self, *chunks: int, retry: bool = False) -> None:
        """Record that chunks are about to be dispatched."""
        self.append(Intent(chunks, 1, retry))

    def put(self, chunk_id: int, seed: int = 0, quarantined: int = 2) -> ChunkDone:
        """Store a chunk without recording it; the record that would."""
        arrays, valid = self.values(chunk_id, seed, quarantined)
        receipt = self.writer.write(self.plan.chunk(chunk_id), arrays, valid)
        return self.done(chunk_id, receipt, quarantined)

    def done(self, chunk_id: int, receipt: Receipt, quarantined: int) -> ChunkDone:
        """The record of a commit."""
        return ChunkDone(chunk_id, 1, 0.0, 5, 0, quarantined, receipt.sizes, receipt.crcs)

    def commit(self, *chunks: int, seed: int = 0, quarantined: int = 2) -> None:
        """Store and record chunks."""
        self.intend(*chunks)
        self.append(*[self.put(chunk, seed, quarantined) for chunk in chunks])

    def fail(self, chunk_id: int, state: ChunkState = ChunkState.FAILED) -> None:
        """Record that a chunk is given up."""
        self.intend(chunk_id)
        self.append(ChunkFailed(chunk_id, 1, state))

    def append(self, *records: Record) -> None:
        """Append to the ledger, one segment."""
        self.ledger.append(records)

    def end(self, state: RunState, exit_code: int = 0) -> None:
        """Finish the outputs and end the session, as a driver does."""
        table = self.ledger.table
        gaps = {
            chunk: np.full(
                self.plan.rows_of(chunk),
                2 if table.state[chunk] == ChunkState.QUARANTINED else 0,
                np.uint8,
            )
            for chunk in np.flatnonzero(table.state != ChunkState.DONE).tolist()
        }
        self.writer.finalize(state is RunState.DONE, gaps)
        self.append(SessionEnded(state.value, exit_code, 1.0))
        self.ledger.close()

    def snapshot(self) -> Snapshot:
        """The run as a viewer opens it."""
        return open_snapshot(self.objects)

    def reader(self) -> RunReader:
        """A fresh reader."""
        return RunReader(self.snapshot(), self.make_writer(self.objects))

    def verify(self, *, deep: bool = True) -> Report:
        """Check the store."""
        return verify(self.snapshot(), self.make_writer(self.objects), deep=deep)
