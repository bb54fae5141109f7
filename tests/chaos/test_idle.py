"""A finished run that is started again predicts nothing and changes no byte of its store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from forks import ForkBench
from small_run import SETTINGS, Fault, predict, prepare, tree

COUNTING = """
def f(x):
    open("called", "a").close()
    if (x[:, 0] == {bad}).any():
        raise ValueError("a bad row")
    return {{"y": x * 2, "z": x.sum(1)}}
"""


def folders(store: Path) -> dict[str, int]:
    return {
        str(path.relative_to(store)): path.stat().st_mtime_ns
        for path in [store, *store.rglob("*")]
        if path.is_dir()
    }


@pytest.mark.parametrize(("bad", "code"), [(-1, 0), (100, 3)], ids=["complete", "partial"])
def test_nothing_is_done_again(fork_bench: ForkBench, bad: int, code: int) -> None:
    bench = fork_bench
    prepare(bench)
    bench.model(COUNTING.format(bad=bad))
    assert predict(bench).code == code
    (bench.folder / "called").unlink()
    before = tree(bench.store), folders(bench.store)
    store, predicting = str(bench.store), bench.predict_command(**SETTINGS)
    take_over = [*predicting[:4], "--take-over", *predicting[4:]]
    for command in (
        predicting,
        bench.predict_command(**SETTINGS | {"schedule__workers": 1}),
        take_over,
        bench.command("resume", store, sets={}),
        bench.command("status", store, sets={}),
        bench.command("show", store, sets={}),
        bench.command("failures", store, sets={}),
        bench.command("verify", "--deep", store, sets={}),
    ):
        done = bench.run(command)
        looking = command[3] not in ("predict", "resume")
        assert done.code == (0 if looking else code), done.err
        assert looking or "nothing left to do" in done.err
        assert (tree(bench.store), folders(bench.store)) == before, command[3]
    assert not (bench.folder / "called").exists(), "the model was called again"


def test_nothing_but_the_store_and_the_cache_is_touched(fork_bench: ForkBench) -> None:
    bench = fork_bench
    prepare(bench)

    def others() -> dict[str, tuple[int, int, bytes]]:
        return {
            key: value
            for key, value in tree(bench.folder).items()
            if key.split(os.sep)[0] not in ("out.zarr", "cache", "err.txt", "out.txt", "fault.mark")
        }

    before = others()
    killed = Fault(bench, "op=put-staged,key=y/c.5.0,do=kill")
    assert predict(killed.bench).code == -9
    assert predict(bench, schedule__workers=1).code == 0
    after = others()
    assert {key: value for key, value in after.items() if "__pycache__" not in key} == before
