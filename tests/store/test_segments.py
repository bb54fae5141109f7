"""Segments: dense, readable, and not one bit of them can change unnoticed."""

import json
import random

import numpy as np
import pytest
from foretell.errors import DamagedLedger
from foretell.store import columns
from foretell.store.codec import DoneColumns, decode, encode, gather
from foretell.store.layout import segment_key
from foretell.store.projection import load
from foretell.store.records import (
    ChunkDone,
    Intent,
    Record,
    SessionEnded,
    SessionStarted,
    WorkerSeen,
)
from foretell.store.sealed import Broken, seal, unseal
from foretell.store.segments import START, decode_segment, encode_segment, segment_hash
from foretell.store.table import ChunkTable
from hypothesis import given
from hypothesis import strategies as st
from ledger_model import Model, records

N_CHUNKS = 12


def small_ledger() -> list[bytes]:
    """Three segments with every way of writing a column."""
    rng = random.Random(1)

    def done(chunk: int) -> ChunkDone:
        sizes = (rng.randrange(10**6), 90)
        crcs = (rng.getrandbits(32), rng.getrandbits(32))
        return ChunkDone(chunk, 1, 1e9 + rng.random(), rng.randrange(5000), 0, 0, sizes, crcs)

    parts: list[list[Record]] = [
        [SessionStarted(1, "host", "boot", 1, 1.0, 2.0, "sdk predict"), Intent((0, 1, 2), 1)],
        [*(done(chunk) for chunk in range(6)), WorkerSeen(0, "tcp://h:1", "h", 1, 1.0)],
        [done(7), done(9), SessionEnded("done", 0, 3.0)],
    ]
    segments: list[bytes] = []
    previous = START
    for number, part in enumerate(parts, start=1):
        data = encode_segment(number, 1, "abcd", previous, gather(part))
        previous = segment_hash(data)
        segments.append(data)
    return segments


def store_ledger(objects, segments) -> None:
    for number, data in enumerate(segments, start=1):
        objects.put(segment_key(number), data, leased=False)


# --- columns ----------------------------------------------------------------------------------


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=40))
def test_columns_come_back(values):
    packed = json.loads(json.dumps(columns.pack(np.array(values, dtype=np.int64))))
    assert columns.unpack(packed, len(values)).tolist() == values


@given(st.sets(st.integers(0, 200), min_size=1))
def test_ids_come_back(ids):
    text = columns.pack_ids(np.array(sorted(ids), dtype=np.int64))
    assert columns.unpack_ids(text, 201).tolist() == sorted(ids)


@pytest.mark.parametrize(
    "text", ["", "1-", "2-1", "3,3", "5,4", "0-9999999999999", "12", "a", "1;2", None, 3, "-1"]
)
def test_ids_that_are_none_are_refused_before_anything_is_allocated(text):
    with pytest.raises(ValueError):
        columns.unpack_ids(text, 12)


@pytest.mark.parametrize("value", ["1+u3:AAAA", "x", "1+u1:AA", True, [1, 2], None, 1.5, "1+u1:/"])
def test_columns_that_are_none_are_refused(value):
    with pytest.raises((ValueError, TypeError)):
        columns.unpack(value, 3)


# --- records ----------------------------------------------------------------------------------


@given(st.lists(records(N_CHUNKS), max_size=30))
def test_records_mean_the_same_after_a_round_trip(given_records):
    direct, model = ChunkTable(N_CHUNKS), Model(N_CHUNKS)
    for record in given_records:
        direct.apply(record)
        model.apply(record)
    again = ChunkTable(N_CHUNKS)
    for entry in decode(encode(gather(given_records)), N_CHUNKS):
        again.apply(entry)
    model.check(direct)
    model.check(again)


def test_completions_of_one_flush_are_one_line_that_people_can_read():
    flush = [ChunkDone(chunk, 1, 1e9, 20, 0, 0, (5, 6), (1, 2)) for chunk in range(1000)]
    lines = encode(gather(flush)).decode().splitlines()
    assert len(lines) == 1
    line = json.loads(lines[0])
    assert line["chunks"] == "0-999"
    assert line["milliseconds"] == 20


def test_a_thousand_completions_take_about_24_bytes_each():
    rng = random.Random(0)
    flush = [
        ChunkDone(
            chunk=chunk,
            attempt=1,
            started=1e9 + chunk * 0.01 + rng.random(),
            milliseconds=rng.randint(1500, 2500),
            worker=rng.randrange(8),
            quarantined=0,
            sizes=(rng.randint(3_000_000, 3_040_000), 90),
            crcs=(rng.getrandbits(32), rng.getrandbits(32)),
        )
        for chunk in range(1000)
    ]
    data = encode_segment(1, 1, "abcd", START, gather([*flush, Intent(tuple(range(1000)), 1)]))
    assert len(data) <= 24 * 1000


def test_a_group_ends_where_a_chunk_comes_again_or_has_other_objects():
    one = ChunkDone(1, 1, 1e9, 20, 0, 0, (5,), (1,))
    two = ChunkDone(1, 2, 1e9, 21, 0, 0, (5,), (1,))
    three = ChunkDone(2, 1, 1e9, 21, 0, 0, (5, 6), (1, 2))
    entries = gather([one, two, three])
    assert [entry.chunks.tolist() for entry in entries if isinstance(entry, DoneColumns)] == [
        [1],
        [1],
        [2],
    ]


@pytest.mark.parametrize(
    "body",
    [
        b'{"r":"done","chunks":"0-99"}\n',
        b'{"r":"intent","chunks":"0","attempt":1,"new":2}\n',
        b'{"r":"unheard"}\n',
        b"[]\n",
        b"nonsense\n",
        b'{"r":"failed","chunk":99,"attempt":1,"state":"failed","suspect":false,"failure":0}\n',
        b'{"r":"failed","chunk":1,"attempt":1,"state":"gone","suspect":false,"failure":0}\n',
    ],
)
def test_what_is_no_record_of_this_plan_is_refused(body):
    with pytest.raises(ValueError):
        decode(body, N_CHUNKS)


# --- sealing ----------------------------------------------------------------------------------


@given(st.binary(max_size=50), st.dictionaries(st.text(), st.integers(), min_size=1))
def test_sealed_comes_back(body, head):
    head = {name: value for name, value in head.items() if name != "crc"} | {"x": 1}
    assert unseal(seal(head, body)) == (head, body)


@given(st.data())
def test_any_change_breaks_a_seal(data):
    sealed = seal({"format": "x", "n": 12}, b"some body\n")
    other = data.draw(st.binary(max_size=len(sealed) + 5))
    cut = sealed[: data.draw(st.integers(0, len(sealed) - 1))]
    for broken in (other, cut, sealed + b"x"):
        if broken != sealed:
            with pytest.raises(Broken):
                unseal(broken)


def test_every_flipped_bit_of_a_ledger_is_found(objects):
    segments = small_ledger()
    flips = 0
    for number, data in enumerate(segments, start=1):
        for position in range(len(data)):
            for bit in range(8):
                broken = bytearray(data)
                broken[position] ^= 1 << bit
                with pytest.raises(DamagedLedger):
                    decode_segment(bytes(broken), number, N_CHUNKS, None)
                flips += 1
    assert flips == 8 * sum(map(len, segments))


def test_every_truncation_of_a_ledger_is_found():
    for number, data in enumerate(small_ledger(), start=1):
        for length in range(len(data)):
            with pytest.raises(DamagedLedger):
                decode_segment(data[:length], number, N_CHUNKS, None)


# --- the chain --------------------------------------------------------------------------------


def test_a_whole_ledger_is_read(objects):
    store_ledger(objects, small_ledger())
    projection = load(objects, N_CHUNKS)
    assert projection.last_segment == 3
    assert projection.table.ended == SessionEnded("done", 0, 3.0)


@pytest.mark.parametrize("missing", [1, 2])
def test_a_gap_is_named_and_nothing_is_read_over_it(objects, missing):
    segments = small_ledger()
    store_ledger(objects, segments)
    objects.delete(segment_key(missing))
    with pytest.raises(DamagedLedger) as caught:
        load(objects, N_CHUNKS)
    assert f"segment {missing} " in caught.value.message
    assert "missing" in caught.value.message
    facts = dict(caught.value.facts)
    assert facts["segment"] == segment_key(missing)
    assert "before" in facts["safe"] or facts["safe"] == "nothing"


def test_a_missing_end_is_noticed_when_the_head_knows_better(objects):
    segments = small_ledger()
    store_ledger(objects, segments[:2])
    assert load(objects, N_CHUNKS, at_least=2).last_segment == 2
    with pytest.raises(DamagedLedger, match=r"segment 3 .* missing"):
        load(objects, N_CHUNKS, at_least=3)


def test_reordered_segments_are_found(objects):
    one, two, three = small_ledger()
    store_ledger(objects, [one, three, two])
    with pytest.raises(DamagedLedger, match="says it is segment 3"):
        load(objects, N_CHUNKS)


def test_a_segment_of_another_history_is_found(objects):
    one, two, three = small_ledger()
    other = encode_segment(2, 1, "abcd", segment_hash(b"another"), [])
    store_ledger(objects, [one, other, three])
    with pytest.raises(DamagedLedger, match="does not follow"):
        load(objects, N_CHUNKS)
    assert two != other


def test_a_newer_version_is_not_guessed_at():
    data = seal({"format": "foretell-ledger", "version": 2})
    with pytest.raises(DamagedLedger, match="version 2, this program knows 1"):
        decode_segment(data, 1, N_CHUNKS, None)
