"""A run of 64 chunks that notes what it computes and who computed it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from foretell.errors import NotARun
from foretell.types import ChunkState
from workbench import Workbench

CHUNKS = 64
ROWS = 32
SETTINGS: dict[str, Any] = {"schedule__chunk": ROWS, "predictor__batch_size": ROWS}
# Each batch notes its first row and its process, so that what was computed can be counted.
MODEL = """
import os, time
def f(x):
    time.sleep(0.02)
    line = b"%d %d\\n" % (int(x[0, 0]), os.getpid())
    log = os.open("computed.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(log, line)
    os.close(log)
    return {"y": x * 2, "z": x.sum(1)}
"""


@dataclass(frozen=True)
class Computed:
    """One batch that went through the model."""

    chunk: int
    pid: int


def prepare(bench: Workbench) -> None:
    bench.data(np.arange(CHUNKS * ROWS * 2, dtype="float32").reshape(-1, 2))
    bench.model(MODEL)


def reference(bench: Workbench, **sets: Any) -> dict[str, bytes]:
    """What an uninterrupted run stores."""
    prepare(bench)
    done = bench.predict(**SETTINGS | {"schedule__workers": 0} | sets)
    assert done.code == 0, done.err
    return bench.outputs()


def computed(bench: Workbench) -> list[Computed]:
    """Every batch so far, in order; of a dry batch too, which looks like the first chunk's."""
    log = bench.folder / "computed.log"
    lines = log.read_text().splitlines() if log.exists() else []
    pairs = (line.split() for line in lines if line.count(" ") == 1)
    return [Computed(int(first) // (2 * ROWS), int(pid)) for first, pid in pairs]


def in_state(bench: Workbench, *states: ChunkState) -> set[int]:
    """Chunks that the ledger has in one of these states; none before there is a run."""
    try:
        table = bench.opened().snapshot.table
    except NotARun:
        return set()
    return set(np.flatnonzero(np.isin(table.state, states)).tolist())


def whole(bench: Workbench, expected: dict[str, bytes]) -> None:
    """The run ended as one that nothing happened to."""
    assert bench.outputs() == expected
    assert not bench.leftovers()
    bench.verified()
    bench.nobody_left()
