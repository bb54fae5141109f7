"""``sdk verify --requeue``: a short driver session that records damage and computes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from foretell.abc import Writer
from foretell.engine.recorder import Recorder, SessionFacts
from foretell.plan import Plan
from foretell.run.execute import SilentSink
from foretell.store.head import Head, read_head
from foretell.store.ledger import LedgerWriter
from foretell.store.manifest import Manifest, read_manifest
from foretell.store.objects import ObjectStore
from foretell.store.rates import RateMeter
from foretell.store.records import ChunkDamaged
from foretell.store.takeover import claim
from foretell.text import plural
from foretell.types import ChunkState, RunState


def requeue_chunks(
    objects: ObjectStore,
    writer: Writer,
    chunks: Sequence[int],
    command: str = "",
    say: Callable[[str], None] = lambda text: None,
) -> int:
    """Record chunks as damaged, so that the next ``resume`` computes them again.

    Runs as the run's driver: a new epoch, so no other driver's view goes stale unseen. The outputs
    are marked incomplete before that is recorded anywhere.

    Args:
        objects: The run store.
        writer: Its writer, opened.
        chunks: Chunks that ``verify`` found damaged.
        command: What the user typed, for the record.
        say: Told what is being waited for.

    Returns:
        How many of them were done, and are now damaged.

    Raises:
        HeldError: a live driver holds the run.
    """
    manifest = read_manifest(objects)
    ledger = claim(objects, manifest, command=command, say=say)
    try:
        return _record(objects, manifest, ledger, writer, chunks)
    finally:
        ledger.close()


def _record(
    objects: ObjectStore,
    manifest: Manifest,
    ledger: LedgerWriter,
    writer: Writer,
    chunks: Sequence[int],
) -> int:
    state = ledger.table.state
    damaged = tuple(chunk for chunk in sorted(chunks) if state[chunk] == ChunkState.DONE)
    recorder = _recorder(objects, manifest, ledger)
    if damaged:
        writer.finalize(False, {})
        recorder.add(ChunkDamaged(damaged))
        recorder.flush()
    reason = f"verify found {plural(len(damaged), 'damaged chunk')}"
    recorder.end(RunState.INTERRUPTED, 75, reason)
    recorder.beat(RunState.INTERRUPTED, 0, reason=reason, exit_code=75)
    return len(damaged)


def _recorder(objects: ObjectStore, manifest: Manifest, ledger: LedgerWriter) -> Recorder:
    session, head = ledger.table.sessions[-1], read_head(objects)
    facts = SessionFacts(
        url=objects.url,
        epoch=ledger.epoch,
        host=session.host,
        boot_id=session.boot_id,
        pid=session.pid,
        pid_started=session.pid_started,
        started=time.time(),
        interval=5.0 if objects.remote else 1.0,
        resumed=int((ledger.table.state == ChunkState.DONE).sum()),
        unit=_unit(head),
    )
    rates = RateMeter(time.monotonic, 1)
    plan = Plan.from_json(manifest.plan)
    return Recorder(ledger, objects, plan, facts, SilentSink(), None, rates)


def _unit(head: Head | None) -> str:
    return head.unit if head is not None else "rows"
