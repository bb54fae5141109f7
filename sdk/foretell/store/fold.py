"""Folds: the table as Zarr arrays, so that opening need not replay the whole ledger.

``_run/fold/<epoch>-<sequence>/`` holds the table after segment ``sequence``. Its arrays are created
only if absent and its marker, ``complete.json``, is created last; a generation without a marker is
as good as not there, and no generation is ever changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from foretell.store import zpages
from foretell.store.codec import Entry, decode, encode
from foretell.store.layout import FOLD, fold_key, fold_marker, fold_name, parse_fold_name
from foretell.store.objects import ObjectStore
from foretell.store.sealed import Broken, seal, unseal
from foretell.store.table import COLUMNS, OBJECT_COLUMNS, ChunkTable, OutlineTable

FORMAT = "foretell-fold"
VERSION = 1
REMOTE_THREADS = 16

ItemT = TypeVar("ItemT")


class DamagedFold(ValueError):
    """A fold cannot be used; the ledger it was made from still can. The text says why."""


@dataclass(frozen=True, slots=True)
class Fold:
    """A table as of one segment.

    Attributes:
        name: Of the generation.
        sequence: Newest segment in it, 0 for an empty table.
        hash: That segment's hash: where the chain goes on.
        writer: The writer that made that segment.
        fences: Segments that began a session.
        table: The table; owned by whoever asked for it.
    """

    name: str
    sequence: int
    hash: str
    writer: str
    fences: tuple[int, ...]
    table: ChunkTable


def write_fold(objects: ObjectStore, fold: Fold) -> None:
    """Store a fold; a crash anywhere in it leaves no complete generation.

    Raises:
        StorageError: the storage refused.
    """
    table = fold.table

    def store(item: tuple[str, bytes]) -> None:
        objects.create(fold_key(fold.name, item[0]), item[1])

    _each(objects, store, _pages(table))
    head = {
        "format": FORMAT,
        "version": VERSION,
        "sequence": fold.sequence,
        "hash": fold.hash,
        "writer": fold.writer,
        "fences": fold.fences,
        "chunks": table.n_chunks,
        "objects": table.objects_per_chunk,
        "intent_epoch": table.intent_epoch,
        "loose": table.loose,
        "retried": sorted(table.retried.items()),
    }
    objects.create(fold_marker(fold.name), seal(head, encode(_history(table))))


def read_fold(objects: ObjectStore, name: str, n_chunks: int, *, outline: bool = False) -> Fold:
    """The fold ``name``.

    Args:
        objects: The run store.
        name: Of the generation.
        n_chunks: Chunks of the plan.
        outline: Leave out sizes and checksums of the stored objects: most of its bytes.

    Raises:
        FileNotFoundError: it has no marker.
        DamagedFold: it is incomplete, damaged, or of another plan.
    """
    data = objects.get(fold_marker(name))
    try:
        return _read_fold(objects, name, n_chunks, data, outline)
    except FileNotFoundError as error:
        raise DamagedFold(f"fold {name}: {error} is missing") from error
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise DamagedFold(f"fold {name}: {error}") from error


def damaged_documents(objects: ObjectStore, fold: Fold) -> Iterator[str]:
    """Keys of metadata that is not as it was written: we need none, Zarr's readers do."""
    for column, dtype in _columns(fold.table).items():
        key = fold_key(fold.name, column, "zarr.json")
        wanted = zpages.metadata(dtype, getattr(fold.table, column).shape)
        try:
            found = objects.get(key)
        except FileNotFoundError:
            found = b""
        if found != wanted:
            yield key


def complete_folds(objects: ObjectStore) -> list[str]:
    """Names of the complete generations, best first: highest epoch, then highest segment."""
    marked = (key for key in objects.list(FOLD + "/") if key.endswith("/complete.json"))
    named = {key.split("/")[2] for key in marked}
    parsed = {name: parse_fold_name(name) for name in named}
    known = [(at, name) for name, at in parsed.items() if at is not None]
    return [name for _, name in sorted(known, reverse=True)]


def fences_of(objects: ObjectStore, name: str) -> tuple[int, ...]:
    """Segments that began a session, as the fold ``name`` knows them.

    Raises:
        DamagedFold: its marker cannot be trusted.
    """
    try:
        head, _ = unseal(objects.get(fold_marker(name)))
        return tuple(int(number) for number in head["fences"])
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise DamagedFold(f"fold {name}: {error}") from error


def new_name(epoch: int, sequence: int) -> str:
    """Name of the generation a driver of ``epoch`` makes at segment ``sequence``."""
    return fold_name(epoch, sequence)


def _read_fold(objects: ObjectStore, name: str, n_chunks: int, data: bytes, outline: bool) -> Fold:
    head, body = unseal(data)
    if head["format"] != FORMAT or head["version"] != VERSION:
        raise Broken("made by another version")
    if head["chunks"] != n_chunks or not 0 <= head["objects"] < 2**20:
        raise Broken(f"made for {head['chunks']} chunks, the plan has {n_chunks}")
    table = OutlineTable(n_chunks) if outline else ChunkTable(n_chunks, head["objects"])
    for entry in decode(body, n_chunks):
        table.apply(entry)

    def load(item: tuple[str, str, int]) -> None:
        column, dtype, number = item
        target = getattr(table, column)
        page = objects.get(fold_key(name, column, zpages.page_key(number, target.ndim)))
        rows = target[number * zpages.PAGE : (number + 1) * zpages.PAGE]
        rows[:] = zpages.decode_page(page, dtype, target.shape)[: len(rows)]

    _each(objects, load, _page_names(table))
    table.retried = dict(head["retried"])
    table.intent_epoch, table.loose = head["intent_epoch"], head["loose"]
    fences = tuple(head["fences"])
    return Fold(name, head["sequence"], head["hash"], head["writer"], fences, table)


def _history(table: ChunkTable) -> Iterator[Entry]:
    """Sessions, workers and endings in an order that gives the same lists when applied."""
    for session in table.sessions:
        yield session
        for worker, epoch in zip(table.workers, table.worker_epochs, strict=True):
            if epoch == session.epoch:
                yield worker
        if session.epoch in table.endings:
            yield table.endings[session.epoch]


def _columns(table: ChunkTable) -> dict[str, str]:
    return COLUMNS | (OBJECT_COLUMNS if table.objects_per_chunk else {})


def _page_names(table: ChunkTable) -> Iterator[tuple[str, str, int]]:
    for column, dtype in _columns(table).items():
        for number in range(zpages.page_count(table.n_chunks)):
            yield column, dtype, number


def _pages(table: ChunkTable) -> Iterator[tuple[str, bytes]]:
    for column, dtype in _columns(table).items():
        yield f"{column}/zarr.json", zpages.metadata(dtype, getattr(table, column).shape)
    for column, _, number in _page_names(table):
        values: np.ndarray = getattr(table, column)
        key = zpages.page_key(number, values.ndim)
        yield f"{column}/{key}", zpages.encode_page(values, number)


def _each(objects: ObjectStore, action: Callable[[ItemT], None], items: Iterable[ItemT]) -> None:
    """Do ``action`` on every item: side by side where round trips are slow."""
    if not objects.remote:
        for item in items:
            action(item)
        return
    with ThreadPoolExecutor(REMOTE_THREADS) as pool:
        for _ in pool.map(action, items):
            pass
