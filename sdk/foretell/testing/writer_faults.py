"""Crashes, full disks and lost leases at every step of a writer."""

from __future__ import annotations

import errno
from functools import partial

import numpy as np
import pytest

from foretell.abc.writer import WriterPlan
from foretell.errors import LeaseLost, StorageError
from foretell.store.objects import ObjectStore
from foretell.testing.crash import WRITES, crashes, operations_of, watched
from foretell.testing.written import LeaseFor, MakeStore, MakeWriter, Written


class WriterFaults:
    """The part of :class:`~foretell.testing.writer.WriterContract` in which things go wrong."""

    def test_a_crash_at_every_operation_of_a_write(
        self, make_writer: MakeWriter, make_store: MakeStore, few: WriterPlan
    ) -> None:
        written = Written(make_writer, make_store("straight"), few)
        written.write(0, 1, 2)
        expected = written.stored()

        def start(name: str) -> Written:
            other = Written(make_writer, make_store(name), few)
            other.write(0)
            return other

        first = start("counted")
        operations = operations_of(lambda: first.write(1, writer=first.again()))
        assert any(operation in WRITES for operation, _ in operations), "nothing was put"
        for number in range(len(operations)):
            other = start(f"crash-{number}")
            assert crashes(partial(other.write, 1, writer=other.again()), number)
            other.assert_reads(0)
            other.write(1, 2, writer=other.again())
            other.assert_reads(1)
            assert other.receipts == written.receipts
            assert other.stored() == expected

    def test_a_crash_at_every_operation_of_creating_and_finishing(
        self, make_writer: MakeWriter, make_store: MakeStore, few: WriterPlan
    ) -> None:
        gaps = {2: np.zeros(5, np.uint8)}

        def run(objects: ObjectStore) -> Written:
            other = Written(make_writer, objects, few)
            other.write(0, 1)
            other.writer.finalize(False, gaps)
            return other

        expected = run(make_store("straight")).stored()
        operations = operations_of(lambda: run(make_store("counted")))
        for number in range(len(operations)):
            objects = make_store(f"crash-{number}")
            assert crashes(partial(run, objects), number)
            again = run(objects)
            assert again.stored() == expected
            again.assert_reads(1)

    def test_a_full_disk_at_every_put_is_no_commit(
        self, make_writer: MakeWriter, make_store: MakeStore, few: WriterPlan
    ) -> None:
        written = Written(make_writer, make_store(), few)
        written.write(0)
        operations = operations_of(lambda: written.write(1, writer=written.again()))
        puts = [i for i, (operation, _) in enumerate(operations) if operation in WRITES]
        for number in puts:
            full = OSError(errno.ENOSPC, "full")
            with watched(number, full) as log, pytest.raises(StorageError):
                written.write(1, writer=written.again())
            assert log.met
            written.assert_reads(0)
        written.write(1)
        written.assert_reads(1)

    def test_nothing_is_put_once_the_lease_is_lost(
        self, make_writer: MakeWriter, make_store: MakeStore, few: WriterPlan
    ) -> None:
        lease = LeaseFor(10**6)
        written = Written(make_writer, make_store(lease=lease), few)
        written.write(0)
        checks = 10**6 - lease.left
        assert checks >= len(written.writer.objects(few.chunk(0)))
        expected = written.stored()
        for left in range(checks):
            for key in written.writer.objects(few.chunk(0)):
                written.objects.put(key, b"old", leased=False)
            lease.left = left
            with pytest.raises(LeaseLost), watched() as log:
                written.write(0)
            done = [key for operation, key in log.operations if operation == "put-done"]
            assert len(done) == left // (checks // len(written.receipts[0].crcs))
            assert sum(data == b"old" for data in written.stored().values()) >= 1
        lease.left = 10**6
        written.write(0)
        assert written.stored() == expected
