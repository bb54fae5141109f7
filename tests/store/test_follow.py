"""Following a run from outside: what it sees, what it costs, what it leaves alone."""

from collections.abc import Iterator

import numpy as np
import pytest
from foretell.errors import DamagedLedger
from foretell.store.follow import Follower, finish_times
from foretell.store.head import Head, HeadWriter
from foretell.store.layout import LOG, numbered_key, segment_key
from foretell.store.local import LocalObjects
from foretell.store.manifest import read_manifest
from foretell.store.projection import load
from foretell.store.records import ChunkDone, Intent
from foretell.store.rings import LogWriter
from foretell.store.takeover import claim
from ledger_model import head_of

CHUNKS = 5_000


class Counting(LocalObjects):
    """Counts reads and listings."""

    gets = 0
    lists = 0

    def get(self, key: str) -> bytes:
        self.gets += 1
        return super().get(key)

    def list(self, prefix: str = "") -> Iterator[str]:
        self.lists += 1
        return super().list(prefix)


class Driving:
    """A driver in a test's hands."""

    def __init__(self, objects):
        self.ledger = claim(objects, read_manifest(objects))
        self.heads = HeadWriter(objects)
        self.beat()

    def done(self, ids):
        self.ledger.append([Intent(tuple(ids), 1)])
        self.ledger.append([ChunkDone(c, 1, 10.0 + c, 500, 0, 0, (7, 8), (1, 2)) for c in ids])

    def beat(self) -> Head:
        return self.heads.write(head_of(self.ledger.session, self.ledger))


@pytest.fixture
def driving(objects, new_run):
    new_run(objects, CHUNKS)
    return Driving(objects)


@pytest.fixture
def follower(objects, driving):
    seen = Counting(objects.path, label="viewer")
    follower = Follower(seen, read_manifest(seen))
    follower.look()
    follower.read_on()
    seen.gets = seen.lists = 0
    return follower


def same(follower, objects):
    whole = load(objects, CHUNKS).table
    for name in ("state", "attempt", "started", "milliseconds", "worker"):
        assert np.array_equal(getattr(follower.table, name), getattr(whole, name)), name


def test_it_reads_only_what_is_new_and_never_lists(objects, driving, follower):
    driving.done(range(100))
    driving.beat()
    assert follower.look()
    assert follower.behind == 2
    news = follower.read_on()
    assert (news.segments, news.whole) == (2, False)
    assert np.concatenate([done.chunks for done in news.done]).tolist() == list(range(100))
    assert np.unique(np.concatenate(news.touched)).tolist() == list(range(100))
    assert follower.objects.gets == 2
    assert not follower.look()
    assert not follower.read_on()
    assert (follower.objects.gets, follower.objects.lists) == (2, 0)
    same(follower, objects)


def test_a_newcomer_begins_with_the_fold_and_leaves_checksums_alone(objects, driving):
    driving.done(range(1000))
    driving.ledger.fold(force=True)
    driving.done(range(1000, 1010))
    driving.beat()
    seen = Counting(objects.path, label="viewer")
    follower = Follower(seen, read_manifest(seen))
    follower.look()
    news = follower.read_on()
    assert news.whole
    assert news.segments == 2
    assert seen.lists == 0
    assert follower.table.objects_per_chunk == 0
    same(follower, objects)
    ids, ends = finish_times(follower.table)
    assert ids.tolist() == list(range(1010))
    assert ends[7] == 17.5


def test_segments_that_were_compacted_are_found_in_the_newest_fold(objects, driving, follower):
    for start in range(0, 500, 50):
        driving.done(range(start, start + 50))
    driving.ledger.fold(force=True)
    driving.done(range(500, 510))
    driving.ledger.fold(force=True)
    driving.beat()
    follower.look()
    assert follower.read_on().whole
    assert follower.objects.lists == 0
    same(follower, objects)


def test_what_a_killed_driver_left_beyond_its_head_is_read_when_asked(objects, driving, follower):
    driving.done(range(20))
    assert not follower.read_on()
    assert follower.read_on(beyond=True).segments == 2
    same(follower, objects)


def test_a_torn_segment_is_refused_and_those_before_it_are_kept(objects, driving, follower):
    driving.done(range(10))
    driving.done(range(10, 20))
    driving.beat()
    number = driving.ledger.last_segment
    data = objects.get(segment_key(number))
    objects.put(segment_key(number), data[:-3], leased=False)
    follower.look()
    with pytest.raises(DamagedLedger):
        follower.read_on()
    assert follower.last_segment == number - 1


def test_a_head_that_is_torn_or_gone_changes_nothing(objects, driving, follower):
    known = follower.head
    objects.put("_run/head.json", b"{", leased=False)
    assert not follower.look()
    assert follower.torn
    objects.delete("_run/head.json")
    assert not follower.look()
    assert follower.missing
    assert follower.head is known


def test_a_log_says_how_much_of_it_is_stored(objects):
    log = LogWriter(objects)
    assert log.open_bytes == 0
    for number in range(3):
        log.add(float(number), "info", "w00", "a line")
        log.flush()
        assert log.open_bytes == stored(objects, log)
    log.add(9.0, "info", "w00", "x" * 8000)
    for _ in range(40):
        log.add(9.0, "info", "w00", "y" * 8000)
    log.flush()
    assert log.open_bytes == 0


def stored(objects, log):
    return objects.version(numbered_key(LOG, log.last_segment)).size
