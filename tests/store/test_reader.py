"""Reading a run: the values that were committed, and nothing else, at any moment."""

from collections.abc import Callable

import numpy as np
import pytest
from foretell.builtin.writers.jsonl import JsonlOptions, JsonlWriter
from foretell.builtin.writers.parquet import ParquetOptions, ParquetWriter
from foretell.builtin.writers.zarr import ZarrOptions, ZarrWriter
from foretell.errors import NotYetPredicted, OutputError, StoreError, UnknownOutput
from foretell.store.local import LocalObjects
from foretell.store.reader import RunReader
from foretell.store.records import ChunkRestored, Intent
from foretell.store.snapshot import open_snapshot
from foretell.testing.crash import watched
from foretell.testing.outputs import NUMBERS, RAGGED, TEXT, assert_same
from foretell.testing.recorded import RecordedRun, make_plan
from foretell.types import ChunkState, OutputSpec, RunState

SPECS = (*NUMBERS, *TEXT)
LOGITS = OutputSpec("logits", (3,), "float32", dims=("klass",))
LABEL = OutputSpec("label", (), "int64")

WRITERS = {
    "zarr": lambda objects: ZarrWriter(ZarrOptions(), objects),
    "parquet": lambda objects: ParquetWriter(ParquetOptions(), objects),
    "jsonl": lambda objects: JsonlWriter(JsonlOptions(), objects),
}


@pytest.fixture(params=list(WRITERS))
def make_writer(request):
    return WRITERS[request.param]


@pytest.fixture
def run(objects: LocalObjects, make_writer) -> RecordedRun:
    return RecordedRun(objects, make_plan(SPECS), make_writer)


@pytest.fixture
def small(objects: LocalObjects) -> RecordedRun:
    return RecordedRun(objects, make_plan([LOGITS, LABEL]), WRITERS["zarr"])


def whole(run: RecordedRun, name: str, seed: int = 0):
    return np.concatenate([run.values(i, seed)[0][name] for i in range(run.plan.n_chunks)])


def test_reads_every_output_of_a_finished_run(run):
    run.commit(0, 1, 2)
    run.end(RunState.PARTIAL, 3)
    reader = run.reader()
    assert reader.names == [spec.name for spec in SPECS]
    assert len(reader) == 21
    got = {name: reader[name][:] for name in reader}
    assert_same(SPECS, got, {name: whole(run, name) for name in reader})
    for spec in SPECS:
        handle = reader[spec.name]
        assert (handle.shape, handle.spec) == ((21, *spec.shape), spec)
        assert handle.dtype == got[spec.name].dtype


def test_reads_ragged_values(objects):
    run = RecordedRun(objects, make_plan(RAGGED), WRITERS["jsonl"])
    run.commit(0, 1, 2)
    reader = run.reader()
    assert_same(RAGGED, {"boxes": reader["boxes"][:]}, {"boxes": whole(run, "boxes")})
    with pytest.raises(OutputError, match="boxes"):
        reader.to_xarray()


def test_an_index_reads_only_the_chunks_it_needs(small):
    small.commit(0, 1, 2)
    reader = small.reader()
    expected = whole(small, "logits")
    for key, chunks in [
        (9, {1}),
        (slice(6, 8), {0}),
        (slice(6, 9), {0, 1}),
        ([20, 0], {0, 2}),
        (slice(None, None, -10), {0, 1, 2}),
    ]:
        fresh = small.reader()
        with watched() as log:
            np.testing.assert_array_equal(fresh["logits"][key], expected[key])
        read = {key for _, key in log.operations if key.startswith("logits/c")}
        assert read == {f"logits/c.{chunk}.0" for chunk in chunks}
        assert not any(key.startswith("label/c") for _, key in log.operations)
    assert reader["logits"][4, 1] == expected[4, 1]
    np.testing.assert_array_equal(reader["logits"][2:12, ::2], expected[2:12, ::2])
    np.testing.assert_array_equal(np.asarray(reader["label"]), whole(small, "label"))


def test_row_by_row_decodes_a_chunk_once(small):
    small.commit(0, 1, 2)
    reader = small.reader()
    with watched() as log:
        rows = list(reader["logits"])
    np.testing.assert_array_equal(rows, whole(small, "logits"))
    assert sum(key.startswith("logits/c") for _, key in log.operations) == 3


def test_what_is_returned_can_be_changed_without_harm(small):
    small.commit(0, 1, 2)
    reader = small.reader()
    reader["logits"][0][:] = 7
    reader["logits"][:][:] = 7
    next(iter(reader.chunks()))[1]["logits"][:] = 7
    np.testing.assert_array_equal(reader["logits"][:], whole(small, "logits"))


def test_a_chunk_that_is_not_done_raises_and_is_named(run):
    run.commit(0)
    run.fail(2, ChunkState.FAILED)
    reader = run.reader()
    np.testing.assert_array_equal(reader["label"][:8], run.values(0)[0]["label"])
    with pytest.raises(NotYetPredicted) as caught:
        reader["label"][:]
    assert "1 (pending), 2 (failed)" in str(caught.value)
    with pytest.raises(LookupError):
        reader["label"][8]
    with pytest.raises(NotYetPredicted):
        list(reader.chunks())
    assert [chunk.id for chunk, _, _ in reader.chunks(partial=True)] == [0]


def test_stored_but_not_recorded_is_not_predicted(run):
    """I2: a commit whose record is not durable is no commit."""
    run.intend(0)
    record = run.put(0)
    reader = run.reader()
    with pytest.raises(NotYetPredicted):
        reader["label"][0]
    assert reader["label"].masked()[:8].mask.all()
    run.append(record)
    np.testing.assert_array_equal(reader["label"][:8], run.values(0)[0]["label"])


def test_masked_and_filled(run):
    run.commit(0, 2)
    reader = run.reader()
    masked = reader["logits"].masked()[:]
    valid = np.concatenate([run.values(0)[1], np.zeros(8, np.uint8), run.values(2)[1]])
    np.testing.assert_array_equal(masked.mask, np.repeat(valid[:, None] != 1, 3, axis=1))
    np.testing.assert_array_equal(masked.compressed(), masked.data[valid == 1].reshape(-1))
    filled = reader["logits"].filled()[:]
    assert np.isnan(filled[8:16]).all()
    np.testing.assert_array_equal(filled[:8], run.values(0)[0]["logits"])
    assert (reader["text"].filled()[8:16] == "").all()
    assert reader["text"].masked()[9] is np.ma.masked
    np.testing.assert_array_equal(reader.valid[:], valid)
    assert reader.valid[7] == 2


def test_valid_of_a_quarantined_chunk(small):
    small.commit(0, quarantined=0)
    small.fail(1, ChunkState.QUARANTINED)
    small.fail(2, ChunkState.FAILED)
    reader = small.reader()
    with watched() as log:
        np.testing.assert_array_equal(reader.valid[:], [1] * 8 + [2] * 8 + [0] * 5)
    assert not any("/c." in key for _, key in log.operations), "the ledger says it all"


def test_a_live_run_is_followed(run):
    reader = run.reader()
    with pytest.raises(NotYetPredicted):
        reader["label"][0]
    for chunk in range(3):
        run.commit(chunk)
        start = chunk * 8
        np.testing.assert_array_equal(
            reader["label"][start : start + 8], run.values(chunk)[0]["label"]
        )
    assert reader.refresh() is False
    assert (reader.states == ChunkState.DONE).all()


def test_a_retry_takes_a_chunk_away_and_brings_it_back(run):
    run.commit(0, 1, 2)
    reader = run.reader()
    old = reader["label"][:8]
    run.append(Intent((0,), 2, retry=True))
    reader.refresh()
    with pytest.raises(NotYetPredicted, match="no predictions"):
        reader["label"][:8]
    run.append(ChunkRestored((0,)))
    np.testing.assert_array_equal(reader["label"][:8], old)
    run.append(Intent((0,), 3, retry=True))
    run.append(run.put(0, seed=1))
    np.testing.assert_array_equal(reader["label"][:8], old, "was committed, and is remembered")
    assert reader.refresh()
    np.testing.assert_array_equal(reader["label"][:8], run.values(0, seed=1)[0]["label"])


def test_a_chunk_replaced_behind_an_old_snapshot_is_read_anew(run):
    run.commit(0, 1, 2)
    reader = run.reader()
    run.append(Intent((0,), 2, retry=True))
    record = run.put(0, seed=1)
    with pytest.raises(NotYetPredicted):
        reader["logits"][:8]
    again = run.reader()
    run.append(record)
    np.testing.assert_array_equal(again["logits"][:8], run.values(0, seed=1)[0]["logits"])


def test_a_chunk_replaced_while_it_is_read_is_never_mixed(run):
    """The bytes change after the reader looked at the ledger and before it reads them."""
    run.commit(0, 1, 2)
    reader = run.reader()
    reader.refresh()
    run.append(Intent((0,), 2, retry=True))
    run.append(run.put(0, seed=1))
    np.testing.assert_array_equal(reader["logits"][:8], run.values(0, seed=1)[0]["logits"])


def test_bytes_that_were_not_recorded_are_refused(run):
    """A store of the same plan and size whose chunk is another run's."""
    run.commit(0, 1, 2)
    run.writer.write(run.plan.chunk(1), *run.values(1, seed=5))
    reader = run.reader()
    with pytest.raises(StoreError) as caught:
        reader["logits"][8:16]
    facts = dict(caught.value.facts)
    assert facts["chunk"] == "1"
    assert facts["object"] in run.writer.objects(run.plan.chunk(1))
    assert facts["recorded"] != facts["found"]
    np.testing.assert_array_equal(reader["logits"][:8], run.values(0)[0]["logits"])


def test_every_flipped_byte_is_refused(small):
    small.commit(0, 1, 2)
    key = "logits/c.1.0"
    stored = small.objects.get(key)
    for at in range(len(stored)):
        flipped = bytearray(stored)
        flipped[at] ^= 1 << (at % 8)
        small.objects.put(key, bytes(flipped))
        with pytest.raises(StoreError, match="logits"):
            small.reader()["logits"][8]
    small.objects.put(key, stored)
    small.reader()["logits"][8]


@pytest.mark.parametrize("damage", ["missing", "empty", "short"])
def test_a_missing_or_short_object_is_refused(run, damage):
    run.commit(0, 1, 2)
    key = run.writer.objects(run.plan.chunk(0))[0]
    if damage == "missing":
        run.objects.delete(key)
    else:
        run.objects.put(key, b"" if damage == "empty" else run.objects.get(key)[:-1])
    name = run.plan.outputs[0].name
    with pytest.raises(StoreError) as caught:
        run.reader()[name][0]
    assert not isinstance(caught.value, NotYetPredicted)
    assert key in str(caught.value)


def test_an_unknown_output_names_the_known_ones(small):
    with pytest.raises(UnknownOutput) as caught:
        small.reader()["logit"]
    assert isinstance(caught.value, KeyError)
    assert "logits, label" in str(caught.value)
    assert "run['logits']" in str(caught.value)
    assert "logit" not in small.reader()


def test_no_rows(objects, make_writer):
    run = RecordedRun(objects, make_plan(SPECS, rows=0), make_writer)
    run.end(RunState.DONE)
    reader = run.reader()
    assert reader["logits"][:].shape == (0, 3)
    assert reader["logits"].masked()[:].shape == (0, 3)
    assert reader.valid[:].shape == (0,)
    assert list(reader.chunks()) == []
    assert run.verify().exit_code == 0


def test_chunks_of_several_parts(objects, make_writer):
    run = RecordedRun(objects, make_plan(SPECS, rows=19, parts=2), make_writer)
    run.commit(0, 1, 2)
    reader = run.reader()
    got = {name: reader[name][:] for name in reader}
    assert_same(SPECS, got, {name: whole(run, name) for name in reader})


def test_xarray_is_lazy_and_equal(run):
    run.commit(0, 1, 2)
    reader = run.reader()
    with watched() as log:
        tree = reader.to_xarray()
    assert not any("part-" in key or "/c." in key for _, key in log.operations)
    assert tree["logits"].dims == ("sample", "klass")
    for spec in SPECS:
        values = tree[f"/{spec.name}"].values
        assert_same([spec], {spec.name: values}, {spec.name: whole(run, spec.name)})
    expected = whole(run, "pixel")
    pixel = tree["pixel"]
    np.testing.assert_array_equal(pixel[3].values, expected[3])
    np.testing.assert_array_equal(pixel[2:15:3, 1].values, expected[2:15:3, 1])
    np.testing.assert_array_equal(pixel[[4, 1], :, [1, 0]].values, expected[[4, 1]][:, :, [1, 0]])
    np.testing.assert_array_equal(tree["valid"].values, reader.valid[:])


def test_xarray_of_an_unfinished_run(small):
    small.commit(0)
    dataset = small.reader().to_xarray()
    with pytest.raises(NotYetPredicted):
        dataset["logits"].load()
    filled = small.reader().to_xarray(["logits"], masked=True).load()
    assert list(filled.data_vars) == ["valid", "logits"]
    assert np.isnan(filled["logits"][8:]).all()
    assert (filled["valid"][8:] == 0).all()


class Racing(LocalObjects):
    """Lets a test do something just before an object is read."""

    before: Callable[[], object] | None = None

    def get(self, key):
        if self.before is not None and "/c." in key:
            action, self.before = self.before, None
            action()
        return super().get(key)


def test_a_retry_in_the_middle_of_a_read(small):
    """Snapshot says done; the bytes are replaced before they are read; then the ledger says so."""
    small.commit(0, 1, 2)
    objects = Racing(small.objects.path)
    reader = RunReader(open_snapshot(objects), small.make_writer(objects))

    def retry():
        small.append(Intent((0,), 2, retry=True))
        small.append(small.put(0, seed=1))

    objects.before = retry
    np.testing.assert_array_equal(reader["logits"][:8], small.values(0, seed=1)[0]["logits"])

    def retry_without_a_record():
        small.append(Intent((0,), 3, retry=True))
        small.put(0, seed=2)

    objects.before = retry_without_a_record
    again = RunReader(open_snapshot(objects), small.make_writer(objects))
    with pytest.raises(NotYetPredicted):
        again["logits"][:8]
