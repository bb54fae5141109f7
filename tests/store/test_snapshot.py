"""Viewers: they never list, keep the last good head, and believe only the ledger that it ended."""

import pytest
from foretell.errors import NotARun, StoreError
from foretell.store.head import (
    MAX_BYTES,
    Head,
    HeadWriter,
    Rates,
    Totals,
    encode_head,
    parse_head,
    read_head,
)
from foretell.store.layout import HEAD, MANIFEST
from foretell.store.manifest import new_manifest, read_manifest, write_manifest
from foretell.store.objects import set_fault_hook
from foretell.store.records import ChunkDone, Intent, SessionEnded
from foretell.store.snapshot import open_snapshot
from foretell.store.takeover import claim
from foretell.types import ChunkState, RunState
from hypothesis import given
from hypothesis import strategies as st
from ledger_model import FakeTime, driver, head_of, plan_json

HEADS = st.builds(
    Head,
    state=st.sampled_from([state.value for state in RunState]),
    sequence=st.integers(0, 2**40),
    interval=st.floats(0.1, 10),
    time=st.floats(0, 2e9),
    epoch=st.integers(1, 1000),
    host=st.text(max_size=20),
    boot_id=st.text(max_size=20),
    pid=st.integers(1, 2**22),
    pid_started=st.floats(0, 2e9),
    session_started=st.floats(0, 2e9),
    totals=st.builds(Totals, chunks=st.integers(0, 10**9), done=st.integers(0, 10**9)),
    rates=st.builds(Rates, rows_per_second=st.none() | st.floats(0, 1e9)),
    failure_kinds=st.dictionaries(st.text(max_size=8), st.integers(0, 99), max_size=4),
    message=st.text(max_size=50),
    exit_code=st.none() | st.integers(0, 255),
    walltime_ends=st.none() | st.floats(0, 2e9),
)


def done(chunk):
    return ChunkDone(chunk, 1, 1e9, 5, 0, 0, (10,), (2,))


@pytest.fixture
def run(objects, new_run):
    return new_run(objects, 9)


@pytest.fixture
def writer(objects, run):
    return claim(objects, run, clock=FakeTime().clock, me=driver(1))


def beat(objects, writer, **changes):
    from dataclasses import replace

    return HeadWriter(objects).write(replace(head_of(writer.session, writer), **changes))


# --- heads ------------------------------------------------------------------------------------


@given(HEADS)
def test_heads_come_back(head):
    assert parse_head(encode_head(head)) == head


def test_a_head_torn_or_flipped_anywhere_is_no_head(objects, writer):
    data = encode_head(beat(objects, writer, state="done", exit_code=0))
    assert parse_head(data) is not None
    for length in range(len(data)):
        assert parse_head(data[:length]) is None
    for position in range(len(data)):
        flipped = bytes([data[position] ^ 1])
        assert parse_head(data[:position] + flipped + data[position + 1 :]) is None


def test_a_newer_head_is_read_as_far_as_it_is_known(objects, writer):
    import json

    from foretell.store.sealed import seal, unseal

    values, _ = unseal(encode_head(beat(objects, writer)))
    values["version"] = 9
    values["totals"]["later"] = 1
    values["weather"] = "fine"
    newer = parse_head(seal(values))
    assert newer is not None
    assert newer.epoch == 1
    assert json.loads(seal(values))["weather"] == "fine"


def test_a_head_stays_small(objects, writer):
    long = "x" * 100_000
    head = beat(
        objects,
        writer,
        message=long,
        reason=long,
        failure_kinds={f"{long}{number}": number for number in range(50)},
        extra={"more": long},
    )
    assert len(objects.get(HEAD)) <= MAX_BYTES
    again = read_head(objects)
    assert again is not None
    assert again.sequence == head.sequence


def test_the_heartbeat_counts_on_over_sessions(objects, writer):
    assert read_head(objects) is None
    assert [beat(objects, writer).sequence for _ in range(3)] == [1, 2, 3]


# --- snapshots --------------------------------------------------------------------------------


def test_no_run_here(objects):
    with pytest.raises(NotARun) as caught:
        open_snapshot(objects)
    assert caught.value.exit_code == 5


def test_a_viewer_follows_without_listing(objects, run, writer):
    beat(objects, writer)
    snapshot = open_snapshot(objects)
    assert snapshot.state == RunState.RUNNING
    operations: list[tuple[str, str]] = []
    set_fault_hook(lambda operation, key: operations.append((operation, key)))
    writer.append([Intent((0, 1, 2), 1)])
    writer.append([done(0), done(1)])
    beat(objects, writer)
    operations.clear()
    assert snapshot.refresh() is True
    # The head, two new segments, and the look whether there is a third.
    assert [operation for operation, _ in operations] == ["get"] * 4
    assert snapshot.table.counts()[ChunkState.DONE] == 2
    operations.clear()
    assert snapshot.refresh() is False
    assert len(operations) == 2
    writer.append([SessionEnded("done", 0, 1.0)])
    assert snapshot.refresh() is True
    assert (snapshot.state, snapshot.exit_code) == (RunState.DONE, 0)


def test_opening_does_not_list_when_there_is_a_head(objects, run, writer):
    for chunk in range(5):
        writer.append([done(chunk)])
    writer.fold(force=True)
    writer.append([done(5)])
    beat(objects, writer)
    operations: list[str] = []
    set_fault_hook(lambda operation, key: operations.append(operation))
    snapshot = open_snapshot(objects)
    assert "list" not in operations
    assert snapshot.table.counts()[ChunkState.DONE] == 6


def test_a_torn_head_never_says_done(objects, run, writer):
    """At every length: what is shown is the ledger's truth, or the last good head's."""
    beat(objects, writer)
    snapshot = open_snapshot(objects)
    whole = encode_head(beat(objects, writer, state="done", exit_code=0))
    for length in range(len(whole) + 1):
        objects.put(HEAD, whole[:length], leased=False)
        for viewer in (snapshot, open_snapshot(objects)):
            viewer.refresh()
            assert viewer.state != RunState.DONE
            assert viewer.exit_code is None
    assert snapshot.head is not None


def test_the_last_word_of_a_fenced_driver_is_ignored(objects, run, writer):
    old = head_of(writer.session, writer)
    following = claim(objects, run, clock=FakeTime().clock, me=driver(2))
    beat(objects, following)
    snapshot = open_snapshot(objects)
    objects.put(HEAD, encode_head(old), leased=False)
    snapshot.refresh()
    assert snapshot.head is not None
    assert snapshot.head.epoch == 2
    # One that opens only now sees that this head is not of the newest session.
    assert open_snapshot(objects).state == RunState.STARTING


def test_a_viewer_left_behind_by_compaction_catches_up(objects, run, writer):
    beat(objects, writer)
    snapshot = open_snapshot(objects)
    for chunk in range(6):
        writer.append([done(chunk)])
        writer.fold(force=True)
    beat(objects, writer)
    assert snapshot.refresh() is True
    assert snapshot.table.counts()[ChunkState.DONE] == 6


def test_states_of_a_run(objects, run):
    assert open_snapshot(objects).state == RunState.PLANNED
    writer = claim(objects, run, clock=FakeTime().clock, me=driver(1))
    assert open_snapshot(objects).state == RunState.STARTING
    beat(objects, writer, state="paused")
    assert open_snapshot(objects).state == RunState.PAUSED


def test_totals_add_up(objects, run):
    writer = claim(objects, run, clock=FakeTime().clock, me=driver(1))
    last = ChunkDone(8, 1, 1e9, 5, 0, 1, (10, 20), (1, 2), nan=2)
    writer.append([done(0), last, Intent((3,), 1)])
    totals = writer.table.totals(n_rows=87, chunk_rows=10)
    assert totals.chunks == 9
    assert (totals.done, totals.running, totals.pending) == (2, 1, 6)
    assert totals.rows_done == 10 + 7 - 1
    assert (totals.rows_quarantined, totals.rows_nan) == (1, 2)
    assert totals.bytes_written == 40


# --- manifests --------------------------------------------------------------------------------


def test_a_manifest_is_written_once(objects):
    manifest = new_manifest(
        job={"source": {"path": "x"}, "predictor": {"options": {"api_key": "abc"}}},
        fingerprint={"source": "1"},
        plan=plan_json(3, n_rows=25),
        versions={"numpy": "2"},
        created=5.0,
        base_dir="/data",
    )
    assert write_manifest(objects, manifest) is True
    again = read_manifest(objects)
    assert again == manifest
    assert again.n_chunks == 3
    assert again.job["predictor"]["options"]["api_key"] == "***"
    assert (
        write_manifest(objects, new_manifest(job={}, fingerprint={}, plan={}, versions={})) is False
    )
    assert read_manifest(objects) == manifest


def test_every_change_of_a_manifest_that_means_something_is_found(objects, run):
    import json

    data = objects.get(MANIFEST)
    for position in range(len(data)):
        broken = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        try:
            same = json.loads(broken) == json.loads(data)
        except ValueError:
            same = False
        if same:
            continue
        objects.put(MANIFEST, broken, leased=False)
        with pytest.raises(StoreError) as caught:
            read_manifest(objects)
        assert caught.value.slug == "store-manifest"
