"""``sdk verify --requeue``: become the driver for a moment and record what is damaged."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from foretell.store.head import HeadWriter, read_head
from foretell.store.manifest import read_manifest
from foretell.store.open import open_objects
from foretell.store.records import ChunkDamaged, SessionEnded
from foretell.store.takeover import claim
from foretell.types import ChunkState, RunState


def requeue_chunks(
    url: str, chunks: Sequence[int], command: str = "", say: Callable[[str], None] = lambda _: None
) -> int:
    """Take damaged chunks out of DONE; the next resume computes them again.

    Returns:
        How many chunks were recorded; those that are not DONE are left as they are.

    Raises:
        HeldError: a live driver holds the run.
    """
    objects = open_objects(url)
    manifest = read_manifest(objects)
    ledger = claim(objects, manifest, command=command, say=say)
    table = ledger.table
    damaged = tuple(chunk for chunk in sorted(chunks) if table.state[chunk] == ChunkState.DONE)
    reason = f"{len(damaged)} damaged chunks are to be computed again"
    end = SessionEnded(RunState.INTERRUPTED.value, 75, time.time(), reason)
    ledger.append([ChunkDamaged(damaged), end] if damaged else [end])
    ledger.close()
    head = read_head(objects)
    if head is not None:
        plan = manifest.plan
        session = table.sessions[-1]
        HeadWriter(objects).write(
            replace(
                head,
                state=RunState.INTERRUPTED.value,
                time=time.time(),
                epoch=ledger.epoch,
                host=session.host,
                boot_id=session.boot_id,
                pid=session.pid,
                pid_started=session.pid_started,
                totals=table.totals(plan["n_rows"], plan["chunk_rows"]),
                last_segment=ledger.last_segment,
                fold=ledger.newest_fold,
                reason=reason,
                exit_code=75,
                workers=0,
                message="",
            )
        )
    return len(damaged)
