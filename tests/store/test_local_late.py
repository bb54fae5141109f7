"""LocalObjects: who writes late, or without a lease, changes nothing; what they staged is swept."""

from pathlib import Path
from typing import Any

import pytest
from foretell.errors import Fenced, LeaseLost
from foretell.store import staging
from foretell.store.local import LocalObjects
from foretell.store.objects import set_fault_hook
from storing import CountedLease, files


@pytest.mark.parametrize("checks", [0, 1])
def test_no_put_without_a_lease(tmp_path, checks):
    store = LocalObjects(str(tmp_path), lease=CountedLease(checks))
    with pytest.raises(LeaseLost):
        store.put("a", b"1")
    assert files(tmp_path) == []


def test_both_checks_pass_or_the_lease_is_not_asked(tmp_path):
    LocalObjects(str(tmp_path), lease=CountedLease(2)).put("a", b"1")
    LocalObjects(str(tmp_path), lease=CountedLease(0)).put("b", b"1", leased=False)
    assert files(tmp_path) == ["a", "b"]


def test_a_writer_stopped_before_its_rename_changes_nothing(tmp_path):
    late = LocalObjects(str(tmp_path), lease=CountedLease(2), label="e0001-w0")
    driver = LocalObjects(str(tmp_path), label="e0002")
    driver.put("a", b"the next driver's")
    swept: list[int] = []

    class Taken:
        def check(self) -> None:
            if files(tmp_path / "_run" / "stage" / "e0001-w0"):
                swept.append(driver.sweep())

    late._lease = Taken()
    with pytest.raises(LeaseLost, match="newer driver"):
        late.put("a", b"late")
    assert swept == [1]
    assert driver.get("a") == b"the next driver's"
    assert files(tmp_path) == ["a"]


def test_a_late_unleased_put_is_fenced(tmp_path):
    old, new = (LocalObjects(str(tmp_path), label=f"e000{n}") for n in (1, 2))

    def hook(op: str, key: str) -> None:
        if op == "put-staged":
            set_fault_hook(None)
            assert new.sweep() == 1

    set_fault_hook(hook)
    with pytest.raises(Fenced):
        old.put("_run/head.json", b"old", leased=False)
    assert files(tmp_path) == []


def test_a_create_survives_a_sweep(tmp_path):
    one, other = (LocalObjects(str(tmp_path), label=name) for name in ("a", "b"))
    seen: list[str] = []

    def hook(op: str, key: str) -> None:
        if op == "create-staged" and not seen:
            seen.append(key)
            other.sweep()

    set_fault_hook(hook)
    assert one.create("x", b"1") is True
    assert seen == ["x"]


def test_sweep_removes_leftovers_and_keeps_what_is_ours(tmp_path):
    store = LocalObjects(str(tmp_path), label="mine")
    store.put("logits/c/0", b"1")
    store.put("part#1.parquet", b"1")
    for name in ("_run/stage/dead/1", "_run/stage/dead/2", "_run/stage/mine/3"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    (tmp_path / "logits" / "zarr.3fa.partial").write_bytes(b"half")
    (tmp_path / "logits" / "c" / "0#1").write_bytes(b"half")
    assert store.sweep() == 4
    assert files(tmp_path) == ["_run/stage/mine/3", "logits/c/0", "part#1.parquet"]
    assert not (tmp_path / "_run" / "stage" / "dead").exists()


def test_a_sweep_may_take_the_folder_a_writer_is_about_to_fill(objects, monkeypatch):
    objects.put("a", b"1")
    other = LocalObjects(objects.path, label="other")
    write = staging._write
    swept: list[Any] = []

    def swept_meanwhile(folder, name, view, power):
        if not swept:
            swept.append(other.sweep())
        write(folder, name, view, power)

    monkeypatch.setattr(staging, "_write", swept_meanwhile)
    objects.put("a", b"2")
    assert swept
    assert objects.get("a") == b"2"
    assert objects.staged() == ()


def test_a_sweep_of_one_session_leaves_what_others_stage(objects):
    held: list[str] = []
    stage = Path(objects.path) / "_run" / "stage"
    for label in ("e000001-host-1-0", "e000002-host-2-0"):
        folder = stage / label
        folder.mkdir(parents=True)
        (folder / "1-0").write_bytes(b"half")
        held.append(f"_run/stage/{label}/1-0")
    assert sorted(objects.staged()) == held
    assert objects.sweep("e000001-") == 1
    assert objects.staged() == (held[1],)
    assert [path.name for path in stage.iterdir()] == ["e000002-host-2-0"]
