"""Ledger records as lines of JSON and back.

Every line is one record, named by ``r``. Completions that stand together become one record of
columns over their chunks (:class:`DoneColumns`), which is what keeps a ledger of a million chunks
small and fast; the other records are rare and written out in full.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np

from foretell.store.columns import Ints, pack, pack_ids, unpack, unpack_ids
from foretell.store.records import (
    ChunkDamaged,
    ChunkDone,
    ChunkFailed,
    ChunkRestored,
    Intent,
    Record,
    SessionEnded,
    SessionStarted,
    WorkerSeen,
)
from foretell.store.sealed import dumps
from foretell.types import ChunkState

_OPTIONAL = ("quarantined", "nan", "splits")
_SCALARS = ("attempt", "milliseconds", "worker", *_OPTIONAL)


@dataclass(frozen=True, slots=True)
class DoneColumns:
    """Many :class:`ChunkDone` at once; all arrays int64 ``(n,)`` unless it says otherwise.

    Attributes:
        chunks: Ids, ascending and distinct.
        attempt, milliseconds, worker, quarantined, nan, splits: As in ``ChunkDone``.
        started: Milliseconds since the epoch.
        sizes, crcs: ``(n, k)`` for ``k`` objects per chunk.
    """

    chunks: Ints
    attempt: Ints
    started: Ints
    milliseconds: Ints
    worker: Ints
    quarantined: Ints
    nan: Ints
    splits: Ints
    sizes: Ints
    crcs: Ints

    @classmethod
    def of(cls, records: Sequence[ChunkDone]) -> DoneColumns:
        """The columns of records whose chunks are distinct and whose object counts are equal."""
        records = sorted(records, key=lambda record: record.chunk)
        columns = {
            name: np.array([getattr(record, name) for record in records], dtype=np.int64)
            for name in _SCALARS
        }
        width = len(records[0].sizes)
        return cls(
            chunks=np.array([record.chunk for record in records], dtype=np.int64),
            started=np.array([round(record.started * 1000) for record in records], dtype=np.int64),
            sizes=np.array([r.sizes for r in records], dtype=np.int64).reshape(-1, width),
            crcs=np.array([r.crcs for r in records], dtype=np.int64).reshape(-1, width),
            **columns,
        )

    def to_json(self) -> dict[str, Any]:
        """The record as it stands in a segment."""
        data: dict[str, Any] = {"r": "done", "chunks": pack_ids(self.chunks)}
        data |= {name: pack(getattr(self, name)) for name in _SCALARS}
        for name in _OPTIONAL:
            if data[name] == 0:
                del data[name]
        data["started"] = pack(self.started)
        data["sizes"] = [pack(column) for column in self.sizes.T]
        data["crcs"] = [pack(column) for column in self.crcs.T]
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any], n_chunks: int) -> DoneColumns:
        """The record that :meth:`to_json` wrote; ValueError or KeyError for anything else."""
        chunks = unpack_ids(data["chunks"], n_chunks)
        count = len(chunks)
        columns = {
            name: unpack(data.get(name, 0) if name in _OPTIONAL else data[name], count)
            for name in _SCALARS
        }
        return cls(
            chunks=chunks,
            started=unpack(data["started"], count),
            sizes=_unpack_table(data["sizes"], count),
            crcs=_unpack_table(data["crcs"], count),
            **columns,
        )


Entry: TypeAlias = Record | DoneColumns
"""What a segment holds, and what a table applies."""


def _unpack_table(columns: list[Any], count: int) -> Ints:
    table = np.empty((count, len(columns)), dtype=np.int64)
    for number, column in enumerate(columns):
        table[:, number] = unpack(column, count)
    return table


def gather(records: Iterable[Record]) -> list[Entry]:
    """The records with completions that stand together turned into columns, order kept."""
    entries: list[Entry] = []
    run: list[ChunkDone] = []
    for record in records:
        if isinstance(record, ChunkDone):
            run.append(record)
            continue
        entries += [*_columns(run), record]
        run = []
    return [*entries, *_columns(run)]


def _columns(records: Iterable[ChunkDone]) -> Iterator[DoneColumns]:
    batch: list[ChunkDone] = []
    seen: set[int] = set()
    for record in records:
        if batch and (record.chunk in seen or len(record.sizes) != len(batch[0].sizes)):
            yield DoneColumns.of(batch)
            batch, seen = [], set()
        batch.append(record)
        seen.add(record.chunk)
    if batch:
        yield DoneColumns.of(batch)


def encode(entries: Iterable[Entry]) -> bytes:
    """Lines of JSON, one an entry."""
    return "".join(dumps(_to_json(entry)) + "\n" for entry in entries).encode()


def decode(body: bytes, n_chunks: int) -> list[Entry]:
    """The entries that :func:`encode` wrote.

    Args:
        body: The lines.
        n_chunks: Chunks of the plan; a record that names another is refused.

    Raises:
        ValueError: it is something else.
    """
    try:
        return [_from_json(json.loads(line), n_chunks) for line in body.splitlines()]
    except (KeyError, TypeError, OverflowError, AttributeError) as error:
        raise ValueError(f"a record cannot be read ({type(error).__name__})") from error


_PLAIN: dict[str, type[SessionStarted] | type[WorkerSeen] | type[SessionEnded]] = {
    "session": SessionStarted,
    "worker": WorkerSeen,
    "ended": SessionEnded,
}
_PLAIN_NAMES: dict[type, str] = {kind: name for name, kind in _PLAIN.items()}
_RANGED: dict[str, Callable[[tuple[int, ...]], Record]] = {
    "restored": ChunkRestored,
    "damaged": ChunkDamaged,
}


def _to_json(entry: Entry) -> dict[str, Any]:
    if isinstance(entry, DoneColumns):
        return entry.to_json()
    if isinstance(entry, Intent):
        data = {"r": "intent", "chunks": _ids(entry.chunks), "attempt": entry.attempt}
        return data | {name: True for name in ("retry", "alone") if getattr(entry, name)}
    if isinstance(entry, ChunkFailed):
        return {"r": "failed"} | asdict(entry) | {"state": entry.state.name.lower()}
    if isinstance(entry, ChunkRestored):
        return {"r": "restored", "chunks": _ids(entry.chunks)}
    if isinstance(entry, ChunkDamaged):
        return {"r": "damaged", "chunks": _ids(entry.chunks)}
    return {"r": _PLAIN_NAMES[type(entry)]} | asdict(entry)


def _ids(chunks: tuple[int, ...]) -> str:
    return pack_ids(np.array(sorted(set(chunks)), dtype=np.int64))


def _from_json(data: dict[str, Any], n_chunks: int) -> Entry:
    kind = data.pop("r")
    if kind == "done":
        return DoneColumns.from_json(data, n_chunks)
    if kind in _PLAIN:
        return _PLAIN[kind](**data)
    if kind == "failed":
        data["state"] = ChunkState[data["state"].upper()]
        unpack_ids(str(data["chunk"]), n_chunks)
        return ChunkFailed(**data)
    chunks = tuple(unpack_ids(data.pop("chunks"), n_chunks).tolist())
    if kind == "intent":
        return Intent(chunks, **data)
    if kind in _RANGED:
        return _RANGED[kind](chunks)
    raise ValueError(f"unknown record {kind!r}: made by a newer version?")
