"""One run as a comparison sees it: what its manifest, head and ledger say, in few figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from foretell.errors import StoreError
from foretell.plan import Plan
from foretell.redact import redact_url
from foretell.store.failure_records import read_failures
from foretell.store.head import Head, Totals, read_head
from foretell.store.manifest import Manifest, read_manifest
from foretell.store.objects import ObjectStore
from foretell.store.rings import read_workers
from foretell.store.snapshot import Snapshot
from foretell.store.standing import settled
from foretell.store.status import Pulse, Watch
from foretell.store.table import ChunkTable
from foretell.types import ChunkState, OutputSpec, RunState


@dataclass(frozen=True, slots=True)
class ChunkTimes:
    """How long chunks took, over all sessions; None where no chunk is done.

    Attributes:
        p50, p95: Seconds of a chunk.
        busy: Seconds in which at least one chunk was in hand.
        rate: Rows a second in that time.
    """

    p50: float | None = None
    p95: float | None = None
    busy: float | None = None
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One run.

    Attributes:
        shown: The run as it can be typed, secrets removed.
        manifest: What it is.
        word: Its state; ``lost`` where its driver is known to be gone.
        totals: Counts.
        times: How long chunks took.
        outputs: What it stores.
        sessions: Drivers it had.
        workers: Worker processes it had.
        hosts: Where its drivers and workers ran.
        devices: What its workers say they compute on.
        peak: Bytes that the largest worker of the last session held, None where it is unknown.
        failures: Failed attempts and lost rows by kind.
        problem: Why the figures are not whole; empty when they are.
        snapshot: The run, None where its ledger cannot be read.
    """

    shown: str
    manifest: Manifest
    word: str
    totals: Totals
    times: ChunkTimes = field(default_factory=ChunkTimes)
    outputs: tuple[OutputSpec, ...] = ()
    sessions: int = 0
    workers: int = 0
    hosts: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    peak: float | None = None
    failures: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""
    snapshot: Snapshot | None = field(default=None, compare=False, repr=False)

    @property
    def table(self) -> ChunkTable | None:
        """Every chunk, None where the ledger cannot be read."""
        return None if self.snapshot is None else self.snapshot.table


def side_of(objects: ObjectStore) -> Side:
    """The run at ``objects``. A damaged ledger leaves what manifest and head say.

    Raises:
        NotARun: there is none.
        StoreError: its manifest is damaged, or of a newer version.
    """
    manifest = read_manifest(objects)
    shown = redact_url(objects.url)
    try:
        snapshot = Snapshot(objects, manifest)
    except (StoreError, KeyError, TypeError, ValueError) as error:
        return _by_head(objects, shown, manifest, error)
    table, plan = snapshot.table, snapshot.plan
    word = _word(snapshot)
    samples = read_workers(objects)[1]
    totals = table.totals(plan.n_rows, plan.chunk_rows)
    over = word == Pulse.LOST.value or snapshot.state.ended
    hosts = [session.host for session in table.sessions]
    hosts += [worker.host for worker in table.workers]
    return Side(
        shown=shown,
        manifest=manifest,
        word=word,
        totals=settled(totals) if over else totals,
        times=times_of(table, plan.n_rows, plan.chunk_rows),
        outputs=plan.outputs,
        sessions=len(table.sessions),
        workers=len(table.workers),
        hosts=tuple(dict.fromkeys(hosts)),
        devices=_devices(samples),
        peak=_peak(samples),
        failures=_failures(objects, snapshot.head),
        snapshot=snapshot,
    )


def times_of(table: ChunkTable, n_rows: int, chunk_rows: int) -> ChunkTimes:
    """How long the done chunks of a run took."""
    done = table.state == ChunkState.DONE
    if not done.any():
        return ChunkTimes()
    seconds = table.milliseconds[done] / 1000.0
    p50, p95 = np.percentile(seconds, (50, 95))
    busy = covered(table.started[done], seconds)
    rows = table.totals(n_rows, chunk_rows).rows_done
    return ChunkTimes(float(p50), float(p95), busy, rows / busy if busy > 0 else None)


def covered(starts: np.ndarray, lengths: np.ndarray) -> float:
    """Length of the union of intervals."""
    order = np.argsort(starts, kind="stable")
    begin, end = starts[order], starts[order] + lengths[order]
    reached = np.maximum.accumulate(end)
    before = np.concatenate(([begin[0]], reached[:-1]))
    return float(np.maximum(0.0, end - np.maximum(begin, before)).sum())


def _word(snapshot: Snapshot) -> str:
    judgement = Watch(lambda: snapshot.head).look()
    if judgement is None or snapshot.state.ended or snapshot.state == RunState.PLANNED:
        return snapshot.state.value
    return Pulse.LOST.value if judgement.pulse is Pulse.LOST else snapshot.state.value


def _failures(objects: ObjectStore, head: Head | None) -> dict[str, int]:
    if head is not None:
        return dict(head.failure_kinds)
    counted: Counter[str] = Counter()
    try:
        for failure in read_failures(objects):
            counted[failure.kind] += failure.weight
    except StoreError:
        return {}
    return dict(counted)


def _peak(samples: Sequence[Any]) -> float | None:
    peaks = [sample.get("rss_peak") for sample in samples if isinstance(sample, dict)]
    known = [float(peak) for peak in peaks if isinstance(peak, int | float)]
    return max(known, default=None)


def _devices(samples: Sequence[Any]) -> tuple[str, ...]:
    """Devices of the last sample of every worker; a sample may hold anything."""
    found: list[str] = []
    for worker in samples:
        deployment = worker.get("deployment") if isinstance(worker, dict) else None
        devices = deployment.get("devices") if isinstance(deployment, dict) else None
        found += [str(name) for name in devices] if isinstance(devices, list) else []
    return tuple(sorted(set(found)))


def _planned(manifest: Manifest) -> tuple[OutputSpec, ...]:
    try:
        return Plan.from_json(manifest.plan).outputs
    except (KeyError, TypeError, ValueError):
        return ()


def _by_head(objects: ObjectStore, shown: str, manifest: Manifest, error: Exception) -> Side:
    head = read_head(objects)
    message = error.message if isinstance(error, StoreError) else f"{type(error).__name__}"
    return Side(
        shown=shown,
        manifest=manifest,
        word=head.state if head is not None else "unknown",
        totals=head.totals if head is not None else Totals(),
        failures=dict(head.failure_kinds) if head is not None else {},
        outputs=_planned(manifest),
        problem=f"its ledger cannot be read: {message}",
    )
