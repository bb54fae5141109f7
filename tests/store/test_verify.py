"""Verify finds what is wrong with a store, and nothing where nothing is."""

import json
import os

import numpy as np
import pytest
from foretell.builtin.writers.jsonl import JsonlOptions, JsonlWriter
from foretell.builtin.writers.parquet import ParquetOptions, ParquetWriter
from foretell.builtin.writers.zarr import ZarrOptions, ZarrWriter
from foretell.errors import StorageError, StoreError
from foretell.store.layout import MANIFEST, RUN, segment_key
from foretell.store.objects import set_fault_hook
from foretell.store.report import Problem, Report
from foretell.store.verify import verify
from foretell.testing.recorded import RecordedRun, make_plan
from foretell.types import ChunkState, OutputSpec, Receipt, RunState

SPECS = (OutputSpec("logits", (2,), "float32"), OutputSpec("head/label", (), "str"))
WRITERS = {
    "zarr": lambda objects: ZarrWriter(ZarrOptions(), objects),
    "zarr-crc": lambda objects: ZarrWriter(ZarrOptions(compression=0), objects),
    "parquet": lambda objects: ParquetWriter(ParquetOptions(), objects),
    "jsonl": lambda objects: JsonlWriter(JsonlOptions(), objects),
}


@pytest.fixture(params=list(WRITERS))
def make_writer(request):
    return WRITERS[request.param]


@pytest.fixture
def run(objects, make_writer) -> RecordedRun:
    return RecordedRun(objects, make_plan(SPECS), make_writer)


@pytest.fixture
def zarr_run(objects) -> RecordedRun:
    return RecordedRun(objects, make_plan(SPECS), WRITERS["zarr"])


def found(report: Report) -> set[tuple[str, int | None]]:
    return {(problem.kind, problem.chunk) for problem in report.problems}


def data_keys(run):
    return [key for i in range(3) for key in run.writer.objects(run.plan.chunk(i))]


@pytest.mark.parametrize("deep", [False, True])
def test_a_finished_run_is_clean(run, deep):
    run.commit(0, 1, 2, quarantined=0)
    run.end(RunState.DONE)
    report = run.verify(deep=deep)
    assert report.problems == []
    assert (report.exit_code, report.chunks_damaged) == (0, [])
    assert (report.chunks, report.done, report.objects) == (3, 3, len(data_keys(run)))
    assert report.bytes == sum(len(run.objects.get(key)) for key in data_keys(run))


def test_a_partial_run_is_clean(run):
    run.commit(0)
    run.fail(1, ChunkState.QUARANTINED)
    run.fail(2, ChunkState.FAILED)
    run.end(RunState.PARTIAL, 3)
    assert run.verify().problems == []


def test_a_live_run_is_clean(run):
    run.commit(0)
    run.intend(1)
    assert run.verify().problems == []


def test_every_flipped_byte_of_every_data_object_is_found(run):
    run.commit(0, 1, 2)
    run.end(RunState.PARTIAL, 3)
    snapshot = run.snapshot()
    rng = np.random.default_rng(0)
    flips = 0
    for chunk in range(3):
        for key in run.writer.objects(run.plan.chunk(chunk)):
            stored = run.objects.get(key)
            for at in (
                range(len(stored)) if len(stored) < 100 else rng.integers(len(stored), size=50)
            ):
                flipped = bytearray(stored)
                flipped[at] ^= 1 << int(rng.integers(8))
                run.objects.put(key, bytes(flipped))
                report = verify(snapshot, run.writer)
                assert [(p.kind, p.chunk, p.object) for p in report.problems] == [
                    ("crc", chunk, key)
                ]
                assert (report.exit_code, report.chunks_damaged) == (3, [chunk])
                flips += 1
            run.objects.put(key, stored)
    assert flips > 100
    assert run.verify().problems == []


def test_every_flipped_byte_of_every_document_is_found(run):
    run.commit(0, 1, 2)
    run.end(RunState.PARTIAL, 3)
    snapshot = run.snapshot()
    for key in run.writer.documents():
        stored = run.objects.get(key)
        for at in range(0, len(stored), max(1, len(stored) // 40)):
            flipped = bytearray(stored)
            flipped[at] ^= 4
            run.objects.put(key, bytes(flipped))
            report = verify(snapshot, run.writer)
            assert [(p.kind, p.object) for p in report.damage] == [("document", key)]
            assert report.exit_code == 3
        run.objects.delete(key)
        assert found(verify(snapshot, run.writer)) == {("document", None)}
        run.objects.put(key, stored)


def test_missing_and_short_objects_are_told_apart(run):
    run.commit(0, 1, 2)
    first, last = data_keys(run)[0], data_keys(run)[-1]
    run.objects.delete(first)
    run.objects.put(last, run.objects.get(last)[:-1])
    report = run.verify()
    assert [(p.kind, p.chunk, p.object) for p in report.problems] == [
        ("missing", 0, first),
        ("size", 2, last),
    ]
    assert report.chunks_damaged == [0, 2]


def test_bytes_that_match_the_record_but_do_not_decode_need_a_deep_look(run):
    run.commit(1, 2)
    run.intend(0)
    keys = run.writer.objects(run.plan.chunk(0))
    stored = [run.objects.put(key, b"recorded rubbish") for key in keys]
    run.append(run.done(0, Receipt(tuple(s.size for s in stored), tuple(s.crc for s in stored)), 0))
    assert run.verify(deep=False).problems == []
    report = run.verify(deep=True)
    assert found(report) == {("decode", 0)}
    assert report.exit_code == 3


def test_valid_must_agree_with_the_ledger(run):
    run.commit(0, 1)
    run.intend(2)
    record = run.put(2, quarantined=2)
    run.append(run.done(2, Receipt(record.sizes, record.crcs), quarantined=1))
    assert run.verify(deep=False).problems == []
    report = run.verify(deep=True)
    assert found(report) == {("valid", 2)}
    assert "1 rows quarantined, valid says 2" in report.problems[0].text


def test_a_record_of_fewer_objects_is_found(zarr_run):
    zarr_run.commit(1, 2)
    zarr_run.intend(0)
    record = zarr_run.put(0)
    zarr_run.append(zarr_run.done(0, Receipt(record.sizes[:-1], record.crcs[:-1]), 2))
    assert ("size", 0) in found(zarr_run.verify(deep=False))


def test_orphans_are_reported_and_damage_only_in_a_finished_run(run):
    run.commit(0)
    run.intend(1)
    run.put(1)
    report = run.verify()
    assert found(report) == {("orphan", 1)}
    assert (report.exit_code, report.damage) == (0, [])
    run.fail(1)
    run.fail(2)
    run.end(RunState.PARTIAL, 3)
    assert run.verify().problems == [], "finishing removes half commits"
    if set(run.writer.leftovers(run.plan.chunk(1))) == set(run.writer.objects(run.plan.chunk(1))):
        return
    run.put(1)
    report = run.verify()
    assert found(report) == {("orphan", 1)}
    assert (report.exit_code, report.chunks_damaged) == (3, [])


def test_what_nobody_explains_is_reported(run):
    run.commit(0, 1, 2, quarantined=0)
    run.end(RunState.DONE)
    run.objects.put("notes.txt", b"mine")
    report = run.verify()
    assert [(p.kind, p.object) for p in report.problems] == [("unexplained", "notes.txt")]
    assert report.exit_code == 0


def test_staged_leftovers_of_an_ended_run_are_reported(run):
    run.commit(0, 1, 2, quarantined=0)
    stage = f"{run.objects.path}/{RUN}/stage/e0001-w7"
    os.makedirs(stage)
    with open(f"{stage}/1-1", "wb") as file:
        file.write(b"half")
    assert run.verify().problems == [], "a live writer stages what it is about to put"
    run.end(RunState.DONE)
    report = run.verify()
    assert [(p.kind, p.object) for p in report.problems] == [("staged", "_run/stage/e0001-w7/1-1")]
    assert report.exit_code == 0


def test_the_record_must_not_be_a_zarr_group(zarr_run):
    zarr_run.commit(0, 1, 2)
    zarr_run.objects.put("_run/zarr.json", b"{}")
    assert found(zarr_run.verify()) == {("reserved", None)}


def test_a_damaged_manifest_is_a_broken_record(zarr_run):
    zarr_run.commit(0, 1, 2)
    snapshot = zarr_run.snapshot()
    stored = zarr_run.objects.get(MANIFEST)
    zarr_run.objects.put(MANIFEST, stored.replace(b'"seed"', b'"sead"'))
    report = verify(snapshot, zarr_run.writer)
    assert found(report) == {("manifest", None)}
    assert report.exit_code == 5
    with pytest.raises(StoreError):
        zarr_run.snapshot()


def test_every_damaged_segment_is_a_broken_record(zarr_run):
    zarr_run.commit(0)
    zarr_run.commit(1)
    zarr_run.commit(2)
    snapshot = zarr_run.snapshot()
    last = snapshot.last_segment
    assert last > 4
    for number in range(1, last + 1):
        key = segment_key(number)
        stored = zarr_run.objects.get(key)
        for at in range(0, len(stored), max(1, len(stored) // 10)):
            flipped = bytearray(stored)
            flipped[at] ^= 1
            zarr_run.objects.put(key, bytes(flipped))
            report = verify(snapshot, zarr_run.writer)
            assert report.exit_code == 5, (number, at)
            assert key in {problem.object for problem in report.damage}
        zarr_run.objects.delete(key)
        assert verify(snapshot, zarr_run.writer).exit_code == 5, f"segment {number} is gone"
        zarr_run.objects.put(key, stored)
    assert zarr_run.verify().problems == []


def test_folds_are_checked_against_the_segments(zarr_run):
    zarr_run.commit(0, 1)
    name = zarr_run.ledger.fold(force=True)
    assert name
    zarr_run.commit(2)
    assert zarr_run.verify().problems == []
    page = next(
        key for key in zarr_run.objects.list(f"_run/fold/{name}/state/") if "zarr.json" not in key
    )
    snapshot = zarr_run.snapshot()
    stored = bytearray(zarr_run.objects.get(page))
    stored[len(stored) // 2] ^= 1
    zarr_run.objects.put(page, bytes(stored))
    report = verify(snapshot, zarr_run.writer)
    assert [(p.kind, p.object) for p in report.problems] == [("fold", f"_run/fold/{name}")]
    assert report.exit_code == 3


def test_a_compacted_ledger_is_clean(zarr_run):
    zarr_run.commit(0)
    zarr_run.ledger.fold(force=True)
    zarr_run.commit(1)
    zarr_run.ledger.fold(force=True)
    zarr_run.commit(2)
    with pytest.raises(FileNotFoundError):
        zarr_run.objects.get(segment_key(2))
    assert zarr_run.verify().problems == []
    # The first segment stays: a driver that was stopped since then finds its fence there.
    fence = segment_key(1)
    zarr_run.objects.delete(fence)
    assert [(p.kind, p.object) for p in zarr_run.verify().problems] == [("ledger", fence)]


def test_storage_that_fails_is_not_damage(zarr_run):
    zarr_run.commit(0, 1, 2)
    snapshot = zarr_run.snapshot()

    def broken(operation, key):
        if key.startswith("logits/c"):
            raise OSError(5, "input/output error")

    set_fault_hook(broken)
    with pytest.raises(StorageError):
        verify(snapshot, zarr_run.writer)


def test_nothing_is_changed_by_looking(run):
    run.commit(0, 1)
    run.intend(2)
    run.put(2)
    before = {key: run.objects.get(key) for key in run.objects.list()}
    run.verify()
    assert {key: run.objects.get(key) for key in run.objects.list()} == before


def test_progress_is_told(run):
    run.commit(0, 1, 2)
    told = []
    verify(run.snapshot(), run.writer, progress=lambda done, of: told.append((done, of)))
    assert told == [(0, 3), (3, 3)]


def test_a_report_is_plain_data():
    report = Report("x", True, 9, 8, 7, 6, [Problem("crc", "text", "a/c.0", 4)])
    data = json.loads(json.dumps(report.to_json()))
    assert data["schema"] == "foretell-verify"
    assert (data["exit_code"], data["chunks_damaged"]) == (3, [4])
    assert data["problems"][0]["object"] == "a/c.0"
