"""A store that is being written, for the tests of writers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import google_crc32c
import numpy as np

from foretell.abc.writer import Writer, WriterPlan
from foretell.errors import LeaseLost
from foretell.store.layout import RUN
from foretell.store.objects import ObjectStore
from foretell.testing.outputs import assert_same, fill, sample
from foretell.types import Arrays, Receipt

MakeWriter = Callable[[ObjectStore], Writer]
MakeStore = Callable[..., ObjectStore]


class LeaseFor:
    """A lease that holds for a number of checks."""

    def __init__(self, checks: int) -> None:
        self.left = checks

    def check(self) -> None:
        """One check less.

        Raises:
            LeaseLost: none is left.
        """
        if self.left <= 0:
            raise LeaseLost("the driver has not renewed the lease")
        self.left -= 1


class Written:
    """A store some chunks of which are written, and what was written."""

    def __init__(self, make: MakeWriter, objects: ObjectStore, plan: WriterPlan) -> None:
        self.make = make
        self.objects = objects
        self.plan = plan
        self.receipts: dict[int, Receipt] = {}
        self.writer = self.again()
        self.writer.check(plan)
        self.writer.create(plan)

    def again(self) -> Writer:
        """Another writer on the same store, as another process has."""
        writer = self.make(self.objects)
        writer.open(self.plan)
        return writer

    def values(self, chunk_id: int) -> tuple[Arrays, np.ndarray]:
        """What belongs into a chunk: every third row is quarantined."""
        rows = len(self.plan.chunk(chunk_id))
        valid = np.where(np.arange(rows) % 3 == 1, 2, 1).astype(np.uint8)
        arrays = sample(self.plan.outputs, rows, seed=chunk_id)
        return fill(self.plan.outputs, arrays, valid), valid

    def write(self, *chunk_ids: int, writer: Writer | None = None) -> None:
        """Write chunks, and keep the receipts."""
        for chunk_id in chunk_ids:
            chunk = self.plan.chunk(chunk_id)
            receipt = (writer or self.writer).write(chunk, *self.values(chunk_id))
            self.receipts[chunk_id] = receipt

    def assert_reads(self, chunk_id: int, writer: Writer | None = None) -> None:
        """Fail unless the chunk reads back as it was written."""
        arrays, valid = (writer or self.again()).read(self.plan.chunk(chunk_id))
        expected, flags = self.values(chunk_id)
        assert_same(self.plan.outputs, arrays, expected)
        np.testing.assert_array_equal(valid, flags, strict=True)

    def stored(self) -> dict[str, bytes]:
        """Every object outside ``_run/``."""
        keys = [key for key in self.objects.list() if not key.startswith(RUN + "/")]
        return {key: self.objects.get(key) for key in keys}


def write_in_parts(written: Written, chunk_id: int) -> Receipt:
    """Write a chunk as the members of a group do, last member first; the merged receipt."""
    plan, chunk = written.plan, written.plan.chunk(chunk_id)
    arrays, valid = written.values(chunk_id)
    receipts = {}
    for part in reversed(range(plan.parts)):
        rows = plan.part(chunk, part)
        span = slice(rows.start - chunk.start, rows.stop - chunk.start)
        own = {name: array[span] for name, array in arrays.items()}
        receipts[part] = written.again().write(chunk, own, valid[span], part)
        keys = written.writer.objects(chunk, part)
        assert len(keys) == len(receipts[part].crcs)
    ordered = [receipts[part] for part in range(plan.parts)]
    return Receipt(
        tuple(size for receipt in ordered for size in receipt.sizes),
        tuple(crc for receipt in ordered for crc in receipt.crcs),
    )


def half_commit(written: Written, chunk_id: int) -> None:
    """Leave a chunk as a process killed in the middle of its puts does."""
    written.write(chunk_id)
    del written.receipts[chunk_id]
    last = written.writer.objects(written.plan.chunk(chunk_id))[-1]
    written.objects.delete(last)


def assert_receipt(written: Written, chunk_id: int, receipt: Receipt) -> None:
    """Fail unless the receipt describes the stored bytes of the chunk."""
    keys = written.writer.objects(written.plan.chunk(chunk_id))
    stored = [written.objects.get(key) for key in keys]
    assert receipt.sizes == tuple(len(data) for data in stored)
    assert receipt.crcs == tuple(google_crc32c.value(data) for data in stored)
    assert all(receipt.sizes)


def assert_documents(objects: ObjectStore, documents: Mapping[str, Sequence[bytes]]) -> None:
    """Fail unless every document is stored with one of its rightful contents."""
    for key, contents in documents.items():
        assert objects.get(key) in contents, key
