"""Removes ledger segments and folds that two complete folds have made superfluous."""

from __future__ import annotations

from foretell.store.fold import DamagedFold, complete_folds, fences_of
from foretell.store.layout import FOLD, LEDGER, fold_marker, number_of, parse_fold_name, segment_key
from foretell.store.objects import ObjectStore

KEPT_FOLDS = 2
"""Complete generations that must cover a segment before it may go: one may turn out damaged."""

LOCAL_DELETES = 10_000
REMOTE_DELETES = 1_000
"""Most objects removed at a time: a driver has other things to do; the next fold goes on."""


def compact(objects: ObjectStore) -> int:
    """Remove what is not needed any more; returns the number of objects removed.

    Safe at any moment and from any driver, even one that was fenced meanwhile: what is removed is
    covered by two generations that are complete and never change. The segments around the start of
    each session stay for good: a driver that was stopped for long finds its fence there.
    """
    folds = complete_folds(objects)
    if len(folds) < KEPT_FOLDS:
        return 0
    kept = folds[:KEPT_FOLDS]
    covered = min(_sequence(name) for name in kept)
    try:
        starts = {first for name in kept for first in fences_of(objects, name)}
    except DamagedFold:
        return 0
    room = REMOTE_DELETES if objects.remote else LOCAL_DELETES
    doomed = sorted(
        number
        for key in objects.list(LEDGER + "/")
        if (number := number_of(key)) is not None
        and number <= covered
        and not {number, number + 1} & starts
    )[:room]
    keys = [segment_key(number) for number in doomed] + _old_folds(objects, folds)
    for key in keys:
        objects.delete(key)
    return len(keys)


def _old_folds(objects: ObjectStore, complete: list[str]) -> list[str]:
    """Keys of generations older than those kept, each marker before the pages it vouches for."""
    oldest = parse_fold_name(complete[KEPT_FOLDS - 1])
    by_fold: dict[str, list[str]] = {}
    for key in objects.list(FOLD + "/"):
        by_fold.setdefault(key.split("/")[2], []).append(key)
    keys = []
    for name, found in by_fold.items():
        at = parse_fold_name(name)
        if at is not None and oldest is not None and at < oldest:
            marker = fold_marker(name)
            keys += [marker, *(key for key in found if key != marker)]
    return keys


def _sequence(name: str) -> int:
    at = parse_fold_name(name)
    return at[1] if at is not None else 0
