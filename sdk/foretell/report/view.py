"""Everything a page about a run shows, read once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from foretell.errors import StoreError
from foretell.previews.values import Preview
from foretell.report.chunk_map import ChunkMap, map_of
from foretell.report.pace import Pace, pace_of
from foretell.report.timeline import Timeline, WorkerShare, shares_of, timeline_of
from foretell.store.failure_records import FailureGroup, group_failures, read_failures
from foretell.store.objects import ObjectStore
from foretell.store.rings import read_workers
from foretell.store.sides import ChunkTimes, times_of
from foretell.store.snapshot import Snapshot, open_snapshot
from foretell.store.standing import Standing, standing_of
from foretell.types import ChunkState


@dataclass(frozen=True, slots=True)
class Picture:
    """What one output looks like.

    Attributes:
        name: Of the output.
        preview: As some registered preview made it.
        note: What was left out.
    """

    name: str
    preview: Preview
    note: str = ""


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as a page shows it.

    Attributes:
        standing: How it stands.
        snapshot: Its chunks.
        chunks: The chunk map.
        timeline: Which worker did what, when.
        pace: Rows a second over time, and how long chunks took.
        times: The same in few figures.
        shares: What each worker did.
        samples: Last sample of each worker by its index.
        failures: Groups of failures, the most frequent first.
        problem: Why the failures are not told; empty when they are.
        pictures: Previews of outputs.
    """

    standing: Standing
    snapshot: Snapshot
    chunks: ChunkMap
    timeline: Timeline
    pace: Pace
    times: ChunkTimes
    shares: tuple[WorkerShare, ...]
    samples: dict[int, dict[str, Any]] = field(default_factory=dict)
    failures: tuple[FailureGroup, ...] = ()
    problem: str = ""
    pictures: tuple[Picture, ...] = ()


def view_of(
    objects: ObjectStore, snapshot: Snapshot | None = None, *, cells: int = 4000
) -> RunView:
    """What a page about the run at ``objects`` shows.

    Args:
        objects: The run store.
        snapshot: The run, where it is open already; moved on to now.
        cells: Most cells of the chunk map.

    Raises:
        NotARun: there is none.
        StoreError: its manifest or ledger is damaged.
    """
    if snapshot is None:
        snapshot = open_snapshot(objects)
    else:
        snapshot.refresh()
    table, plan = snapshot.table, snapshot.plan
    failures, problem = _failures(objects, snapshot)
    standing = standing_of(objects)
    return RunView(
        standing=standing,
        snapshot=snapshot,
        chunks=map_of(_settled(table.state, standing.live), cells, table.quarantined),
        timeline=timeline_of(table),
        pace=pace_of(table, plan.n_rows, plan.chunk_rows),
        times=times_of(table, plan.n_rows, plan.chunk_rows),
        shares=shares_of(table, plan.n_rows, plan.chunk_rows),
        samples=_samples(objects),
        failures=failures,
        problem=problem,
    )


def _settled(state: np.ndarray, live: bool) -> np.ndarray:
    """The states of chunks; what a driver that is gone had in hand is pending, as in the totals."""
    if live:
        return state
    settled: np.ndarray = np.where(state == ChunkState.RUNNING, ChunkState.PENDING, state)
    return settled.astype(np.uint8)


def _failures(objects: ObjectStore, snapshot: Snapshot) -> tuple[tuple[FailureGroup, ...], str]:
    try:
        return tuple(group_failures(read_failures(objects), snapshot.table)), ""
    except StoreError as error:
        return (), error.message


def _samples(objects: ObjectStore) -> dict[int, dict[str, Any]]:
    found = {}
    for sample in read_workers(objects)[1]:
        if isinstance(sample, dict) and isinstance(sample.get("index"), int):
            found[sample["index"]] = sample
    return found
