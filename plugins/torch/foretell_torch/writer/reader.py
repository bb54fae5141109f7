"""``read_predictions``: the arrays of a folder of predictions, in input order."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from foretell.errors import NotARun, PartialResult, UsageError
from foretell.store.objects import ObjectStore
from foretell.store.open import open_objects
from foretell.store.reader import RunReader
from foretell.store.snapshot import open_snapshot
from foretell.types import Arrays, Valid

from foretell_torch.writer.chunkreader import ChunkGatherer
from foretell_torch.writer.filereader import FileGatherer
from foretell_torch.writer.gather import Gatherer
from foretell_torch.writer.record import KEY, Record, read_record
from foretell_torch.writer.runstore import store_objects, store_writer
from foretell_torch.writer.spool import SPOOL


class Predictions(Mapping[str, np.ndarray]):
    """The predictions of one loader: outputs by name, rows in input order.

    Rows without a prediction hold NaN, 0, False or ``""``; ``valid`` tells them.

    Attributes:
        valid: uint8 ``(rows,)``: 1 predicted, 2 predicted to be None, 0 not predicted.
    """

    def __init__(self, arrays: Arrays, valid: np.ndarray) -> None:
        self._arrays = arrays
        self.valid = valid

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    @property
    def n_rows(self) -> int:
        """Rows of the loader's dataset, or counted by all ranks."""
        return len(self.valid)

    @property
    def missing(self) -> np.ndarray:
        """int64: rows that nobody predicted."""
        return np.flatnonzero(self.valid == Valid.NOT_PREDICTED)

    def __repr__(self) -> str:
        parts = ", ".join(f"{name} {a.dtype} {a.shape}" for name, a in self._arrays.items())
        return f"<Predictions of {self.n_rows:,} rows: {parts}>"


def read_predictions(
    output_dir: str | os.PathLike[str],
    loader: int | None = None,
    *,
    allow_partial: bool = False,
) -> Predictions:
    """Read what a :class:`~foretell_torch.PredictionWriter` wrote.

    Args:
        output_dir: Its folder.
        loader: Which loader; needed when there were several.
        allow_partial: Return what there is even when rows are missing.

    Returns:
        All rows in input order, in memory. A large result is better read in parts, with
        ``foretell.open_run(output_dir + "/predictions.zarr")``.

    Raises:
        NotARun: the folder has no predictions of this writer.
        UsageError: there are several loaders, and none or another was named.
        PartialResult: rows are missing, unless ``allow_partial``.
        StoreError: a file is damaged.
    """
    folder = Path(output_dir).absolute()
    objects = open_objects(str(folder))
    record = read_record(objects)
    if record is None:
        raise NotARun(
            "there are no predictions here",
            facts=[("folder", str(folder)), ("missing", KEY)],
        )
    chosen = _chosen(record, loader)
    found = _read(folder, objects, record, chosen)
    known_end = record.complete or record.loaders[chosen].identity == "index"
    if not allow_partial and (len(found.missing) or not known_end):
        raise _partial(folder, found, known_end)
    return found


def _chosen(record: Record, loader: int | None) -> int:
    n = len(record.loaders)
    if (loader is None and n == 1) or (loader is not None and 0 <= loader < n):
        return loader or 0
    raise UsageError(
        "there is no such loader" if loader is not None else "there are several loaders",
        facts=[("loader", str(loader)), ("loaders", f"0 to {n - 1}")],
        tries=[("read_predictions(output_dir, loader=0)", "one of them")],
    )


def _read(folder: Path, objects: ObjectStore, record: Record, loader: int) -> Predictions:
    if record.format == "zarr" and record.complete:
        return _read_store(objects, record, loader)
    gatherer = _gatherer(folder, objects, record)
    contents = gatherer.contents(loader)
    arrays, valid = gatherer.read(contents, 0, len(contents.places))
    return Predictions(arrays, valid)


def _gatherer(folder: Path, objects: ObjectStore, record: Record) -> Gatherer:
    if record.format == "zarr":
        return ChunkGatherer(objects, record)
    if record.interval == "epoch" and not record.complete:
        return Gatherer(objects, SPOOL, record)
    return FileGatherer(folder, objects, record)


def _read_store(objects: ObjectStore, record: Record, loader: int) -> Predictions:
    store = store_objects(objects, record, loader)
    try:
        snapshot = open_snapshot(store)
    except NotARun:
        # Without rows, or when every batch was predicted to be None, there is nothing to store.
        rows = record.loaders[loader].rows
        n_rows = sum(record.counts[loader]) if rows is None else rows
        return Predictions({}, np.full(n_rows, Valid.QUARANTINED, np.uint8))
    run = RunReader(snapshot, store_writer(store, snapshot.manifest))
    return Predictions({name: run[name][:] for name in run}, run.valid[:])


def _partial(folder: Path, found: Predictions, known_end: bool) -> PartialResult:
    some = ", ".join(map(str, found.missing[:8].tolist()))
    more = f" and {len(found.missing) - 8:,} more" if len(found.missing) > 8 else ""
    facts = [("folder", str(folder)), ("rows", f"{found.n_rows - len(found.missing):,} are there")]
    if len(found.missing):
        facts.append(("missing", some + more))
    if not known_end:
        facts.append(("because", "the Trainer did not reach the end of rows that it counts"))
    return PartialResult(
        "the predictions are not complete",
        facts=facts,
        tries=[
            ("trainer.predict(…)", "once more, with the same callback: it goes on"),
            ("allow_partial=True", "what there is"),
        ],
    )
