"""The contract of writers, as tests: subclass, supply ``make_writer``, run pytest.

    class TestMyWriter(WriterContract):
        @pytest.fixture
        def make_writer(self):
            return lambda objects: MyWriter(MyWriter.Options(kind="mine"), objects)

Everything goes through the public contract and a real store in a temporary folder.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from foretell.abc.writer import WriterPlan
from foretell.errors import OutputError, ShapeMismatch, StoreError
from foretell.rows import empty
from foretell.store.layout import RUN
from foretell.store.objects import Lease, ObjectStore
from foretell.store.open import open_objects
from foretell.testing.outputs import NUMBERS, RAGGED, TEXT, assert_same, loaded_by
from foretell.testing.writer_faults import WriterFaults
from foretell.testing.written import (
    MakeStore,
    MakeWriter,
    Written,
    assert_documents,
    assert_receipt,
    half_commit,
    write_in_parts,
)
from foretell.types import OutputSpec

HEAVY = ("zarr", "pyarrow", "dask", "xarray", "pandas", "torch", "jax", "tensorstore")


class WriterContract(WriterFaults):
    """What every writer promises. Set ``outputs`` to what yours can store."""

    outputs: ClassVar[Sequence[OutputSpec]] = (*NUMBERS, *TEXT)
    """Outputs of the tests; those of dtype ``json`` are added where the writer supports them."""

    @pytest.fixture
    def make_writer(self) -> MakeWriter:
        """Builds a writer on an object store. Override it."""
        raise NotImplementedError("supply the fixture make_writer")

    @pytest.fixture
    def make_store(self, tmp_path: Path) -> MakeStore:
        """Builds an empty store: ``make_store(name, lease=None)``."""

        def make(name: str = "store", lease: Lease | None = None) -> ObjectStore:
            objects = open_objects(str(tmp_path / name), lease=lease, label="tests")
            objects.ensure_root()
            return objects

        return make

    @pytest.fixture
    def specs(self, make_writer: MakeWriter, make_store: MakeStore) -> tuple[OutputSpec, ...]:
        """The outputs, ragged ones included where they are supported."""
        ragged = make_writer(make_store("asked")).supports_ragged
        return (*self.outputs, *(RAGGED if ragged else ()))

    @pytest.fixture
    def plan(self, specs: tuple[OutputSpec, ...]) -> WriterPlan:
        """Three chunks, the last of them short."""
        return WriterPlan(n_rows=21, chunk_rows=8, batch_size=4, outputs=specs, row_offset=100)

    @pytest.fixture
    def written(self, make_writer: MakeWriter, make_store: MakeStore, plan: WriterPlan) -> Written:
        """A store with no chunk yet."""
        return Written(make_writer, make_store(), plan)

    @pytest.fixture
    def few(self, plan: WriterPlan) -> WriterPlan:
        """The plan with three outputs, for tests that do something at every operation."""
        last = plan.outputs[-1]
        nested = next((s for s in plan.outputs if "/" in s.name), plan.outputs[1])
        names = {spec.name: spec for spec in (plan.outputs[0], nested, last)}
        return replace(plan, outputs=tuple(names.values()))

    # --- values -------------------------------------------------------------------------------

    def test_every_chunk_reads_back_as_it_was_written(self, written: Written) -> None:
        written.write(2, 0, 1)
        for chunk_id in range(3):
            written.assert_reads(chunk_id)

    def test_reads_the_named_outputs_alone(self, written: Written) -> None:
        written.write(0)
        name = written.plan.outputs[1].name
        arrays, valid = written.again().read(written.plan.chunk(0), [name])
        assert list(arrays) == [name]
        assert len(valid) == 8
        assert written.again().read(written.plan.chunk(0), [])[0] == {}

    def test_spans_are_what_the_chunk_has_there(self, written: Written) -> None:
        written.write(0)
        chunk, writer = written.plan.chunk(0), written.again()
        if not writer.supports_spans:
            with pytest.raises(NotImplementedError):
                writer.span_rows("valid")
            return
        arrays, valid = writer.read(chunk)
        names = [*arrays, "valid"]
        assert all(1 <= writer.span_rows(name) <= len(chunk) for name in names)
        for start, stop in ((0, 8), (0, 1), (3, 6), (7, 8)):
            got = {name: writer.read_span(chunk, name, start, stop) for name in arrays}
            expected = {name: values[start:stop] for name, values in arrays.items()}
            assert_same(written.plan.outputs, got, expected)
            flags = writer.read_span(chunk, "valid", start, stop)
            np.testing.assert_array_equal(flags, valid[start:stop], strict=True)

    def test_a_chunk_of_nothing_but_fill_values_has_objects(self, written: Written) -> None:
        chunk = written.plan.chunk(0)
        arrays, valid = empty(written.plan.outputs, 8), np.ones(8, np.uint8)
        for spec in written.plan.outputs:
            if spec.dtype == "json":
                arrays[spec.name][:] = 0
        receipt = written.writer.write(chunk, arrays, valid)
        assert_receipt(written, 0, receipt)
        assert_same(written.plan.outputs, written.again().read(chunk)[0], arrays)

    def test_memory_order_does_not_matter(self, written: Written) -> None:
        arrays, valid = written.values(0)
        plain = written.writer.write(written.plan.chunk(0), arrays, valid)
        turned = {name: np.asfortranarray(array) for name, array in arrays.items()}
        assert written.writer.write(written.plan.chunk(0), turned, valid) == plain

    def test_no_rows_is_a_complete_run(
        self, make_writer: MakeWriter, make_store: MakeStore, specs: tuple[OutputSpec, ...]
    ) -> None:
        written = Written(make_writer, make_store(), WriterPlan(0, 8, 4, specs))
        written.writer.finalize(True, {})
        written.writer.finalize(True, {})
        assert_documents(written.objects, written.again().documents())

    # --- parts --------------------------------------------------------------------------------

    def test_members_of_a_group_write_what_one_writer_writes(
        self, make_writer: MakeWriter, make_store: MakeStore, specs: tuple[OutputSpec, ...]
    ) -> None:
        plan = WriterPlan(n_rows=19, chunk_rows=8, batch_size=4, outputs=specs, parts=2)
        whole = Written(make_writer, make_store("whole"), plan)
        if not whole.writer.supports_parts:
            pytest.skip("this writer does not support parts")
        whole.write(0, 1, 2)
        parted = Written(make_writer, make_store("parted"), plan)
        for chunk_id in range(3):
            parted.receipts[chunk_id] = write_in_parts(parted, chunk_id)
            parted.assert_reads(chunk_id)
        assert parted.receipts == whole.receipts
        assert parted.stored() == whole.stored()

    # --- bytes --------------------------------------------------------------------------------

    def test_a_receipt_says_what_is_stored(self, written: Written) -> None:
        written.write(0, 1, 2)
        for chunk_id, receipt in written.receipts.items():
            assert_receipt(written, chunk_id, receipt)

    def test_keys_are_unique_relative_and_outside_the_record(self, written: Written) -> None:
        before = [[*written.writer.objects(written.plan.chunk(i))] for i in range(3)]
        keys = [key for chunk in before for key in chunk]
        written.write(0, 1, 2)
        assert len(set(keys)) == len(keys)
        assert not any(key.startswith((RUN, "/", ".")) or ".." in key for key in keys)
        assert set(written.stored()) == {*keys, *written.writer.documents()}
        for chunk_id in range(3):
            chunk = written.plan.chunk(chunk_id)
            assert {*written.writer.leftovers(chunk)} <= set(before[chunk_id])

    def test_equal_input_gives_equal_bytes(
        self, written: Written, make_writer: MakeWriter, make_store: MakeStore
    ) -> None:
        other = Written(make_writer, make_store("other"), written.plan)
        written.write(0, 1, 2)
        other.write(2, 1, 0)
        assert other.stored() == written.stored()

    def test_threads_write_what_one_thread_writes(
        self, written: Written, make_writer: MakeWriter, make_store: MakeStore
    ) -> None:
        other = Written(make_writer, make_store("other"), written.plan)
        written.write(0, 1, 2)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(other.write, range(3)))
        assert other.receipts == written.receipts
        assert other.stored() == written.stored()

    def test_what_was_there_before_leaves_no_trace(self, written: Written) -> None:
        written.write(2)
        stored = written.stored()
        keys = written.writer.objects(written.plan.chunk(2))
        for rubbish in (b"", b"\0" * 10, stored[keys[0]][:-3], bytes(5000)):
            for key in keys:
                written.objects.put(key, rubbish)
            written.write(2, writer=written.again())
            assert written.stored() == stored

    @pytest.mark.parametrize("rubbish", [None, b"", b"\xff" * 7])
    def test_a_missing_or_damaged_object_is_never_read_as_values(
        self, written: Written, rubbish: bytes | None
    ) -> None:
        chunk = written.plan.chunk(1)
        written.write(1)
        stored = written.stored()
        for key in written.writer.objects(chunk):
            if rubbish is None:
                written.objects.delete(key)
            else:
                written.objects.put(key, rubbish)
            with pytest.raises(StoreError) as caught:
                written.again().read(chunk)
            assert key in str(caught.value)
            assert "1" in dict(caught.value.facts)["chunk"]
            written.objects.put(key, stored[key])
        written.assert_reads(1)

    # --- creating and finishing ---------------------------------------------------------------

    def test_creating_again_is_harmless(self, written: Written) -> None:
        written.write(0)
        before = written.stored()
        written.again().create(written.plan)
        assert written.stored() == before
        written.writer.finalize(True, {})
        done = written.stored()
        written.again().create(written.plan)
        assert written.stored() == done

    def test_a_place_with_another_plan_is_refused(
        self, written: Written, make_writer: MakeWriter
    ) -> None:
        if not written.writer.documents():
            pytest.skip("this writer keeps nothing beside the chunks")
        before = written.stored()
        with pytest.raises(StoreError):
            make_writer(written.objects).create(WriterPlan(40, 8, 4, written.plan.outputs))
        assert written.stored() == before

    def test_finishing_says_why_a_chunk_has_no_values(self, written: Written) -> None:
        written.write(0)
        half_commit(written, 1)
        gaps = {1: np.zeros(8, np.uint8), 2: np.full(5, 2, np.uint8)}
        for _ in range(2):
            written.writer.finalize(False, gaps)
            left = [key for i in gaps for key in written.writer.leftovers(written.plan.chunk(i))]
            done = written.writer.objects(written.plan.chunk(0))
            assert set(written.stored()) == {*done, *left, *written.writer.documents()}
            assert_documents(written.objects, written.writer.documents())
        written.assert_reads(0)

    def test_a_chunk_can_still_be_predicted_after_finishing(
        self, written: Written, make_writer: MakeWriter, make_store: MakeStore
    ) -> None:
        written.write(0)
        gaps = {i: np.zeros(len(written.plan.chunk(i)), np.uint8) for i in (1, 2)}
        written.writer.finalize(False, gaps)
        written.write(1, 2, writer=written.again())
        written.again().finalize(True, {})
        straight = Written(make_writer, make_store("straight"), written.plan)
        straight.write(0, 1, 2)
        straight.writer.finalize(True, {})
        assert written.stored() == straight.stored()

    # --- refusals -----------------------------------------------------------------------------

    def test_other_arrays_than_planned_are_refused(self, written: Written) -> None:
        chunk = written.plan.chunk(0)
        arrays, valid = written.values(0)
        first = written.plan.outputs[0].name
        short = {name: array[:-1] for name, array in arrays.items()}
        wrong = [
            short,
            {name: array for name, array in arrays.items() if name != first},
            {**arrays, "other": arrays[first]},
            {**arrays, first: arrays[first][..., None]},
            {**arrays, first: np.asarray(arrays[first]).astype("float64")},
        ]
        before = written.stored()
        for bad in wrong:
            with pytest.raises(ShapeMismatch):
                written.writer.write(chunk, bad, valid)
        with pytest.raises(ShapeMismatch):
            written.writer.write(chunk, arrays, valid[:-1])
        assert written.stored() == before

    def test_reserved_names_are_refused(self, written: Written) -> None:
        for name in ("valid", "_run", "_run/x", "valid/x"):
            plan = WriterPlan(8, 8, 4, (OutputSpec(name, (), "float32"),))
            with pytest.raises(OutputError, match=name):
                written.writer.check(plan)

    def test_what_it_cannot_store_is_refused_by_name(self, written: Written) -> None:
        ragged = OutputSpec("boxes", (), "json")
        plan = WriterPlan(8, 8, 4, (ragged,))
        if written.writer.supports_ragged:
            written.writer.check(plan)
            return
        with pytest.raises(OutputError, match="boxes") as caught:
            written.writer.check(plan)
        assert caught.value.tries

    # --- travelling ---------------------------------------------------------------------------

    def test_settings_can_be_pickled(self, written: Written) -> None:
        options = written.writer.options
        assert pickle.loads(pickle.dumps(options)) == options

    def test_importing_the_writer_is_light(self, written: Written) -> None:
        assert loaded_by(type(written.writer).__module__, HEAVY) == []
