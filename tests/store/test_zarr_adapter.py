"""zarr over the objects of a run store."""

import asyncio
import pickle

import google_crc32c
import numpy as np
import pytest
import zarr
from foretell.errors import LeaseLost, StoreError
from foretell.store.local import LocalObjects
from foretell.store.objects import Stored
from foretell.store.zarr_adapter import ZarrObjects, is_data
from foretell.testing.written import LeaseFor
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.buffer.cpu import Buffer

PROTOTYPE = default_buffer_prototype()


def collect(found):
    async def run():
        return sorted([item async for item in found])

    return asyncio.run(run())


def fetch(store, key, byte_range=None):
    found = asyncio.run(store.get(key, PROTOTYPE, byte_range))
    return None if found is None else found.to_bytes()


@pytest.fixture
def store(objects):
    for key in ("zarr.json", "a/zarr.json", "a/c.0", "a/c.1", "b/x/c.0", "_run/head.json"):
        objects.put(key, b"0123456789")
    return ZarrObjects(objects)


def test_gets_whole_objects_and_ranges(store):
    assert fetch(store, "a/c.0") == b"0123456789"
    assert fetch(store, "a/c.0", RangeByteRequest(2, 5)) == b"234"
    assert fetch(store, "a/c.0", OffsetByteRequest(7)) == b"789"
    assert fetch(store, "a/c.0", SuffixByteRequest(3)) == b"789"
    assert fetch(store, "a/c.9") is None
    wanted = [("a/c.0", RangeByteRequest(0, 1)), ("a/c.9", None), ("a/c.1", None)]
    found = asyncio.run(store.get_partial_values(PROTOTYPE, wanted))
    assert [None if item is None else item.to_bytes() for item in found] == [
        b"0",
        None,
        b"0123456789",
    ]


def test_sets_and_deletes(objects, store):
    asyncio.run(store.set("a/c.2", Buffer.from_bytes(b"new")))
    assert objects.get("a/c.2") == b"new"
    assert objects.taken("a/c.2") == Stored(3, google_crc32c.value(b"new"))
    asyncio.run(store.set_if_not_exists("a/c.2", Buffer.from_bytes(b"other")))
    assert objects.get("a/c.2") == b"new"
    assert asyncio.run(store.exists("a/c.2"))
    assert asyncio.run(store.getsize("a/c.2")) == 3
    asyncio.run(store.delete("a/c.2"))
    assert not asyncio.run(store.exists("a/c.2"))
    asyncio.run(store.delete("a/c.2"))


def test_lists_everything_but_the_record(store):
    everything = ["a/c.0", "a/c.1", "a/zarr.json", "b/x/c.0", "zarr.json"]
    assert collect(store.list()) == everything
    assert collect(store.list_prefix("a/")) == ["a/c.0", "a/c.1", "a/zarr.json"]
    assert collect(store.list_dir("")) == ["a", "b", "zarr.json"]
    assert collect(store.list_dir("a")) == ["c.0", "c.1", "zarr.json"]
    assert collect(store.list_dir("b/")) == ["x"]


def test_data_is_leased_and_documents_are_not(tmp_path):
    lease = LeaseFor(0)
    objects = LocalObjects(str(tmp_path / "leased"), lease=lease)
    objects.ensure_root()
    store = ZarrObjects(objects)
    asyncio.run(store.set("a/zarr.json", Buffer.from_bytes(b"{}")))
    with pytest.raises(LeaseLost):
        asyncio.run(store.set("a/c.0", Buffer.from_bytes(b"data")))
    assert fetch(store, "a/c.0") is None
    assert is_data("a/c.0")
    assert not is_data("zarr.json")


def test_a_required_object_is_never_taken_for_fill_values(objects, store):
    required = ZarrObjects(objects, read_only=True, required=True)
    objects.put("a/c.1", b"")
    for key in ("a/c.9", "a/c.1"):
        with pytest.raises(StoreError, match=key):
            fetch(required, key)
    with pytest.raises(StoreError):
        fetch(required, "a/c.1", SuffixByteRequest(4))
    assert fetch(required, "nothing/zarr.json") is None
    assert fetch(store, "a/c.1") == b""


def test_read_only_refuses_every_change(objects, store):
    frozen = store.with_read_only(True)
    assert frozen.read_only
    assert not store.read_only
    value = Buffer.from_bytes(b"x")
    for change in (
        lambda: frozen.set("a/c.0", value),
        lambda: frozen.set_if_not_exists("a/c.5", value),
        lambda: frozen.delete("a/c.0"),
        lambda: frozen.delete_dir("a"),
    ):
        with pytest.raises(ValueError, match="read-only"):
            asyncio.run(change())
    assert objects.get("a/c.0") == b"0123456789"


def test_a_key_cannot_leave_the_store(store):
    for key in ("../x", "a/../../x", "/etc/passwd"):
        with pytest.raises(StoreError):
            fetch(store, key)


def test_equality_and_pickling(objects, store):
    assert store == ZarrObjects(objects)
    assert hash(store) == hash(ZarrObjects(objects))
    assert store != ZarrObjects(objects, required=True)
    assert store != store.with_read_only(True)
    assert store != object()
    copy = pickle.loads(pickle.dumps(store))
    assert copy.read_only, "the lease to write does not travel"
    assert copy == store.with_read_only(True)
    assert fetch(copy, "a/c.0") == b"0123456789"


def test_zarr_itself_works_on_it(objects):
    group = zarr.create_group(ZarrObjects(objects), zarr_format=3)
    array = group.create_array(
        "deep/x", shape=(10, 3), chunks=(2, 3), shards=(4, 3), dtype="float32", fill_value=0
    )
    values = np.arange(30, dtype="float32").reshape(10, 3)
    array[:] = values
    found = zarr.open_group(ZarrObjects(objects), mode="r", zarr_format=3)
    deep = found["deep/x"]
    assert isinstance(deep, zarr.Array)
    np.testing.assert_array_equal(deep[:], values)
    assert sorted(key for key, _ in found.members(max_depth=None)) == ["deep", "deep/x"]
    np.testing.assert_array_equal(zarr.open_array(objects.path + "/deep/x")[:], values)
