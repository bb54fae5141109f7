"""Checks a run's own record: manifest, ledger, folds, and what else lies under ``_run/``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from foretell.errors import DamagedLedger, StoreError
from foretell.store.failure_records import failure_segments, read_failure_segment
from foretell.store.fold import (
    DamagedFold,
    Fold,
    complete_folds,
    damaged_documents,
    read_fold,
)
from foretell.store.layout import FOLD, LEDGER, MANIFEST, RUN, fold_key, number_of, segment_key
from foretell.store.manifest import read_manifest
from foretell.store.objects import ObjectStore
from foretell.store.projection import Projection
from foretell.store.report import Problem
from foretell.store.segments import decode_segment
from foretell.store.snapshot import Snapshot
from foretell.store.table import COLUMNS, OBJECT_COLUMNS, ChunkTable
from foretell.types import RESERVED_OUTPUTS

_FORBIDDEN = (f"{RUN}/zarr.json", f"{RUN}/.zgroup", f"{RUN}/.zarray")


def check_record(snapshot: Snapshot) -> list[Problem]:
    """Everything but the outputs."""
    objects = snapshot.objects
    return [
        *_check_manifest(snapshot),
        *_check_ledger(snapshot),
        *_check_failures(objects),
        *_check_reserved(snapshot),
        *_check_staged(objects, snapshot.table.ended is not None),
    ]


def _check_manifest(snapshot: Snapshot) -> Iterator[Problem]:
    try:
        stored = read_manifest(snapshot.objects)
    except StoreError as error:
        yield Problem("manifest", f"{error.message}: {dict(error.facts).get('why', '')}", MANIFEST)
        return
    if stored.hash != snapshot.manifest.hash:
        yield Problem("manifest", "it was replaced since the run was opened", MANIFEST)


def _check_failures(objects: ObjectStore) -> Iterator[Problem]:
    for number in failure_segments(objects):
        try:
            read_failure_segment(objects, number)
        except FileNotFoundError:
            continue
        except DamagedLedger as error:
            yield Problem("failures", error.message, dict(error.facts)["segment"])


def _check_reserved(snapshot: Snapshot) -> Iterator[Problem]:
    for spec in snapshot.plan.outputs:
        if spec.name.split("/", 1)[0] in RESERVED_OUTPUTS:
            yield Problem("reserved", f"the plan has an output called {spec.name!r}")
    for key in _FORBIDDEN:
        try:
            snapshot.objects.version(key)
        except FileNotFoundError:
            continue
        yield Problem("reserved", f"{RUN} must not be a Zarr group", key)


def _check_staged(objects: ObjectStore, ended: bool) -> Iterator[Problem]:
    if not ended:
        return  # a live writer stages what it is about to put
    for key in objects.staged():
        yield Problem(
            "staged", "left by a killed writer; the next driver removes it", key, None, False
        )


# --- ledger -----------------------------------------------------------------------------------


def _check_ledger(snapshot: Snapshot) -> Iterator[Problem]:
    """Every segment that is there, its place in the chain, and every fold against it."""
    objects, n_chunks = snapshot.objects, snapshot.plan.n_chunks
    known = snapshot.last_segment
    numbers = sorted(_numbers(objects))
    folds, problems = _read_folds(objects, n_chunks)
    yield from problems
    projection = Projection(n_chunks)
    oldest = min(folds.values(), key=lambda fold: fold.sequence, default=None)
    if oldest is not None and (begin := _first_kept(numbers, oldest)) > 1:
        old = [number for number in numbers if number <= oldest.sequence]
        yield from _check_absent(set(old), oldest, begin)
        yield from _check_covered(objects, n_chunks, old)
        projection.adopt(oldest)
        projection.table = read_fold(objects, oldest.name, n_chunks).table
    try:
        yield from _replay(objects, projection, numbers, folds)
    except DamagedLedger as error:
        yield Problem("ledger", error.message, dict(error.facts).get("segment", ""))
        return
    if projection.last_segment < known:
        missing = segment_key(projection.last_segment + 1)
        yield Problem("ledger", f"segments up to {known} are known to have existed", missing)
    elif projection.last_segment == known and not _same(projection.table, snapshot.table):
        yield Problem("ledger", "the folded table is not what the segments add up to")


def _numbers(objects: ObjectStore) -> Iterator[int]:
    for key in objects.list(LEDGER + "/"):
        number = number_of(key)
        if number is not None:
            yield number


def _read_folds(objects: ObjectStore, n_chunks: int) -> tuple[dict[int, Fold], list[Problem]]:
    folds: dict[int, Fold] = {}
    problems = []
    for name in complete_folds(objects):
        try:
            fold = read_fold(objects, name, n_chunks)
        except FileNotFoundError:
            continue  # compacted at this moment
        except DamagedFold as error:
            # The segments it was made from, or an older fold, still say it all.
            problems.append(Problem("fold", str(error), fold_key(name)))
            continue
        problems += [
            Problem("fold", "it is not what was written", key)
            for key in damaged_documents(objects, fold)
        ]
        folds.setdefault(fold.sequence, fold)
    return folds, problems


def _first_kept(numbers: list[int], fold: Fold) -> int:
    """Where the ledger begins but for the fences, which stay when it is compacted."""
    kept = _fences(fold)
    return next((number for number in numbers if number not in kept), fold.sequence + 1)


def _fences(fold: Fold) -> set[int]:
    return {number for first in fold.fences for number in (first - 1, first)} - {0}


def _check_absent(present: set[int], fold: Fold, begin: int) -> Iterator[Problem]:
    """What compaction leaves: the fences, and all segments from ``begin`` on."""
    wanted = _fences(fold) | set(range(begin, fold.sequence + 1))
    for number in sorted(wanted - present):
        yield Problem("ledger", "it is missing", segment_key(number))


def _check_covered(objects: ObjectStore, n_chunks: int, numbers: list[int]) -> Iterator[Problem]:
    """Segments that a fold has made superfluous and that are not removed yet."""
    previous: tuple[int, str] | None = None
    for number in numbers:
        before = previous[1] if previous is not None and previous[0] == number - 1 else None
        try:
            segment = decode_segment(objects.get(segment_key(number)), number, n_chunks, before)
        except FileNotFoundError:
            previous = None
            continue
        except DamagedLedger as error:
            yield Problem("ledger", error.message, segment_key(number))
            previous = None
            continue
        previous = (number, segment.hash)


def _replay(
    objects: ObjectStore, projection: Projection, numbers: list[int], folds: dict[int, Fold]
) -> Iterator[Problem]:
    for number in numbers:
        if number <= projection.last_segment:
            continue
        if number != projection.last_segment + 1:
            missing = segment_key(projection.last_segment + 1)
            yield Problem("ledger", f"it is missing; segment {number} is there", missing)
            return
        projection.take(objects.get(segment_key(number)))
        fold = folds.get(number)
        if fold is None:
            continue
        if fold.hash != projection.last_hash or not _same(fold.table, projection.table):
            text = "it is not what the segments before it add up to"
            yield Problem("ledger", text, f"{FOLD}/{fold.name}")


def _same(one: ChunkTable, other: ChunkTable) -> bool:
    if not all(np.array_equal(getattr(one, name), getattr(other, name)) for name in COLUMNS):
        return False
    width = min(one.objects_per_chunk, other.objects_per_chunk)
    for name in OBJECT_COLUMNS:
        a, b = getattr(one, name), getattr(other, name)
        if not np.array_equal(a[:, :width], b[:, :width]) or a[:, width:].any():
            return False
        if b[:, width:].any():
            return False
    return True
