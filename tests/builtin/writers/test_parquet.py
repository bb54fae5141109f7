"""The Parquet writer, as pyarrow and pandas see what it stores."""

import json
import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from foretell.builtin.writers import json_text
from foretell.builtin.writers.parquet import ParquetOptions, ParquetWriter
from foretell.errors import OutputError, StoreError
from foretell.testing.outputs import NUMBERS, RAGGED, TEXT
from foretell.testing.recorded import RecordedRun, make_plan
from foretell.types import OutputSpec, RunState

SPECS = (*NUMBERS, *TEXT, *RAGGED)


def make_writer(objects):
    return ParquetWriter(ParquetOptions(), objects)


@pytest.fixture
def run(objects):
    run = RecordedRun(objects, make_plan(SPECS), make_writer)
    run.commit(0, 1)
    run.end(RunState.PARTIAL, 3)
    return run


def column(run, name):
    return np.concatenate([run.values(chunk)[0][name] for chunk in (0, 1)])


def test_pandas_reads_the_folder(run):
    frame = pd.read_parquet(run.objects.path, dtype_backend="pyarrow")
    assert list(frame.columns) == ["row", "valid", *(spec.name for spec in SPECS)]
    assert frame["row"].tolist() == list(range(21))
    assert frame["valid"].tolist() == ([1] * 6 + [2] * 2) * 2 + [0] * 5
    predicted = frame["valid"] == 1
    for name in ("score", "label", "flag", "text", "head/deep/value"):
        expected = column(run, name)[predicted[:16]]
        assert repr(frame[name][predicted].tolist()) == repr(expected.tolist()), name
        assert frame[name][~predicted].isna().all()
    np.testing.assert_array_equal(
        np.stack(frame["logits"][predicted]), column(run, "logits")[predicted[:16]]
    )


def test_null_is_not_nan(run):
    table = ds.dataset(run.objects.path, format="parquet").to_table()
    score, valid = table["score"], table["valid"].to_numpy()
    np.testing.assert_array_equal(score.is_valid().to_numpy(), valid == 1)
    found = score.to_pylist()
    assert found[0] != found[0], "the first prediction is a NaN"
    assert found[7] is None


def test_types_say_what_the_outputs_are(run):
    schema = ds.dataset(run.objects.path, format="parquet").schema
    assert schema.field("row").type == pa.int64()
    assert schema.field("valid").type == pa.uint8()
    assert schema.field("logits").type == pa.list_(pa.float32(), 3)
    assert schema.field("pixel").type == pa.list_(pa.list_(pa.uint8(), 2), 2)
    assert schema.field("half").type == pa.list_(pa.float16(), 2)
    assert schema.field("wave").type == pa.list_(pa.list_(pa.float32(), 2), 2)
    assert schema.field("flag").type == pa.bool_()
    assert schema.field("logits").metadata[b"foretell.dims"] == b'["klass"]'
    assert schema.field("boxes").metadata == {b"foretell.dtype": b"json"}


def test_ragged_values_are_json_text(run):
    found = ds.dataset(run.objects.path, format="parquet").to_table()["boxes"].to_pylist()
    expected = column(run, "boxes")
    for row in range(6):
        assert repr(json_text.unpack(json.loads(found[row]))) == repr(expected[row])
    assert found[6] is None


def test_every_part_has_the_same_schema(run):
    parts = sorted(key for key in run.objects.list() if key.endswith(".parquet"))
    assert parts == ["part-000000.parquet", "part-000001.parquet", "part-000002.parquet"]
    schemas = [pq.read_schema(os.path.join(run.objects.path, key)) for key in parts]
    assert all(schema.equals(schemas[0], check_metadata=True) for schema in schemas)


def test_pages_are_checksummed(run):
    meta = pq.read_metadata(os.path.join(run.objects.path, "part-000000.parquet"))
    assert meta.num_rows == 8
    key = "part-000000.parquet"
    stored = bytearray(run.objects.get(key))
    stored[len(stored) // 4] ^= 8
    run.objects.put(key, bytes(stored))
    with pytest.raises(StoreError, match=key):
        run.new_writer().read(run.plan.chunk(0))


def test_a_flipped_byte_is_never_another_value(objects):
    """Uncompressed, so that only the checksum of the page stands in the way."""
    spec = OutputSpec("x", (), "float64")
    plan = make_plan([spec], rows=64, chunk_rows=64).writer_plan()
    writer = ParquetWriter(ParquetOptions(compression=0), objects)
    writer.create(plan)
    writer.open(plan)
    values = np.arange(64.0)
    writer.write(plan.chunk(0), {"x": values}, np.ones(64, np.uint8))
    stored = objects.get("part-000000.parquet")
    refused = 0
    for at in range(4, len(stored), 5):
        flipped = bytearray(stored)
        flipped[at] ^= 2
        objects.put("part-000000.parquet", bytes(flipped))
        try:
            arrays, valid = writer.read(plan.chunk(0))
        except StoreError:
            refused += 1
            continue
        np.testing.assert_array_equal(arrays["x"], values)
        assert valid.all()
    assert refused > len(values) * 8 / 5


def test_rows_keep_their_global_index(objects):
    plan = replace(make_plan(SPECS[:2]), row_offset=1000)
    run = RecordedRun(objects, plan, make_writer)
    run.commit(0, 1, 2)
    rows = ds.dataset(objects.path, format="parquet").to_table()["row"].to_pylist()
    assert rows == list(range(1000, 1021))


def test_a_part_that_holds_other_rows_is_refused(run):
    run.objects.put("part-000000.parquet", run.objects.get("part-000001.parquet"))
    with pytest.raises(StoreError, match="other rows than its name says"):
        run.new_writer().read(run.plan.chunk(0))


def test_the_description_says_whether_it_is_complete(objects):
    run = RecordedRun(objects, make_plan(SPECS[:2]), make_writer)
    run.commit(0, 1, 2, quarantined=0)

    def complete():
        return json.loads(objects.get("_foretell.json"))["foretell"]["complete"]

    assert complete() is False
    run.end(RunState.DONE)
    assert complete() is True


def test_the_name_row_is_taken(objects):
    plan = make_plan([OutputSpec("row", (), "int64")]).writer_plan()
    with pytest.raises(OutputError, match="'row' is reserved"):
        make_writer(objects).check(plan)


def test_what_json_cannot_hold_is_refused_by_name(objects):
    plan = make_plan(RAGGED).writer_plan()
    writer = make_writer(objects)
    writer.create(plan)
    writer.open(plan)
    values = np.empty(8, dtype=object)
    values[3] = {"tags": {1, 2}}
    with pytest.raises(OutputError) as caught:
        writer.write(plan.chunk(0), {"boxes": values}, np.ones(8, np.uint8))
    assert "'boxes'" in caught.value.message
    assert dict(caught.value.facts) == {"row": "3", "got": "set"}


def test_names_with_dots_do_not_confuse_the_columns(objects):
    specs = [OutputSpec("a", (), "int64"), OutputSpec("a.b", (), "int64")]
    run = RecordedRun(objects, make_plan(specs), make_writer)
    run.commit(0, 1, 2)
    reader = run.reader()
    for spec in specs:
        expected = np.concatenate([run.values(i)[0][spec.name] for i in range(3)])
        np.testing.assert_array_equal(reader[spec.name][:], expected)


def test_a_million_chunks_sort_by_name(objects):
    plan = make_plan(SPECS[:1], rows=8 * 1_000_001).writer_plan()
    writer = make_writer(objects)
    writer.open(plan)
    assert writer.objects(plan.chunk(17)) == ["part-0000017.parquet"]
    assert writer.objects(plan.chunk(1_000_000)) == ["part-1000000.parquet"]
