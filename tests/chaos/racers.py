"""Drivers that are started side by side, over a model that lets none of them finish too early."""

from __future__ import annotations

from typing import Any

from forks import ForkBench, ForkedProcess
from small_run import CHUNKS, ROWS, SETTINGS

# The last chunk waits until it may go on: nobody is done while others still try to get in.
WAITING_MODEL = f"""
import os, time
def f(x):
    open("at-work-" + str(os.getpid()), "a").close()
    while x[0, 0] >= {(CHUNKS - 1) * ROWS * 2} and not os.path.exists("go"):
        time.sleep(0.005)
    return {{"y": x * 2, "z": x.sum(1)}}
"""


class Racer:
    """One driver of a race."""

    def __init__(self, bench: ForkBench, name: str, *words: str, **sets: Any) -> None:
        self.err = bench.folder / f"{name}.err"
        self.err.unlink(missing_ok=True)
        command = bench.predict_command(**SETTINGS | sets)
        command[4:4] = words
        self.process: ForkedProcess = bench.forked(command, bench.folder / f"{name}.out", self.err)

    @property
    def said(self) -> str:
        return self.err.read_text()
