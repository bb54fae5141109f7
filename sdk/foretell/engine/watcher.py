"""The watcher of a run inside the calling process: ends it when a chunk exceeds its hard limit.

With ``workers = 0`` a hung model holds the very process that should notice. The command therefore
starts this small process beside itself when a timeout is set. It imports nothing but the board.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foretell.engine.board import Phase, read_board
from foretell.store.identity import is_alive, process_started

CHECK_EVERY = 0.25


def watch(board: str, pid: int, started: float, timeout: float) -> int:
    """Watch a process until it ends, or end it; returns the exit code of the watcher."""
    while is_alive(pid, started):
        now = time.monotonic()
        for stamp in read_board(board):
            working = stamp.phase not in (Phase.IDLE, Phase.WAIT, Phase.LOAD)
            if working and stamp.elapsed(now) > timeout:
                sys.stderr.write(
                    f"chunk {stamp.chunk} runs for more than {timeout:g} s: ended (exit 137); "
                    "the same command goes on and runs this chunk last\n"
                )
                os.kill(pid, signal.SIGKILL)
                return 1
        time.sleep(CHECK_EVERY)
    return 0


@contextmanager
def watched(board: Path, timeout: float | None) -> Iterator[None]:
    """Have this process watched while inside; does nothing without a timeout."""
    if timeout is None:
        yield
        return
    pid = os.getpid()
    arguments = [str(board), str(pid), str(process_started(pid)), str(timeout)]
    process = subprocess.Popen([sys.executable, "-m", __name__, *arguments])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    _, path, number, since, limit = sys.argv
    sys.exit(watch(path, int(number), float(since), float(limit)))
