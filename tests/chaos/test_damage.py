"""Damaged bytes anywhere in a store: found and named, never handed out, and healed where it can."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from foretell.engine import parts
from foretell.errors import StoreError
from foretell.store.manifest import read_manifest
from foretell.store.open import open_objects
from foretell.store.records import SessionEnded
from foretell.store.snapshot import open_snapshot
from foretell.store.takeover import claim
from foretell.store.verify import verify
from forks import ForkBench, Forks
from small_run import SETTINGS, Fault, finished, predict, prepare, tree, values

CLEAN, DAMAGED, BROKEN = 0, 3, 5
# One row fails, so that there is a failure to store.
MODEL = """
def f(x):
    if (x[:, 0] == 100).any():
        raise ValueError("row 50")
    return {"y": x * 2, "z": x.sum(1)}
"""
TOLERATED = re.compile(r"_run/(head\.json|workers\.json|log/.*|metrics/.*)")
"""What a damaged byte costs a viewer something, and the run nothing."""
RECORD = re.compile(r"_run/(manifest\.json|ledger/.*)")


def meaning(key: str) -> int:
    """What ``verify`` exits with when a byte of an object is not as it was written."""
    if TOLERATED.fullmatch(key):
        return CLEAN
    return BROKEN if RECORD.fullmatch(key) else DAMAGED


@pytest.fixture(scope="module")
def store(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> ForkBench:
    """A finished run with a failure, a log, figures and a fold."""
    bench = ForkBench(tmp_path_factory.mktemp("damage"), forks=forks)
    prepare(bench)
    bench.model(MODEL)
    done = predict(bench)
    assert done.code == 3, done.err
    objects = open_objects(str(bench.store))
    ledger = claim(objects, read_manifest(objects))
    assert ledger.fold(force=True)
    ledger.append([SessionEnded("partial", 3, 0.0)])
    ledger.close()
    assert checked(bench) == CLEAN
    kinds = {re.sub(r"\d+", "N", key) for key in keys(bench)}
    assert {"_run/failures/N.jsonl", "_run/ledger/N.jsonl", "_run/manifest.json"} <= kinds
    assert any(kind.startswith("_run/fold/") for kind in kinds)
    return bench


def keys(bench: ForkBench) -> list[str]:
    files = (path for path in bench.store.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(bench.store)) for path in files)


def checked(bench: ForkBench) -> int:
    """The exit code of ``verify --deep``, without the command around it."""
    objects = open_objects(str(bench.store))
    try:
        snapshot = open_snapshot(objects)
        section = {k: v for k, v in snapshot.manifest.job["writer"].items() if v is not None}
        writer = parts.build_writer(section, str(bench.folder), objects)
        return verify(snapshot, writer, deep=True).exit_code
    except StoreError as error:
        return error.exit_code


class Flip:
    """One flipped bit, while inside."""

    def __init__(self, path: Path, bit: int) -> None:
        self.path = path
        self.before = path.read_bytes()
        data = bytearray(self.before)
        data[bit // 8 % len(data)] ^= 1 << bit % 8
        self.after = bytes(data)

    def __enter__(self) -> None:
        self.path.write_bytes(self.after)

    def __exit__(self, *_: object) -> None:
        self.path.write_bytes(self.before)


def readable(bench: ForkBench) -> Iterator[int]:
    """Chunks that can be read; what is read is right."""
    run = bench.opened()
    wanted = values() * 2
    for chunk in range(8):
        rows = slice(chunk * 16, chunk * 16 + 16)
        try:
            got = run["y"].masked()[rows]
        except StoreError:
            continue
        kept = np.ma.getmaskarray(got)
        np.testing.assert_array_equal(np.ma.getdata(got)[~kept], wanted[rows][~kept])
        yield chunk


def flip_is_found(bench: ForkBench, key: str, bit: int) -> None:
    with Flip(bench.store / key, bit):
        assert checked(bench) == meaning(key), f"{key}, bit {bit}"
        if meaning(key) != BROKEN:
            list(readable(bench))


def test_a_flipped_bit_in_every_object_is_found(store: ForkBench) -> None:
    chooser = random.Random(6)
    for key in keys(store):
        size = (store.store / key).stat().st_size
        flip_is_found(store, key, chooser.randrange(size * 8))
    assert checked(store) == CLEAN


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_every_flipped_byte_is_found(store: ForkBench) -> None:
    chooser = random.Random(7)
    for key in keys(store):
        for byte in range((store.store / key).stat().st_size):
            flip_is_found(store, key, byte * 8 + chooser.randrange(8))


# --- through the command --------------------------------------------------------------------------


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [flipped, shortened, emptied, Path.unlink])
def test_damaged_data_is_named_and_healed(
    fork_bench: ForkBench, damage: Callable[[Path], None]
) -> None:
    prepare(fork_bench)
    assert predict(fork_bench).code == 0
    expected = fork_bench.outputs()
    damage(fork_bench.store / "y" / "c.3.0")
    damage(fork_bench.store / "valid" / "c.6")
    with pytest.raises(StoreError, match="chunk 3"):
        fork_bench.opened()["y"][:]
    found = fork_bench.sdk("verify", str(fork_bench.store))
    assert found.code == DAMAGED
    assert re.search(r"chunk 3 +y/c\.3\.0", found.out)
    assert re.search(r"chunk 6 +valid/c\.6", found.out)
    assert "--requeue" in found.out
    before = tree(fork_bench.store)
    assert fork_bench.sdk("verify", str(fork_bench.store)).code == DAMAGED
    assert tree(fork_bench.store) == before
    requeued = fork_bench.sdk("verify", "--requeue", str(fork_bench.store))
    assert requeued.code == DAMAGED
    assert "2 chunks recorded as damaged" in requeued.out
    resumed = fork_bench.sdk("resume", str(fork_bench.store))
    assert resumed.code == 0, resumed.err
    finished(fork_bench, expected)


@pytest.mark.parametrize("damage", [flipped, shortened, emptied, Path.unlink])
@pytest.mark.parametrize("number", [1, 4])
def test_a_damaged_ledger_stops_every_driver(
    fork_bench: ForkBench, damage: Callable[[Path], None], number: int
) -> None:
    prepare(fork_bench)
    assert predict(fork_bench).code == 0
    key = f"_run/ledger/{number:012d}.jsonl"
    damage(fork_bench.store / key)
    before = tree(fork_bench.store)
    store = str(fork_bench.store)
    for command in (
        fork_bench.predict_command(**SETTINGS),
        fork_bench.command("resume", store, sets={}),
        fork_bench.command("retry", store, sets={}),
        fork_bench.command("verify", store, sets={}),
        fork_bench.command("verify", "--requeue", store, sets={}),
    ):
        refused = fork_bench.run(command)
        assert refused.code == BROKEN, refused.err
        assert key in refused.err + refused.out
        assert tree(fork_bench.store) == before


def test_a_damaged_manifest_stops_every_driver(fork_bench: ForkBench) -> None:
    prepare(fork_bench)
    assert predict(fork_bench).code == 0
    flipped(fork_bench.store / "_run" / "manifest.json")
    before = tree(fork_bench.store)
    for words in (["resume"], ["verify"], ["status"], ["verify", "--requeue"]):
        refused = fork_bench.sdk(*words, str(fork_bench.store))
        assert refused.code == BROKEN, refused.err
        assert "_run/manifest.json" in refused.err
    assert predict(fork_bench).code == BROKEN
    assert tree(fork_bench.store) == before


def test_a_damaged_head_costs_nothing(fork_bench: ForkBench) -> None:
    prepare(fork_bench)
    assert predict(fork_bench).code == 0
    expected = fork_bench.outputs()
    flipped(fork_bench.store / "_run" / "head.json")
    assert fork_bench.json("status", str(fork_bench.store))["state"] == "done"
    assert predict(fork_bench).code == 0
    finished(fork_bench, expected)


def test_damaged_failures_are_named_and_the_run_goes_on_without_them(fork_bench: ForkBench) -> None:
    prepare(fork_bench)
    fork_bench.model(MODEL)
    assert predict(fork_bench).code == 3
    key = "_run/failures/000000000001.jsonl"
    flipped(fork_bench.store / key)
    for words in (["failures"], ["retry"]):
        refused = fork_bench.sdk(*words, str(fork_bench.store))
        assert refused.code == BROKEN
        assert f"remove {key}" in refused.err
    found = fork_bench.sdk("verify", str(fork_bench.store))
    assert found.code == DAMAGED
    assert key in found.out
    (fork_bench.store / key).unlink()
    assert fork_bench.sdk("retry", str(fork_bench.store)).code == 3


def test_a_gap_the_head_does_not_know_of_stops_every_driver(fork_bench: ForkBench) -> None:
    prepare(fork_bench)
    # Killed within a second, so that the head is older than the ledger.
    killed = Fault(fork_bench, "op=put-staged,key=y/c.6.0,do=kill")
    assert predict(killed.bench).code == -9
    assert killed.met
    head = fork_bench.opened().head
    assert head is not None
    segments = sorted((fork_bench.store / "_run" / "ledger").iterdir())
    assert head.last_segment < 2 < len(segments)
    key = "_run/ledger/000000000002.jsonl"
    (fork_bench.store / key).unlink()
    before = tree(fork_bench.store)
    refused = predict(fork_bench)
    assert refused.code == BROKEN, refused.err
    assert key in refused.err
    assert tree(fork_bench.store) == before
