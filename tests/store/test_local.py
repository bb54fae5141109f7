"""LocalObjects: whole or not at all, confined, leased, and honest about what went wrong."""

import errno
import os
import random
import shutil
import threading

import google_crc32c
import pytest
from foretell.errors import StorageError, StoreError
from foretell.store.local import LocalObjects
from foretell.store.objects import Stored, set_fault_hook
from hypothesis import given
from hypothesis import strategies as st
from storing import files


def fail_at(operation: str, number: int) -> None:
    def hook(op: str, key: str) -> None:
        if op == operation:
            raise OSError(number, os.strerror(number))

    set_fault_hook(hook)


# --- putting and getting ----------------------------------------------------------------------


def test_put_then_get(objects):
    stored = objects.put("logits/c/0/0", b"abc")
    assert stored == Stored(3, google_crc32c.value(b"abc"))
    assert objects.get("logits/c/0/0") == b"abc"
    assert objects.taken("logits/c/0/0") == stored
    with pytest.raises(KeyError):
        objects.taken("logits/c/0/0")


@pytest.mark.parametrize("data", [b"", b"x" * 10, random.Random(0).randbytes(3_000_000)], ids=len)
def test_a_memoryview_has_the_crc_of_its_own_bytes(objects, data):
    padded = memoryview(b"head" + data + b"tail")[4 : 4 + len(data)]
    assert objects.put("a", padded) == Stored(len(data), google_crc32c.value(data))
    assert objects.get("a") == data


def test_put_replaces_whole(objects):
    objects.put("a", b"long content")
    objects.put("a", b"short")
    assert objects.get("a") == b"short"


def test_nothing_stays_staged(objects):
    objects.put("a", b"1")
    objects.create("b", b"2")
    objects.create("b", b"3")
    assert files(objects.path) == ["a", "b"]


def test_missing_is_file_not_found(objects):
    objects.put("a", b"1")
    for key in ("b", "b/c", "a/b"):
        with pytest.raises(FileNotFoundError):
            objects.get(key)
        with pytest.raises(FileNotFoundError):
            objects.version(key)
    objects.delete("b/c")


def test_a_folder_is_not_an_object(objects):
    objects.put("a/b", b"1")
    with pytest.raises(FileNotFoundError):
        objects.get("a")


@given(data=st.binary(max_size=40), start=st.integers(-50, 50), length=st.integers(0, 60))
def test_ranges(tmp_path_factory, data, start, length):
    store = LocalObjects(str(tmp_path_factory.mktemp("run")))
    store.put("a", data)
    begin = max(0, len(data) + start) if start < 0 else start
    assert store.get_range("a", start, length) == data[begin : begin + length]


def test_conditional_reads(objects):
    objects.put("a", b"1")
    data, version = objects.get_if_changed("a", None)
    assert data == b"1"
    assert objects.get_if_changed("a", version) is None
    assert objects.version("a") == version
    objects.put("a", b"2")
    assert objects.get_if_changed("a", version)[0] == b"2"


def test_list(objects, tmp_path):
    for key in ("a", "b/c", "b/d/e", "bc"):
        objects.put(key, b"")
    (tmp_path / "run" / "_run" / "stage" / "w").mkdir(parents=True, exist_ok=True)
    (tmp_path / "run" / "_run" / "stage" / "w" / "1").write_bytes(b"half")
    assert sorted(objects.list()) == ["a", "b/c", "b/d/e", "bc"]
    assert sorted(objects.list("b/")) == ["b/c", "b/d/e"]
    assert sorted(objects.list("b")) == ["b/c", "b/d/e", "bc"]
    assert list(objects.list("x/y")) == []


# --- create -----------------------------------------------------------------------------------


def test_create_never_overwrites(objects):
    assert objects.create("a", b"1") is True
    assert objects.create("a", b"2") is False
    assert objects.get("a") == b"1"


def test_one_of_many_creators_wins(tmp_path):
    for turn in range(20):
        stores = [LocalObjects(str(tmp_path)) for _ in range(4)]
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


# --- confinement ------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "/etc/x", "a//b", "../x", "a/../../x", "./a", "a/", "a\0b"])
def test_keys_cannot_leave_the_store(objects, tmp_path, key):
    for action in (objects.get, objects.version, objects.delete):
        with pytest.raises(StoreError, match="may not leave"):
            action(key)
    with pytest.raises(StoreError, match="may not leave"):
        objects.put(key, b"1")
    with pytest.raises(StoreError, match="may not leave"):
        objects.create(key, b"1")
    assert files(tmp_path) == []


def test_links_in_the_store_are_not_followed(objects, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    root = tmp_path / "run"
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "secret")
    for key in ("folder/secret", "file"):
        with pytest.raises(StoreError, match="not followed"):
            objects.get(key)
    with pytest.raises(StoreError, match="not followed"):
        objects.put("folder/new", b"1")
    objects.put("file", b"ours")
    assert (outside / "secret").read_bytes() == b"secret"
    assert list(objects.list()) == ["file"]
    assert files(outside) == ["secret"]


def test_the_root_itself_may_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    store = LocalObjects(str(tmp_path / "link"))
    store.put("a", b"1")
    assert files(tmp_path / "disk") == ["a"]


# --- what the system says ---------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["put", "put-staged", "create", "create-staged"])
@pytest.mark.parametrize(
    ("number", "kind", "slug"),
    [
        (errno.ENOSPC, StorageError, "storage-full"),
        (errno.EDQUOT, StorageError, "storage-full"),
        (errno.EROFS, StoreError, "store-denied"),
        (errno.EACCES, StoreError, "store-denied"),
        (errno.EPERM, StoreError, "store-denied"),
        (errno.EIO, StorageError, "storage"),
    ],
)
def test_system_errors_are_named(objects, operation, number, kind, slug):
    fail_at(operation, number)
    with pytest.raises(kind) as caught:
        objects.put("a", b"1") if operation.startswith("put") else objects.create("a", b"1")
    assert caught.value.slug == slug
    assert files(objects.path) == []
    if slug == "storage-full":
        facts = dict(caught.value.facts)
        assert facts["free"].endswith("bytes")
        assert facts["needed"] == "1 bytes"


def test_a_failed_read_is_never_missing(objects):
    objects.put("a", b"1")
    fail_at("get", errno.EIO)
    with pytest.raises(StorageError):
        objects.get("a")


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced"])
def test_a_vanished_store_is_not_made_again(objects, tmp_path, how):
    objects.put("a", b"1")
    if how == "deleted":
        shutil.rmtree(tmp_path / "run")
    else:
        (tmp_path / "run").rename(tmp_path / "elsewhere")
    if how == "replaced":
        (tmp_path / "run").mkdir()
    before = files(tmp_path)
    for action in (objects.put, objects.create):
        with pytest.raises(StorageError, match="vanished"):
            action("b", b"1")
    with pytest.raises(StorageError, match="vanished"):
        objects.get("a")
    assert files(tmp_path) == before
    assert (tmp_path / "run").exists() == (how == "replaced")


def test_a_store_that_never_was_is_not_made_by_a_put(tmp_path):
    store = LocalObjects(str(tmp_path / "none"))
    with pytest.raises(StorageError, match="vanished"):
        store.put("a", b"1")
    with pytest.raises(FileNotFoundError):
        store.get("a")
    assert list(store.list()) == []
    assert not (tmp_path / "none").exists()


# --- check_writable ---------------------------------------------------------------------------


def test_check_writable_leaves_nothing(tmp_path):
    LocalObjects(str(tmp_path / "a" / "b")).check_writable()
    LocalObjects(str(tmp_path)).check_writable()
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_run(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(StoreError) as caught:
        LocalObjects(str(tmp_path / "file")).get("_run/manifest.json")
    assert (caught.value.slug, caught.value.exit_code) == ("not-a-run", 5)


def test_a_file_in_the_way_is_not_writable(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path in ("file", "file/below"):
        with pytest.raises(StoreError, match="cannot be written") as caught:
            LocalObjects(str(tmp_path / path)).check_writable()
        assert caught.value.exit_code == 5
    assert files(tmp_path) == ["file"]


def test_free_bytes(tmp_path):
    free = LocalObjects(str(tmp_path / "not" / "yet")).free_bytes()
    assert free is not None
    assert free > 0


def test_power_syncs_files_and_folders(tmp_path, monkeypatch):
    synced: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_mode)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    LocalObjects(str(tmp_path)).put("a/b/c", b"1")
    assert synced == []
    store = LocalObjects(str(tmp_path), power=True)
    store.put("a/b/c", b"1")
    # The file, its folder, and every folder above whose entry may be new.
    assert len(synced) == 4
    store.put("a/b/d", b"1")
    assert len(synced) == 6
    store.create("a/e/f", b"1")
    assert len(synced) == 10


def test_several_drivers_may_try_a_new_place_at_once(tmp_path):
    place = tmp_path / "a" / "b" / "out.zarr"
    wrong: list[BaseException] = []

    def attempt():
        try:
            for _ in range(200):
                LocalObjects(str(place)).check_writable()
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("folder", ["there", "there/not/yet"])
def test_file_systems_without_nameless_files_are_tried_with_a_name(tmp_path, monkeypatch, folder):
    (tmp_path / "there").mkdir()
    real, names = os.open, []

    def refusing(path, flags, *more, **options):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not here")
        names.append(os.path.basename(path))
        return real(path, flags, *more, **options)

    monkeypatch.setattr(os, "open", refusing)
    LocalObjects(str(tmp_path / folder)).check_writable()
    assert any(name.startswith(".foretell-") for name in names)
    assert list((tmp_path / "there").iterdir()) == []
