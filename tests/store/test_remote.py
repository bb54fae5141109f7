"""RemoteObjects against an S3 stand-in on loopback, with and without faults on the way."""

import os
import threading
from contextlib import suppress

import google_crc32c
import pytest
from foretell.errors import (
    ConfigError,
    Fenced,
    HeldError,
    LeaseLost,
    StorageError,
    StoreError,
)
from foretell.store import s3client
from foretell.store.head import HeadWriter
from foretell.store.ledger import LedgerWriter
from foretell.store.objects import Stored
from foretell.store.open import open_objects
from foretell.store.records import ChunkDone
from foretell.store.remote import TRIES, RemoteObjects
from foretell.store.snapshot import open_snapshot
from foretell.store.takeover import claim, read_ledger
from foretell.types import ChunkState
from ledger_model import FakeTime, driver, head_of
from storing import CountedLease

pytestmark = pytest.mark.s3


def quick(url: str, **options) -> RemoteObjects:
    """A store that does not really wait between tries."""
    return RemoteObjects(url, sleep=lambda seconds: None, **options)


def test_put_get_list_delete(s3):
    assert s3.remote
    assert s3.put("a/b c#1%é", b"abc") == Stored(3, google_crc32c.value(b"abc"))
    assert s3.taken("a/b c#1%é").size == 3
    s3.put("a/x", memoryview(b"head-tail")[5:], leased=False)
    s3.put("ab", b"")
    assert s3.get("a/b c#1%é") == b"abc"
    assert s3.get("a/x") == b"tail"
    assert sorted(s3.list()) == ["a/b c#1%é", "a/x", "ab"]
    assert sorted(s3.list("a")) == ["a/b c#1%é", "a/x", "ab"]
    assert list(s3.list("a/x")) == ["a/x"]
    assert list(s3.list("none/")) == []
    s3.delete("a/x")
    s3.delete("a/x")
    with pytest.raises(FileNotFoundError):
        s3.get("a/x")
    with pytest.raises(FileNotFoundError):
        s3.version("a/x")


@pytest.mark.parametrize(("start", "length"), [(0, 5), (2, 100), (-3, 2), (-99, 4), (7, 1), (0, 0)])
def test_ranges(s3, start, length):
    data = b"abcdefg"
    s3.put("a", data)
    begin = max(0, len(data) + start) if start < 0 else start
    assert s3.get_range("a", start, length) == data[begin : begin + length]


def test_conditional_reads(s3):
    s3.put("a", b"1")
    data, version = s3.get_if_changed("a", None)
    assert data == b"1"
    assert s3.get_if_changed("a", version) is None
    assert s3.version("a") == version
    s3.put("a", b"2")
    assert s3.get_if_changed("a", version)[0] == b"2"


def test_keys_cannot_leave_the_prefix(s3):
    for key in ("../x", "/x", "a//b", ""):
        for action in (s3.get, s3.version, s3.delete):
            with pytest.raises(StoreError, match="may not leave"):
                action(key)
        with pytest.raises(StoreError, match="may not leave"):
            s3.put(key, b"")
        with pytest.raises(StoreError, match="may not leave"):
            s3.create(key, b"")


def test_one_of_many_creators_wins(s3_url):
    for turn in range(5):
        stores = [open_objects(s3_url) for _ in range(4)]
        barrier = threading.Barrier(4)
        won: list[int] = []

        def race(number, turn=turn, stores=stores, barrier=barrier, won=won):
            barrier.wait()
            if stores[number].create(f"x/{turn}", bytes([number])):
                won.append(number)

        threads = [threading.Thread(target=race, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert stores[0].get(f"x/{turn}") == bytes(won)


def test_check_writable_leaves_nothing(s3):
    s3.check_writable()
    assert list(s3.list()) == []
    assert s3.free_bytes() is None
    assert s3.sweep() == 0


def test_a_missing_bucket_is_not_a_missing_object(s3_env):
    store = quick("s3://no-such-bucket/x")
    with pytest.raises(StorageError, match="bucket does not exist"):
        store.get("a")
    with pytest.raises(StorageError, match="bucket does not exist"):
        store.version("a")
    with pytest.raises(StoreError, match="cannot be written"):
        store.check_writable()


# --- faults on the way ------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [500, 503, 404, "reset"])
def test_a_fault_that_passes_is_not_noticed(s3_proxy, fault):
    proxy, url = s3_proxy
    store = quick(url)
    for action in (
        lambda: store.put("a", b"1"),
        lambda: store.get("a"),
        lambda: store.version("a"),
        lambda: store.create("b", b"2"),
        lambda: list(store.list()),
    ):
        left = [2]

        def decide(method, path, left=left):
            left[0] -= 1
            return fault if left[0] >= 0 else None

        proxy.decide = decide
        action()
        assert left[0] < 0
    assert store.get("b") == b"2"


@pytest.mark.parametrize("fault", [500, 404, "reset"])
def test_a_fault_that_stays_is_never_read_as_missing(s3_proxy, fault):
    proxy, url = s3_proxy
    waits: list[float] = []
    store = RemoteObjects(url, sleep=waits.append)
    store.put("a", b"1")
    proxy.decide = lambda method, path: fault
    for action in (store.get, store.version):
        with pytest.raises(StorageError):
            action("a")
    with pytest.raises(StorageError):
        store.put("a", b"2")
    with pytest.raises(StorageError):
        store.create("c", b"2")
    with pytest.raises(StorageError):
        list(store.list())
    assert waits[: TRIES - 1] == [0.1, 0.2, 0.4, 0.8]


def test_a_refusal_is_not_tried_again(s3_proxy):
    proxy, url = s3_proxy
    proxy.decide = lambda method, path: 403
    with pytest.raises(StoreError, match="refuses access"):
        quick(url).get("a")
    assert len(proxy.seen) == 1


def test_a_create_whose_answer_was_lost_has_won(s3_proxy):
    proxy, url = s3_proxy
    lost: list[str] = []

    def decide(method, path):
        if method == "PUT" and not lost:
            lost.append(path)
            return "lose"
        return None

    proxy.decide = decide
    store = quick(url)
    assert store.create("a", b"ours") is True
    assert len(lost) == 1
    assert store.create("a", b"ours") is False


def test_a_create_whose_request_was_lost_may_lose(s3_proxy):
    proxy, url = s3_proxy
    rival = quick(url)
    dropped: list[str] = []

    def decide(method, path):
        if method == "PUT" and not dropped:
            dropped.append(path)
            assert rival.create("a", b"theirs")
            return "reset"
        return None

    proxy.decide = decide
    assert quick(url).create("a", b"ours") is False
    assert len(dropped) == 1
    assert rival.get("a") == b"theirs"


def test_a_lost_answer_to_a_leased_put_is_harmless(s3_proxy):
    proxy, url = s3_proxy
    lost: list[str] = []

    def decide(method, path):
        if method == "PUT" and not lost:
            lost.append(path)
            return "lose"
        return None

    proxy.decide = decide
    store = quick(url, lease=CountedLease())
    store.put("a", b"1")
    assert len(lost) == 1
    assert store.get("a") == b"1"


# --- leases and late writers ------------------------------------------------------------------


def test_a_leased_put_replaces_what_an_earlier_attempt_left(s3_url):
    store = quick(s3_url, lease=CountedLease())
    store.put("a", b"first")
    store.put("a", b"second")
    assert store.get("a") == b"second"


@pytest.mark.parametrize("before", [None, b"left by an earlier attempt"])
def test_a_put_finished_late_changes_nothing(s3_proxy, before):
    """Its worker was stopped while it was on its way; it arrives after the next driver's."""
    proxy, url = s3_proxy
    # What stood there is looked at once, and then the lease had still been good.
    lease = CountedLease(1 if before is None else 2)
    late, following = quick(url, lease=lease), quick(url, lease=CountedLease())
    if before is not None:
        following.put("a", before)
    held: list[str] = []

    def decide(method, path):
        # With something there already, the first conditional put is refused and looks again.
        if method == "PUT" and path.endswith("/a"):
            held.append(path)
            if len(held) == (1 if before is None else 2):
                proxy.decide = lambda method, path: None
                following.put("a", b"the next driver's")
        return

    proxy.decide = decide
    with pytest.raises(LeaseLost, match="ran out" if before is None else "meanwhile"):
        late.put("a", b"late")
    assert held
    assert following.get("a") == b"the next driver's"


def test_the_lease_is_checked_before_every_try(s3_proxy):
    proxy, url = s3_proxy
    checks: list[int] = []

    class Lease:
        def check(self) -> None:
            checks.append(len(checks))
            if len(checks) == 3:
                raise LeaseLost("the lease ran out")

    proxy.decide = lambda method, path: 503
    with pytest.raises(LeaseLost):
        quick(url, lease=Lease()).put("a", b"1")
    assert len([line for line in proxy.seen if line.startswith("PUT")]) == 2


# --- where credentials come from --------------------------------------------------------------


def test_plain_http_only_to_this_machine(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store.example.org:9000")
    monkeypatch.delenv("AWS_ALLOW_HTTP", raising=False)
    with pytest.raises(ConfigError, match="not encrypted"):
        open_objects("s3://bucket/x")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    open_objects("s3://bucket/x")


def test_profiles(tmp_path):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = one\naws_secret_access_key = s1\n"
        "[lab]\naws_access_key_id = two\naws_secret_access_key = s2\naws_session_token = t\n"
    )
    (tmp_path / ".aws" / "config").write_text("[profile lab]\nregion = eu-west-1\n")
    home = {"HOME": str(tmp_path)}
    assert s3client.aws_settings(home) == {"access_key_id": "one", "secret_access_key": "s1"}
    assert s3client.aws_settings(home | {"AWS_PROFILE": "lab"}) == {
        "access_key_id": "two",
        "secret_access_key": "s2",
        "session_token": "t",
        "region": "eu-west-1",
    }
    assert s3client.aws_settings(home | {"AWS_ACCESS_KEY_ID": "env"}) == {}
    assert s3client.aws_settings({"HOME": os.devnull}) == {}


def test_faults_are_injected_here_too(s3_url, tmp_path, monkeypatch):
    monkeypatch.setenv("FORETELL_TESTING_FAULT", "op=put,n=1,times=0,do=enospc")
    monkeypatch.setenv("FORETELL_TESTING_FAULT_MARK", str(tmp_path / "mark"))
    store = open_objects(s3_url)
    assert isinstance(store, RemoteObjects)
    store._sleep = lambda seconds: None
    with pytest.raises(StorageError) as caught:
        store.put("a", b"1")
    assert caught.value.slug == "storage-full"
    assert (tmp_path / "mark").exists()
    assert list(store.list()) == []


# --- a run's record in a bucket ---------------------------------------------------------------


def test_a_run_lives_in_a_bucket(s3_url, new_run):
    """Claim, append, fold, compact, view, take over: the same as in a folder."""
    store = open_objects(s3_url)
    run = new_run(store, 30)
    first = claim(store, run, clock=FakeTime().clock, me=driver(1))
    for chunk in range(9):
        first.append([ChunkDone(chunk, 1, 1e9, 5, 0, 0, (10, 20), (1, chunk))])
        if chunk % 3 == 2:
            first.fold(force=True)
    HeadWriter(store).write(head_of(first.session, first))
    snapshot = open_snapshot(open_objects(s3_url))
    assert snapshot.table.counts()[ChunkState.DONE] == 9
    second = claim(open_objects(s3_url), run, clock=FakeTime().clock, me=driver(2))
    assert second.epoch == 2
    with pytest.raises(Fenced):
        first.append([ChunkDone(10, 1, 1e9, 5, 0, 0, (10, 20), (1, 2))])
    second.append([ChunkDone(11, 1, 1e9, 5, 0, 0, (10, 20), (1, 2))])
    assert snapshot.refresh() is True
    assert snapshot.table.counts()[ChunkState.DONE] == 10
    assert snapshot.table.crcs[:9, 1].tolist() == list(range(9))


def test_claimers_race_in_a_bucket_and_one_wins(s3_url, new_run):
    run = new_run(open_objects(s3_url), 4)
    stores = [open_objects(s3_url) for _ in range(4)]
    barrier = threading.Barrier(4)
    won: list[LedgerWriter] = []

    def race(store):
        barrier.wait()
        with suppress(HeldError):
            won.append(claim(store, run, clock=FakeTime().clock))

    threads = [threading.Thread(target=race, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [writer.epoch for writer in won] == [1]


def test_an_append_whose_answer_was_lost_is_no_rival(s3_proxy, new_run):
    proxy, url = s3_proxy
    run = new_run(open_objects(url), 4)
    writer = claim(quick(url), run, clock=FakeTime().clock, me=driver(1))
    lost: list[str] = []

    def decide(method, path):
        if method == "PUT" and "/ledger/" in path and len(lost) < TRIES:
            lost.append(path)
            return "lose"
        return None

    proxy.decide = decide
    done = ChunkDone(0, 1, 1e9, 5, 0, 0, (10,), (1,))
    try:
        writer.append([done])
    except StorageError:
        writer.append([done])
    assert lost
    writer.append([ChunkDone(1, 1, 1e9, 5, 0, 0, (10,), (1,))])
    assert writer.table.counts()[ChunkState.DONE] == 2
    assert read_ledger(open_objects(url), run).table.counts()[ChunkState.DONE] == 2
