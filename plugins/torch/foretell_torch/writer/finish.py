"""Finishes the run stores, one for each loader, with the rows that lie in the spool."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from foretell.errors import Interrupted
from foretell.store.objects import ObjectStore
from foretell.types import Arrays, Chunk

from foretell_torch.writer.chunkreader import ChunkGatherer
from foretell_torch.writer.commits import Commits
from foretell_torch.writer.gather import Contents
from foretell_torch.writer.record import Record, completed, write_record
from foretell_torch.writer.runstore import plan_of, store_name
from foretell_torch.writer.spool import SPOOL, last_number, write_segment


def finish_zarr(folder: Path, objects: ObjectStore, record: Record, commits: Commits) -> bool:
    """Finish the run stores, when every row is there; whether it was.

    A call that was killed is continued by the next: the spool goes last.

    Args:
        folder: The output folder.
        objects: The same.
        record: What it is.
        commits: The stores, as far as they are made.

    Raises:
        Interrupted: another thread wants it to end.
        StoreError: another process makes them.
    """
    commits.record()
    gatherer = ChunkGatherer(objects, record)
    loaders = _contents(gatherer, record)
    if any(contents.missing for contents in loaders):
        return False
    outdated = [contents.loader for contents in loaders if _outdated(gatherer, contents, record)]
    if outdated:
        for loader in outdated:
            commits.assembly(loader, gatherer.stores[loader].plan)  # nobody else's at this moment
            commits.close(loader)
            _take_back(folder, objects, record, gatherer, loader)
        gatherer = ChunkGatherer(objects, record)
        loaders = _contents(gatherer, record)
    for contents in loaders:
        if len(contents.places) and contents.specs:
            _assemble(gatherer, contents, record, commits)
    whole = completed(record, tuple(contents.counts for contents in loaders))
    write_record(objects, whole)
    tidy(folder, whole)
    return True


def tidy(folder: Path, record: Record) -> None:
    """Remove the spool once its rows are in place, or what a killed process left of it then."""
    if record.complete:
        shutil.rmtree(folder / SPOOL, ignore_errors=True)


def _contents(gatherer: ChunkGatherer, record: Record) -> list[Contents]:
    return [gatherer.contents(loader) for loader in range(len(record.loaders))]


def _assemble(
    gatherer: ChunkGatherer, contents: Contents, record: Record, commits: Commits
) -> None:
    plan = plan_of(record, contents.loader, len(contents.places), contents.specs)

    def read(chunk: Chunk) -> tuple[Arrays, np.ndarray]:
        if commits.interrupted:
            raise Interrupted("interrupted while the store was made")
        return gatherer.read(contents, chunk.start, chunk.stop)

    assembly = commits.assembly(contents.loader, plan)
    assembly.fill(read)
    assembly.finish()


def _outdated(gatherer: ChunkGatherer, contents: Contents, record: Record) -> bool:
    """Whether a store was begun for rows of another shape than they turned out to have."""
    store = gatherer.stores.get(contents.loader)
    if store is None or not contents.specs:
        return False
    return store.plan != plan_of(record, contents.loader, len(contents.places), contents.specs)


def _take_back(
    folder: Path, objects: ObjectStore, record: Record, gatherer: ChunkGatherer, loader: int
) -> None:
    """Put a store's chunks into the spool and the store away.

    A call that was killed leaves rows in both, or the store's folder in the spool's: the spool goes
    at the end, and its rows say the same.
    """
    number = last_number(objects, SPOOL, 0)
    store = gatherer.stores[loader]
    for chunk in store.chunks:
        number += 1
        write_segment(objects, SPOOL, number, store.segment(loader, chunk))
    name = store_name(loader, len(record.loaders))
    away = folder / SPOOL / name
    shutil.rmtree(away, ignore_errors=True)
    away.parent.mkdir(exist_ok=True)
    (folder / name).rename(away)
    shutil.rmtree(away, ignore_errors=True)
