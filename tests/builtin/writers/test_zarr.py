"""The Zarr writer: what it stores, as other people's readers see it."""

import json
import os

import numpy as np
import pytest
import tensorstore
import xarray
import zarr
from foretell.abc.writer import WriterPlan
from foretell.builtin.writers.zarr import ZarrOptions, ZarrWriter
from foretell.builtin.writers.zarr_layout import inner_rows
from foretell.errors import OutputError, StoreError
from foretell.rows import empty
from foretell.testing.crash import watched
from foretell.testing.outputs import NUMBERS, TEXT, assert_same, sample
from foretell.testing.recorded import RecordedRun, make_plan
from foretell.types import OutputSpec, RunState
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

SPECS = (*NUMBERS, *TEXT)


def make_writer(objects, **options):
    return ZarrWriter(ZarrOptions(**options), objects)


@pytest.fixture(params=[1, 0, 2], ids=["zstd", "crc-only", "parts"])
def run(objects, request):
    parts = max(1, request.param)
    level = min(1, request.param)
    plan = make_plan(SPECS, parts=parts)
    run = RecordedRun(objects, plan, lambda o: make_writer(o, compression=level))
    run.commit(0, 1, 2, quarantined=0)
    return run


def stored_values(run):
    return {
        spec.name: np.concatenate([run.values(i, quarantined=0)[0][spec.name] for i in range(3)])
        for spec in run.plan.outputs
    }


def as_objects(values):
    return values.astype(object) if values.dtype.kind in "TU" else values


# --- other readers ----------------------------------------------------------------------------


def test_zarr_reads_the_same_values(run):
    def read(name):
        return zarr.open_array(run.objects.path, path=name, mode="r")[:]

    got = {spec.name: as_objects(read(spec.name)) for spec in SPECS}
    assert_same(SPECS, got, stored_values(run))
    np.testing.assert_array_equal(read("valid"), np.ones(21, np.uint8))


def test_xarray_reads_what_our_reader_reads(run):
    run.end(RunState.DONE)
    reader = run.reader()
    dataset = xarray.open_zarr(run.objects.path)
    flat = [spec for spec in SPECS if "/" not in spec.name]
    assert set(dataset.data_vars) == {spec.name for spec in flat} | {"valid"}
    got = {spec.name: as_objects(dataset[spec.name].values) for spec in flat}
    assert_same(flat, got, {spec.name: reader[spec.name][:] for spec in flat})
    assert dataset["logits"].dims == ("sample", "klass")
    assert dataset["pixel"].dims == ("sample", "pixel_dim_0", "pixel_dim_1")
    tree = xarray.open_datatree(run.objects.path, engine="zarr")
    assert tree.groups == ("/", "/head", "/head/deep")
    got = {spec.name: as_objects(tree[f"/{spec.name}"].values) for spec in SPECS}
    assert_same(SPECS, got, stored_values(run))
    assert tree["/head/mask"].dims == ("sample", "head_mask_dim_0")


def test_tensorstore_reads_numbers_and_booleans(run):
    expected = stored_values(run)
    for spec in [*NUMBERS, OutputSpec("valid", (), "uint8")]:
        path = os.path.join(run.objects.path, spec.name)
        array = tensorstore.open({"driver": "zarr3", "kvstore": f"file://{path}"}).result()
        values = np.asarray(array.read().result())
        if spec.name == "valid":
            np.testing.assert_array_equal(values, np.ones(21, np.uint8), strict=True)
        else:
            assert_same([spec], {spec.name: values}, expected)
        assert array.domain.labels[0] == "sample"


def test_a_live_store_opens_without_a_warning(objects):
    run = RecordedRun(objects, make_plan(SPECS), make_writer)
    run.commit(0, quarantined=0)
    assert os.path.isdir(os.path.join(objects.path, "_run"))
    dataset = xarray.open_zarr(objects.path)
    assert dataset.attrs["foretell"]["complete"] is False
    np.testing.assert_array_equal(dataset["valid"].values, [1] * 8 + [0] * 13)
    assert np.isnan(dataset["logits"].values[8:]).all()
    assert xarray.open_datatree(objects.path, engine="zarr").groups[-1] == "/head/deep"
    assert [name for name, _ in zarr.open_group(objects.path, mode="r").members()]


def test_complete_is_said_at_the_end_alone(objects):
    run = RecordedRun(objects, make_plan(SPECS), make_writer)

    def complete():
        return xarray.open_zarr(objects.path).attrs["foretell"]["complete"]

    run.commit(0, 1, 2, quarantined=0)
    assert complete() is False
    run.writer.finalize(False, {})
    assert complete() is False
    run.writer.finalize(True, {})
    assert complete() is True
    run.writer.finalize(False, {})
    assert complete() is False


def test_rows_without_a_prediction_are_fill_values_for_everyone(objects):
    run = RecordedRun(objects, make_plan(SPECS), make_writer)
    run.commit(0)
    run.intend(1)
    run.put(1)
    run.end(RunState.PARTIAL, 3)
    dataset = xarray.open_zarr(objects.path)
    np.testing.assert_array_equal(dataset["valid"].values, [1] * 6 + [2] * 2 + [0] * 13)
    gone = dataset["valid"].values != 1
    assert np.isnan(dataset["logits"].values[gone]).all()
    assert (dataset["label"].values[gone] == 0).all()
    assert not dataset["flag"].values[gone].any()
    assert (as_objects(dataset["text"].values)[gone] == "").all()
    assert np.isnan(dataset["wave"].values[gone]).all()


# --- what is stored ---------------------------------------------------------------------------


def test_a_chunk_is_one_object_an_array(objects):
    run = RecordedRun(objects, make_plan(SPECS), make_writer)
    run.commit(0, 1, 2)
    keys = [key for key in objects.list() if not key.startswith("_run/")]
    data = [key for key in keys if not key.endswith("zarr.json")]
    assert len(data) == 3 * (len(SPECS) + 1)
    assert all(key.rpartition("/")[2].startswith("c.") for key in data)


def test_valid_is_put_last(objects):
    """Whoever finds it in a live store finds the values it speaks of."""
    run = RecordedRun(objects, make_plan(SPECS, parts=2), make_writer)
    with watched() as log:
        run.put(0)
    puts = [key for operation, key in log.operations if operation == "put-done"]
    assert puts == list(run.writer.objects(run.plan.chunk(0)))
    assert [key.startswith("valid/") for key in puts] == ([False] * len(SPECS) + [True]) * 2


def test_a_large_chunk_is_a_shard_of_inner_chunks(objects):
    spec = OutputSpec("logits", (1024,), "float32")
    run = RecordedRun(objects, make_plan([spec], rows=2500, chunk_rows=1024), make_writer)
    run.commit(0, 1, 2, quarantined=0)
    array = zarr.open_array(objects.path + "/logits", mode="r")
    assert (array.shards, array.chunks) == ((1024, 1024), (256, 1024))
    np.testing.assert_array_equal(array[:], stored_values(run)["logits"])
    assert objects.version("logits/c.2.0").size < objects.version("logits/c.0.0").size / 2
    assert run.verify().problems == []


def test_nothing_but_zeros_leaves_objects(objects):
    specs = (OutputSpec("label", (), "int64"), OutputSpec("flag", (), "bool"))
    plan = WriterPlan(8, 8, 4, specs)
    writer = make_writer(objects)
    writer.create(plan)
    writer.open(plan)
    chunk = plan.chunk(0)
    writer.write(chunk, empty(specs, 8), np.zeros(8, np.uint8))
    assert all(objects.version(key).size > 0 for key in writer.objects(chunk))


def test_attributes_hold_no_time_and_no_id(objects):
    outputs = (OutputSpec("label", (), "int64", attrs={"class_names": ["a", "b"]}),)
    plan = WriterPlan(8, 8, 4, outputs, attrs={"model": "net"}, row_offset=40)
    make_writer(objects).create(plan)
    root = json.loads(objects.get("zarr.json"))
    assert root["attributes"] == {
        "foretell": {
            "model": "net",
            "format": 1,
            "complete": False,
            "rows": 8,
            "row_offset": 40,
            "chunk_rows": 8,
        }
    }
    assert zarr.open_array(objects.path + "/label").attrs["class_names"] == ["a", "b"]
    assert set(root["consolidated_metadata"]["metadata"]) == {"label", "valid"}


def test_flipped_bits_do_not_decode_even_without_the_ledger(objects):
    for level in (0, 1):
        run_objects = type(objects)(f"{objects.path}-{level}")
        run_objects.ensure_root()
        spec = OutputSpec("x", (), "float64")
        plan = WriterPlan(64, 64, 8, (spec,))
        writer = make_writer(run_objects, compression=level)
        writer.create(plan)
        writer.open(plan)
        writer.write(plan.chunk(0), sample([spec], 64), np.ones(64, np.uint8))
        stored = run_objects.get("x/c.0")
        for at in range(16, len(stored), 7):
            flipped = bytearray(stored)
            flipped[at] ^= 16
            run_objects.put("x/c.0", bytes(flipped))
            with pytest.raises(StoreError, match=r"x/c\.0"):
                writer.read(plan.chunk(0))


@given(
    st.integers(1, 64).flatmap(lambda b: st.tuples(st.just(b), st.integers(1, 64))),
    st.integers(1, 2**21),
)
def test_inner_chunks_divide_the_shard_and_are_aligned_to_batches(sizes, row_bytes):
    batch, batches = sizes
    rows = inner_rows(batch * batches, batch, row_bytes)
    assert (batch * batches) % rows == 0
    assert rows % batch == 0 or batch % rows == 0
    assert 1 <= rows <= batch * batches


def test_inner_chunks_are_near_a_megabyte():
    assert inner_rows(4096, 256, 4096) == 256
    assert inner_rows(4096, 256, 1) == 4096
    assert inner_rows(4096, 256, 2**20) == 1
    assert inner_rows(6, 4, 2**20) == 1


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("specs", "text"),
    [
        ([OutputSpec("a", (2,), "json")], "another shape in every row"),
        ([OutputSpec("a", (), "float128")], "dtype that cannot be stored"),
        ([OutputSpec("a", (3, 0), "float32")], "holds no values"),
        ([OutputSpec("a/zarr.json", (), "int8")], "reserved by this writer"),
        ([OutputSpec("a", (2,), "int8", dims=("x", "y"))], "2 names for 1 dimensions"),
        ([OutputSpec("a", (2, 2), "int8", dims=("x", "x"))], "a name twice"),
        ([OutputSpec("a", (2,), "int8", dims=("sample",))], "a name twice"),
        ([OutputSpec("a", (2,), "int8", dims=("a",))], "the output's own name"),
        (
            [OutputSpec("a", (2,), "int8", dims=("x",)), OutputSpec("b", (3,), "int8", ("x",))],
            "'x' is 2 long in 'a' and 3 here",
        ),
        (
            [OutputSpec("a", (2,), "int8", dims=("x",)), OutputSpec("g/b", (3,), "int8", ("x",))],
            "'x' is 2 long in 'a' and 3 here",
        ),
    ],
)
def test_what_cannot_be_opened_again_is_refused(objects, specs, text):
    with pytest.raises(OutputError) as caught:
        make_writer(objects).check(WriterPlan(8, 8, 4, tuple(specs)))
    assert text in str(caught.value)
    assert repr(specs[-1].name) in caught.value.message
    assert caught.value.tries


def test_groups_side_by_side_may_use_a_dimension_differently(objects):
    specs = [
        OutputSpec("a/x", (2,), "int8", dims=("k",)),
        OutputSpec("b/x", (3,), "int8", dims=("k",)),
        OutputSpec("x", (4,), "int8"),
    ]
    run = RecordedRun(objects, make_plan(specs), make_writer)
    run.commit(0, 1, 2, quarantined=0)
    tree = xarray.open_datatree(objects.path, engine="zarr")
    np.testing.assert_array_equal(tree["/b/x"].values, stored_values(run)["b/x"])
    assert run.reader().to_xarray()["/a"].sizes["k"] == 2


def test_a_zarr_store_that_is_no_run_is_left_alone(objects):
    zarr.create_group(objects.path, zarr_format=3, attributes={"mine": True})
    before = objects.get("zarr.json")
    with pytest.raises(StoreError, match="not a run"):
        make_writer(objects).create(WriterPlan(8, 8, 4, SPECS))
    assert [*objects.list()] == ["zarr.json"]
    assert objects.get("zarr.json") == before


def test_a_store_of_another_compression_is_not_written_into(objects):
    plan = WriterPlan(8, 8, 4, SPECS[:1])
    make_writer(objects, compression=1).create(plan)
    other = make_writer(objects, compression=3)
    other.open(plan)
    with pytest.raises(StoreError, match="metadata"):
        other.write(plan.chunk(0), sample(SPECS[:1], 8), np.ones(8, np.uint8))


@pytest.mark.parametrize("level", [-1, 23, "high"])
def test_compression_is_a_zstd_level(level):
    with pytest.raises(ValidationError):
        ZarrOptions(compression=level)
