"""Writers, reader and verify on an object store: the same values, the same bytes."""

import numpy as np
import pytest
import xarray
from foretell.builtin.writers.jsonl import JsonlOptions, JsonlWriter
from foretell.builtin.writers.parquet import ParquetOptions, ParquetWriter
from foretell.builtin.writers.zarr import ZarrOptions, ZarrWriter
from foretell.errors import NotYetPredicted, StoreError
from foretell.store.zarr_adapter import ZarrObjects
from foretell.testing.outputs import NUMBERS, TEXT, assert_same
from foretell.testing.recorded import RecordedRun, make_plan
from foretell.types import RunState

pytestmark = pytest.mark.s3

SPECS = (*NUMBERS[:4], *TEXT)
WRITERS = {
    "zarr": lambda objects: ZarrWriter(ZarrOptions(), objects),
    "parquet": lambda objects: ParquetWriter(ParquetOptions(), objects),
    "jsonl": lambda objects: JsonlWriter(JsonlOptions(), objects),
}


@pytest.fixture(params=list(WRITERS))
def make_writer(request):
    return WRITERS[request.param]


def outputs_of(objects):
    return {key: objects.get(key) for key in objects.list() if not key.startswith("_run/")}


def test_a_bucket_holds_what_a_folder_holds(s3, objects, make_writer):
    runs = [RecordedRun(store, make_plan(SPECS), make_writer) for store in (s3, objects)]
    for run in runs:
        run.commit(0, 1)
        with pytest.raises(NotYetPredicted):
            run.reader()["label"][:]
        run.commit(2)
        run.end(RunState.PARTIAL, 3)
    assert outputs_of(s3) == outputs_of(objects)
    remote, local = (run.reader() for run in runs)
    got = {name: remote[name][:] for name in remote}
    assert_same(SPECS, got, {name: local[name][:] for name in local})
    np.testing.assert_array_equal(remote.valid[:], local.valid[:])
    assert runs[0].verify().problems == []


def test_damage_in_a_bucket_is_found(s3, make_writer):
    run = RecordedRun(s3, make_plan(SPECS), make_writer)
    run.commit(0, 1, 2)
    keys = run.writer.objects(run.plan.chunk(1))
    stored = bytearray(s3.get(keys[0]))
    stored[-1] ^= 1
    s3.put(keys[0], bytes(stored))
    assert [(p.kind, p.object) for p in run.verify().problems] == [("crc", keys[0])]
    with pytest.raises(StoreError, match="chunk 1"):
        run.reader()[SPECS[0].name][:]
    s3.delete(keys[0])
    assert [(p.kind, p.chunk) for p in run.verify().problems] == [("missing", 1)]


def test_xarray_reads_a_bucket_through_the_adapter(s3):
    run = RecordedRun(s3, make_plan(SPECS), WRITERS["zarr"])
    run.commit(0, 1, 2)
    dataset = xarray.open_zarr(ZarrObjects(s3, read_only=True))
    reader = run.reader()
    for name in ("logits", "score", "label"):
        np.testing.assert_array_equal(dataset[name].values, reader[name][:])
