"""A store that is deleted, moved, replaced, or may not be written."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forks import ForkBench, Forks
from mounts import PlacedBench, read_only
from small_run import CHUNKS, ROWS, SETTINGS, Fault, finished, holds, predict, prepare, tree

GAVE_OUT, REFUSED = 7, 5
# Waits in the middle of the run until the test has done its worst.
WAITING = f"""
import os, time
def f(x):
    if x[0, 0] >= {CHUNKS // 2 * ROWS * 2}:
        open("waiting", "a").close()
        while not os.path.exists("go"):
            time.sleep(0.005)
    return {{"y": x * 2, "z": x.sum(1)}}
"""


def moved(store: Path) -> None:
    store.rename(store.with_name("moved"))


def replaced(store: Path) -> None:
    moved(store)
    store.mkdir()
    (store / "thesis.txt").write_text("somebody else's")


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("gone", [shutil.rmtree, moved, replaced])
def test_a_store_that_goes_away_ends_the_run_and_is_not_recreated(
    fork_bench: ForkBench, gone: Callable[[Path], None], workers: int
) -> None:
    bench = fork_bench
    prepare(bench)
    bench.model(WAITING)
    driver = bench.start(bench.predict_command(**SETTINGS | {"schedule__workers": workers}))
    messages = bench.folder / "messages.txt"
    while not (bench.folder / "waiting").exists() or holds(bench) < 2:
        assert driver.poll() is None, messages.read_text()
        time.sleep(0.01)
    remove_while_written(gone, bench.store)
    left = tree(bench.store) if bench.store.exists() else None
    (bench.folder / "go").touch()
    assert driver.wait(60) == GAVE_OUT, messages.read_text()
    assert "the run store has vanished" in messages.read_text()
    assert "nothing was created again in its place" in messages.read_text()
    assert (tree(bench.store) if bench.store.exists() else None) == left
    if gone is moved:
        (bench.folder / "moved").rename(bench.store)
        again = predict(bench)
        assert again.code == 0, again.err
        bench.verified()


def remove_while_written(gone: Callable[[Path], None], store: Path) -> None:
    """A heartbeat may land in a folder while it is being emptied: remove that as well."""
    for _ in range(100):
        try:
            return gone(store)
        except OSError:
            time.sleep(0.01)
    raise AssertionError("the store is written again and again")


def test_a_vanished_store_is_noticed_while_the_model_is_busy(fork_bench: ForkBench) -> None:
    bench = fork_bench
    prepare(bench)
    bench.model(WAITING)
    driver = bench.start(bench.predict_command(**SETTINGS | {"schedule__workers": 1}))
    messages = bench.folder / "messages.txt"
    while not (bench.folder / "waiting").exists():
        assert driver.poll() is None, messages.read_text()
        time.sleep(0.01)
    moved(bench.store)
    assert driver.wait(60) == GAVE_OUT, messages.read_text()
    assert not bench.store.exists()


# --- read-only ----------------------------------------------------------------------------------


@pytest.fixture
def placed(tmp_path: Path, forks: Forks) -> PlacedBench:
    bench = PlacedBench(tmp_path, forks=forks)
    bench.place.mkdir()
    prepare(bench)
    return bench


NOTING = """
import os
open("loaded", "a").close()
def f(x):
    return {"y": x * 2, "z": x.sum(1)}
"""


def refused(bench: PlacedBench, **sets: Any) -> None:
    """A start on a store that cannot be written: no model is loaded, nothing is changed."""
    before = tree(bench.place)
    (bench.folder / "loaded").unlink(missing_ok=True)
    with read_only(bench.place):
        done = predict(bench, **sets)
    assert done.code == REFUSED, done.err
    assert "Read-only file system" in done.err
    assert str(bench.store) in done.err
    assert not (bench.folder / "loaded").exists(), "the model was loaded"
    assert tree(bench.place) == before


def test_a_new_store_in_a_read_only_place_is_refused(placed: PlacedBench) -> None:
    placed.model(NOTING)
    refused(placed)
    refused(placed, schedule__workers=1)
    assert os.listdir(placed.place) == []


def test_a_read_only_store_is_not_continued(placed: PlacedBench) -> None:
    assert predict(placed).code == 0
    expected = placed.outputs()
    shutil.rmtree(placed.store)
    placed.model(NOTING)
    killed = Fault(placed, "op=put-staged,key=y/c.5.0,do=kill")
    assert predict(killed.bench).code == -9
    assert killed.met
    refused(placed)
    assert predict(placed).code == 0
    finished(placed, expected)
    with read_only(placed.place):
        assert predict(placed).code == 0  # nothing is left to do, so nothing is written
        assert placed.sdk("verify", "--deep", str(placed.store)).code == 0
        assert placed.sdk("status", str(placed.store)).code == 0


def test_a_store_that_is_being_deleted_is_not_filled_up_again(fork_bench: ForkBench) -> None:
    bench = fork_bench
    prepare(bench)
    bench.model(WAITING)
    driver = bench.start(bench.predict_command(**SETTINGS | {"schedule__workers": 1}))
    messages = bench.folder / "messages.txt"
    while not (bench.folder / "waiting").exists():
        assert driver.poll() is None, messages.read_text()
        time.sleep(0.01)
    # What is left in the middle of an ``rm -r``: the outputs, and no record.
    remove_while_written(shutil.rmtree, bench.store / "_run")
    left = tree(bench.store)
    (bench.folder / "go").touch()
    assert driver.wait(60) == GAVE_OUT, messages.read_text()
    assert "the run store has vanished" in messages.read_text()
    assert tree(bench.store) == left
