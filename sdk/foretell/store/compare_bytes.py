"""Stored bytes of two runs, chunk by chunk, by their ledgers alone: nothing is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretell.store.sides import Side
from foretell.types import ChunkState, OutputSpec

SHOWN_CHUNKS = 20
_BYTES_DECIDE = ("kind", "compression")


@dataclass(frozen=True, slots=True)
class Digests:
    """Stored bytes compared by the ledgers alone; nothing is read.

    Attributes:
        compared: Chunks that are done in both runs.
        different: Those whose bytes differ.
        chunks: The first of their ids.
        reason: Why bytes cannot be compared; empty where they can.
    """

    compared: int = 0
    different: int = 0
    chunks: tuple[int, ...] = ()
    reason: str = ""


def digests_of(a: Side, b: Side) -> Digests:
    """The stored bytes of two runs of one plan, by their ledgers."""
    reason = _why_not(a, b)
    if reason or a.table is None or b.table is None:
        return Digests(reason=reason)
    different = differing_chunks(a, b)
    done = int(_both_done(a, b).sum())
    return Digests(done, len(different), tuple(different[:SHOWN_CHUNKS].tolist()))


def differing_chunks(a: Side, b: Side) -> np.ndarray:
    """int64 ids of the chunks, done in both runs of one plan, whose bytes differ."""
    if _why_not(a, b) or a.table is None or b.table is None:
        return np.zeros(0, np.int64)
    both = _both_done(a, b)
    differ = (a.table.crcs[both] != b.table.crcs[both]).any(axis=1)
    differ |= (a.table.sizes[both] != b.table.sizes[both]).any(axis=1)
    found: np.ndarray = np.flatnonzero(both)[differ]
    return found


def _both_done(a: Side, b: Side) -> np.ndarray:
    assert a.table is not None
    assert b.table is not None
    both: np.ndarray = (a.table.state == ChunkState.DONE) & (b.table.state == ChunkState.DONE)
    return both


def _why_not(a: Side, b: Side) -> str:
    """Why the bytes of two runs say nothing about each other; empty when they do."""
    for side in (a, b):
        if side.table is None:
            return f"the ledger of {side.shown} cannot be read"
    one, other = a.manifest.plan, b.manifest.plan
    if any(one.get(key) != other.get(key) for key in ("n_rows", "row_offset", "chunk_rows")):
        return "the runs are cut into other chunks"
    if _described(a.outputs) != _described(b.outputs):
        return "the runs have other outputs"
    writers = [(side.manifest.job.get("writer") or {}) for side in (a, b)]
    if any(writers[0].get(key) != writers[1].get(key) for key in _BYTES_DECIDE):
        return "the runs are stored in other ways"
    assert a.table is not None
    assert b.table is not None
    if a.table.objects_per_chunk != b.table.objects_per_chunk:
        return "the runs store other objects"
    return ""


def _described(outputs: tuple[OutputSpec, ...]) -> list[tuple[str, str]]:
    return [(spec.name, spec.describe()) for spec in outputs]
