"""Which chunks an earlier session may have died of, as far as its workers' boards still tell."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from foretell.engine.board import Phase, read_board
from foretell.paths import cache_dir
from foretell.store.identity import boot_id, host_name
from foretell.store.table import ChunkTable


def suspects_of(table: ChunkTable, run: str) -> np.ndarray:
    """The chunks that were in the model when the last session died.

    The ledger knows what was in flight; the boards of that session's workers, where they are on
    this host and still there, know which of it was in the model. The boards are removed.

    Args:
        table: The ledger, this session's start applied.
        run: Name of the run, as in the boards' file names.

    Returns:
        int64 chunk ids, ascending.
    """
    flagged = np.flatnonzero(table.suspect)
    boards = list(_boards(table, run))
    in_model: set[int] = set()
    for board in boards:
        in_model.update(s.chunk for s in read_board(board) if s.phase is Phase.MODEL)
        board.unlink(missing_ok=True)
        board.with_suffix(".out").unlink(missing_ok=True)
    if not boards:
        return flagged
    table.suspect[[chunk for chunk in flagged.tolist() if chunk not in in_model]] = False
    return np.flatnonzero(table.suspect)


def _boards(table: ChunkTable, run: str) -> Iterable[Path]:
    sessions = {session.epoch: session for session in table.sessions[:-1]}
    if not sessions:
        return
    last = max(sessions)
    for worker, epoch in zip(table.workers, table.worker_epochs, strict=True):
        here = sessions.get(epoch)
        if epoch != last or here is None or here.boot_id != boot_id():
            continue
        board = cache_dir() / "boards" / f"{run}-{worker.pid}.board"
        if worker.host == host_name() and board.exists():
            yield board
