"""A run of eight chunks, faults injected into it, and what must hold afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from foretell.errors import NotARun, NotYetPredicted
from foretell.types import ChunkState
from forks import ForkBench
from workbench import Finished, Workbench

CHUNKS = 8
ROWS = 16
SETTINGS: dict[str, Any] = {
    "schedule__chunk": ROWS,
    "predictor__batch_size": ROWS,
    "schedule__workers": 0,
}
MODEL = """
def f(x):
    return {"y": x * 2, "z": x.sum(1)}
"""


def values() -> np.ndarray:
    return np.arange(CHUNKS * ROWS * 2, dtype="float32").reshape(-1, 2)


def prepare(bench: Workbench) -> None:
    """Source and model of the run."""
    bench.data(values())
    bench.model(MODEL)


def predict(bench: Workbench, **sets: Any) -> Finished:
    """Start or continue the run."""
    return bench.predict(**SETTINGS | sets)


def finished(bench: Workbench, expected: dict[str, bytes]) -> None:
    """The run ended whole: the same bytes, clean, nothing and nobody left behind."""
    assert bench.outputs() == expected
    assert not bench.leftovers()
    bench.verified()
    bench.nobody_left()
    run = bench.opened()
    assert run.status().state == "done"
    np.testing.assert_array_equal(run["y"][:], values() * 2)
    np.testing.assert_array_equal(run["z"][:], values().sum(1))


def holds(bench: Workbench) -> int:
    """What was recorded is there, the rest is not handed out; returns the chunks done.

    May be asked of a store at any moment, of a live one too.
    """
    try:
        run = bench.opened()
    except NotARun:
        return 0
    before = run.snapshot.table.state.copy()
    for chunk in range(CHUNKS):
        rows = slice(chunk * ROWS, (chunk + 1) * ROWS)
        try:
            y, z = run["y"][rows], run["z"][rows]
        except NotYetPredicted:
            assert before[chunk] != ChunkState.DONE
            continue
        run.snapshot.refresh()
        assert run.snapshot.table.state[chunk] == ChunkState.DONE, f"chunk {chunk} is not done"
        np.testing.assert_array_equal(y, values()[rows] * 2)
        np.testing.assert_array_equal(z, values()[rows].sum(1))
    return int((before == ChunkState.DONE).sum())


def tree(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file below a folder: inode, time of its last change, bytes."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            status = path.stat()
            found[str(path.relative_to(folder))] = (
                status.st_ino,
                status.st_mtime_ns,
                path.read_bytes(),
            )
    return found


# --- faults -------------------------------------------------------------------------------------


class Fault:
    """A fault for one command, and the proof that it was met."""

    def __init__(self, bench: ForkBench, fault: str) -> None:
        self.mark = bench.folder / "fault.mark"
        self.mark.unlink(missing_ok=True)
        variables = {"FORETELL_TESTING_FAULT": fault, "FORETELL_TESTING_FAULT_MARK": str(self.mark)}
        self.bench = replace(bench, extra_env=bench.extra_env | variables)

    @property
    def met(self) -> bool:
        return self.mark.exists()

    @property
    def place(self) -> str:
        """``operation key`` of the place where it happened."""
        return self.mark.read_text().strip().partition(" ")[2]


def traced(bench: ForkBench) -> list[str]:
    """The store operations of a whole run, in order: ``put y/c.3.0`` …"""
    trace = bench.folder / "trace.txt"
    variables = {"FORETELL_TESTING_TRACE": str(trace)}
    done = predict(replace(bench, extra_env=bench.extra_env | variables))
    assert done.code == 0, done.err
    return [line.split(" ", 1)[1] for line in trace.read_text().splitlines()]


def kinds(operations: list[str]) -> Iterator[tuple[str, int]]:
    """Each sort of operation, and the number of one in its middle."""
    sorts: dict[str, list[int]] = {}
    for number, operation in enumerate(operations, start=1):
        sorts.setdefault(re.sub(r"\d+", "N", operation), []).append(number)
    for sort, numbers in sorts.items():
        yield sort, numbers[len(numbers) // 2]
