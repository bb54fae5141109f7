"""Completes predictions in files of ``torch.save``: a rank's own file, and the index of all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from foretell.store.objects import ObjectStore
from foretell.types import Arrays

from foretell_torch.writer import ptfiles
from foretell_torch.writer.filereader import FileGatherer
from foretell_torch.writer.gather import Contents, Gatherer
from foretell_torch.writer.places import Table, Window
from foretell_torch.writer.record import Record, completed, write_record
from foretell_torch.writer.segment import Segment, encode
from foretell_torch.writer.spool import INDEX, SPOOL, read_segments, segment_key

_ROWS = 8_192


def finish_pt_rank(folder: Path, objects: ObjectStore, record: Record, rank: int) -> None:
    """Write a rank's file of all its rows, one for each loader, unless only batches are wanted.

    A row that several ranks predicted (samplers repeat some) stays with the first of them.
    """
    if record.interval == "batch":
        return
    gatherer: Gatherer = (
        Gatherer(objects, SPOOL, record)
        if record.interval == "epoch"
        else FileGatherer(folder, objects, record)
    )
    ranks = np.array([part.rank for _, part in gatherer.parts], np.int32)
    for loader in range(len(record.loaders)):
        contents = gatherer.contents(loader)
        places = contents.places.window(0, len(contents.places))
        stored = places.segment >= 0
        mine = stored.copy()
        mine[stored] = ranks[places.segment[stored]] == rank
        rows = np.flatnonzero(mine)
        _write(folder, objects, record, rank, gatherer, contents, places, rows)


def record_pt_complete(folder: Path, objects: ObjectStore, record: Record) -> bool:
    """Say that every row is there, when it is; whether it was."""
    gatherer = Gatherer(objects, SPOOL if record.interval == "epoch" else INDEX, record)
    loaders = [gatherer.contents(loader) for loader in range(len(record.loaders))]
    if any(contents.missing for contents in loaders):
        return False
    if record.interval == "epoch":
        _keep_gaps(objects, gatherer, record)
    else:
        listed = {name for _, part in read_segments(objects, INDEX) for name, _ in part.files}
        ptfiles.remove_others(folder, listed)
    write_record(objects, completed(record, tuple(contents.counts for contents in loaders)))
    if record.interval == "epoch":
        shutil.rmtree(folder / SPOOL, ignore_errors=True)
    return True


def _write(
    folder: Path,
    objects: ObjectStore,
    record: Record,
    rank: int,
    gatherer: Gatherer,
    contents: Contents,
    places: Window,
    rows: np.ndarray,
) -> None:
    chosen = Contents(
        contents.loader,
        Table(Window(places.segment[rows], places.offset[rows])),
        tuple(spec for spec in contents.specs if spec.name not in _COUNTED),
        contents.ragged,
    )

    def pieces() -> Iterator[Arrays]:
        for start in range(0, len(rows), _ROWS):
            yield gatherer.read(chosen, start, min(start + _ROWS, len(rows)))[0]

    name = ptfiles.rank_name(rank, contents.loader, len(record.loaders))
    ptfiles.save_rank(folder / name, chosen.specs, len(rows), pieces())
    if record.interval == "epoch":
        numbers = rows if places.number is None else places.number[rows]
        index = Segment(rank, contents.loader, numbers, {}, files=((name, len(rows)),))
        _replace(objects, segment_key(INDEX, rank, contents.loader + 1), index)


_COUNTED = ("row_rank", "row_number")


def _keep_gaps(objects: ObjectStore, gatherer: Gatherer, record: Record) -> None:
    """Rows without a prediction are in no file: keep them in the index."""
    for loader, part in gatherer.parts:
        if len(part.gaps):
            gaps = np.asarray(part.gaps, np.int64)
            kept = Segment(part.rank, loader, np.zeros(0, np.int64), {}, gaps=gaps)
            key = segment_key(INDEX, part.rank, len(record.loaders) + 1 + part.position)
            _replace(objects, key, kept)


def _replace(objects: ObjectStore, key: str, segment: Segment) -> None:
    objects.put(key, encode(segment), leased=False)
    objects.taken(key)
