"""Folds: readable by anyone, never half there, and fast to open with a million chunks."""

import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest
from foretell.store import zpages
from foretell.store.fold import complete_folds, read_fold
from foretell.store.layout import fold_key, segment_key
from foretell.store.ledger import FOLD_AT_END_LOCAL
from foretell.store.projection import load
from foretell.store.records import ChunkDone, Intent, SessionEnded, WorkerSeen
from foretell.store.table import COLUMNS, OBJECT_COLUMNS
from foretell.store.takeover import claim
from foretell.types import ChunkState
from ledger_model import FakeTime, driver


def some_done(rng, chunk):
    return ChunkDone(
        chunk=chunk,
        attempt=1,
        started=1e9 + chunk * 0.01,
        milliseconds=rng.randint(1500, 2500),
        worker=rng.randrange(8),
        quarantined=0,
        sizes=(rng.randint(3_000_000, 3_040_000), 90),
        crcs=(rng.getrandbits(32), rng.getrandbits(32)),
    )


@pytest.fixture
def writer_of(objects, new_run):
    def make(n_chunks):
        return claim(objects, new_run(objects, n_chunks), clock=FakeTime().clock, me=driver(1))

    return make


@pytest.mark.parametrize("n_chunks", [1, 9, 65_536, 65_537, 150_000])
def test_a_fold_is_a_set_of_zarr_arrays(objects, writer_of, n_chunks):
    import zarr

    rng = random.Random(0)
    writer = writer_of(n_chunks)
    chunks = sorted({0, n_chunks - 1, *(rng.randrange(n_chunks) for _ in range(500))})
    writer.append([some_done(rng, chunk) for chunk in chunks])
    name = writer.fold(force=True)
    assert name == f"000001-{writer.last_segment:012d}"
    for column, dtype in {**COLUMNS, **OBJECT_COLUMNS}.items():
        array = zarr.open_array(f"{objects.path}/{fold_key(name, column)}", mode="r")
        assert array.dtype == np.dtype(dtype)
        assert array.metadata.to_dict()["dimension_names"][0] == "chunk"  # type: ignore[index]
        np.testing.assert_array_equal(array[:], getattr(writer.table, column))
    again = read_fold(objects, name, n_chunks).table
    for column in (*COLUMNS, *OBJECT_COLUMNS):
        np.testing.assert_array_equal(getattr(again, column), getattr(writer.table, column))


@pytest.mark.parametrize("dtype", sorted(set(COLUMNS.values())))
def test_pages_do_not_survive_a_flipped_bit(dtype):
    column = np.arange(10).astype(dtype)
    page = zpages.encode_page(column, 0)
    np.testing.assert_array_equal(zpages.decode_page(page, dtype, column.shape), column)
    for position in range(len(page)):
        broken = page[:position] + bytes([page[position] ^ 1]) + page[position + 1 :]
        with pytest.raises(ValueError):
            zpages.decode_page(broken, dtype, column.shape)
    with pytest.raises(ValueError):
        zpages.decode_page(page, dtype, (11,))


def test_a_page_that_unpacks_to_too_much_is_refused():
    bomb = zpages.encode_page(np.zeros(60_000, dtype="u8"), 0)
    with pytest.raises(ValueError, match="another size"):
        zpages.decode_page(bomb, "u8", (10,))


def test_compaction_keeps_what_one_damaged_fold_would_need(objects, writer_of):
    writer = writer_of(100)
    folds = []
    for chunk in range(12):
        writer.append([ChunkDone(chunk, 1, 1e9, 5, 0, 0, (1,), (2,))])
        if chunk % 3 == 2:
            folds.append((writer.fold(force=True), writer.last_segment))
    assert complete_folds(objects) == [folds[-1][0], folds[-2][0]]
    assert sorted(os.listdir(f"{objects.path}/_run/fold")) == sorted(complete_folds(objects))
    kept = sorted(objects.list("_run/ledger/"))
    # The first segment is the fence of the only session; the rest is covered once only.
    assert kept == [segment_key(1), *(segment_key(n) for n in range(11, 14))]
    objects.delete(fold_key(folds[-1][0], "state", "c", "0"))
    projection = load(objects, 100)
    assert projection.table.counts()[ChunkState.DONE] == 12
    assert "is missing" in projection.notes[0]


def test_the_ledger_folds_by_itself(objects, writer_of, monkeypatch):
    writer = writer_of(50)
    monkeypatch.setattr(writer, "_fold_every", 10)
    for chunk in range(35):
        writer.append([ChunkDone(chunk, 1, 1e9, 5, 0, 0, (1,), (2,))])
    assert len(complete_folds(objects)) == 2
    assert writer.newest_fold == "000001-000000000030"
    assert load(objects, 50).table.counts()[ChunkState.DONE] == 35


def test_a_long_ledger_is_folded_at_the_end(objects, writer_of):
    writer = writer_of(2000)
    writer.append([ChunkDone(0, 1, 1e9, 5, 0, 0, (1,), (2,))])
    assert writer.fold_at_end() is None
    for chunk in range(1, FOLD_AT_END_LOCAL):
        writer.append([ChunkDone(chunk, 1, 1e9, 5, 0, 0, (1,), (2,))])
    assert writer.fold_at_end() == writer.newest_fold != ""


def test_a_storage_error_in_a_fold_does_not_hurt_the_run(objects, writer_of, monkeypatch):
    from foretell.store.objects import set_fault_hook

    writer = writer_of(50)
    monkeypatch.setattr(writer, "_fold_every", 5)
    failed: list[str] = []

    def hook(operation, key):
        if operation == "create" and "/fold/" in key:
            failed.append(key)
            raise OSError(28, "full")

    set_fault_hook(hook)
    for chunk in range(8):
        writer.append([ChunkDone(chunk, 1, 1e9, 5, 0, 0, (1,), (2,))])
    set_fault_hook(None)
    assert failed
    assert complete_folds(objects) == []
    assert load(objects, 50).table.counts()[ChunkState.DONE] == 8


def test_workers_and_sessions_are_in_the_fold(objects, writer_of):
    writer = writer_of(5)
    writer.append([WorkerSeen(0, "tcp://a", "h", 1, 1.0), Intent((1,), 1)])
    writer.fold(force=True)
    table = load(objects, 5).table
    assert table.workers == writer.table.workers
    assert table.worker_epochs == [1]
    assert table.sessions == writer.table.sessions
    assert (table.intent_epoch, table.loose) == (1, False)
    writer.append([SessionEnded("interrupted", 75, 2.0)])
    writer.fold(force=True)
    assert load(objects, 5).table.ended == SessionEnded("interrupted", 75, 2.0)


# --- scale ------------------------------------------------------------------------------------

_OPEN = """
import json, resource, sys, time
import numpy  # the interpreter and numpy are not what is measured
from foretell.store.local import LocalObjects
start = time.process_time()
from foretell.store.snapshot import open_snapshot
snapshot = open_snapshot(LocalObjects(sys.argv[1]))
seconds = time.process_time() - start
assert "zarr" not in sys.modules
print(json.dumps({
    "seconds": seconds,
    "done": int((snapshot.table.state == 3).sum()),
    "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


def fill(writer, n_chunks, per_flush):
    rng = random.Random(0)
    for start in range(0, n_chunks, per_flush):
        stop = min(start + per_flush, n_chunks)
        flush = [some_done(rng, chunk) for chunk in range(start, stop)]
        following = tuple(range(stop, min(stop + per_flush, n_chunks)))
        writer.append([*flush, *([Intent(following, 1)] if following else [])])


def ledger_bytes(objects):
    return sum(objects.version(key).size for key in objects.list("_run/ledger/"))


def opened(objects):
    result = subprocess.run(
        [sys.executable, "-c", _OPEN, objects.path], capture_output=True, text=True, check=True
    )
    return json.loads(result.stdout)


@pytest.mark.parametrize(("per_flush", "bytes_per_chunk"), [(1000, 24), (100, 30), (10, 64)])
def test_the_ledger_is_small(objects, writer_of, per_flush, bytes_per_chunk):
    """64 MB for a million chunks are 64 bytes each, intents included."""
    n_chunks = 10_000
    fill(writer_of(n_chunks), n_chunks, per_flush)
    assert ledger_bytes(objects) <= bytes_per_chunk * n_chunks


def test_opening_does_not_touch_zarr_and_sees_all(objects, writer_of):
    fill(writer_of(20_000), 20_000, 500)
    figures = opened(objects)
    assert figures["done"] == 20_000


@pytest.mark.slow
@pytest.mark.parametrize("fold", [False, True])
def test_a_million_chunks_open_within_the_figures(objects, writer_of, fold):
    n_chunks = 1_000_000
    writer = writer_of(n_chunks)
    fill(writer, n_chunks, 1000)
    assert ledger_bytes(objects) <= 64e6
    if fold:
        writer.fold(force=True)
    figures = opened(objects)
    assert figures["done"] == n_chunks
    # Seconds of processor, so that a busy machine does not fail it.
    assert figures["seconds"] <= 2.0
    assert figures["megabytes"] <= 400
