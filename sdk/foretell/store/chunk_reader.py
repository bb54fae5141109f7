"""Reads committed chunks: only what the ledger calls done, only the bytes it recorded."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from foretell.abc.writer import Writer
from foretell.errors import NotYetPredicted, StoreError
from foretell.store.checked import CheckedObjects
from foretell.store.objects import Stored
from foretell.store.snapshot import Snapshot
from foretell.text import word
from foretell.types import Arrays, ChunkState, OutputSpec

CACHE_BYTES = 32 * 2**20
"""Decoded values kept, so that reading row by row does not decode a chunk for each."""

_READ_TRIES = 3
_SHOWN = 8

Column: TypeAlias = "tuple[np.ndarray, np.ndarray]"
"""The values of one output in one chunk, and the chunk's ``valid``."""


class ChunkReader:
    """The committed chunks of a run. Threads may share one.

    Args:
        snapshot: The run; moved on when a chunk that is asked for is not done in it.
        writer: Writer of the run's kind; a copy of it is used, on a checked view of its store.
    """

    def __init__(self, snapshot: Snapshot, writer: Writer) -> None:
        self.snapshot = snapshot
        self.plan = snapshot.plan
        self._checked = CheckedObjects(writer.store)
        self._writer = type(writer)(writer.options, self._checked)
        self._writer.open(self.plan.writer_plan())
        self._lock = threading.Lock()
        self._cache: OrderedDict[tuple[int, str, Recorded], Column] = OrderedDict()
        self._cached = 0

    def refresh(self) -> bool:
        """Take into account what happened since; whether anything did."""
        with self._lock:
            return self.snapshot.refresh()

    def is_done(self, chunk: int) -> bool:
        """Whether a chunk is committed, as far as is known."""
        return bool(self.snapshot.table.state[chunk] == ChunkState.DONE)

    def look_again(self, chunks: Sequence[int]) -> None:
        """Refresh when one of these chunks was not done at the last look."""
        if not all(map(self.is_done, chunks)):
            self.refresh()

    def require(self, name: str, chunks: Sequence[int]) -> None:
        """Refuse chunks that are not done.

        Raises:
            NotYetPredicted: naming them and their states.
        """
        missing = [chunk for chunk in chunks if not self.is_done(chunk)]
        if missing:
            raise self._not_yet(name, missing)

    def read(self, chunk: int, name: str) -> Column:
        """One output of a done chunk.

        Args:
            chunk: Chunk id.
            name: The output; ``""`` for ``valid`` alone.

        Raises:
            NotYetPredicted: it is not done (any more).
            StoreError: an object of it is missing or not what was recorded.
        """
        for _ in range(_READ_TRIES):
            self.require(name, [chunk])
            recorded = self._recorded(chunk)
            try:
                return self._cached_read(chunk, name, recorded)
            except StoreError as error:
                failure = error
            # A retry may have replaced the chunk since: then the ledger says so.
            self.refresh()
            if self.is_done(chunk) and self._recorded(chunk) == recorded:
                break
        raise _damaged(chunk, failure)

    def valid(self, chunk: int) -> np.ndarray:
        """``valid`` of a chunk: 2 where a row was quarantined, 0 where it is not done."""
        rows = self.plan.rows_of(chunk)
        state = ChunkState(int(self.snapshot.table.state[chunk]))
        if state == ChunkState.DONE:
            if self.snapshot.table.quarantined[chunk] == 0:
                return np.ones(rows, np.uint8)
            return self.read(chunk, "")[1]
        return np.full(rows, 2 if state == ChunkState.QUARANTINED else 0, np.uint8)

    # --- steps --------------------------------------------------------------------------------

    def _recorded(self, chunk: int) -> Recorded:
        table = self.snapshot.table
        return Recorded(table.sizes[chunk].tolist(), table.crcs[chunk].tolist())

    def _cached_read(self, chunk: int, name: str, recorded: Recorded) -> Column:
        key = (chunk, name, recorded)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        column = self._read(chunk, name, recorded)
        with self._lock:
            if key not in self._cache:
                self._cache[key] = column
                self._cached += _bytes(column)
            while self._cached > CACHE_BYTES:
                self._cached -= _bytes(self._cache.popitem(last=False)[1])
        return column

    def _read(self, chunk: int, name: str, recorded: Recorded) -> Column:
        rows = self.plan.chunk(chunk)
        with self._checked.expecting(recorded.of(self._writer.objects(rows))):
            arrays, valid = self._writer.read(rows, [name] if name else [])
        specs = [spec for spec in self.plan.outputs if spec.name == name]
        check_shapes(specs, arrays, valid, len(rows))
        return arrays.get(name, valid), valid

    def _not_yet(self, name: str, missing: Sequence[int]) -> NotYetPredicted:
        shown = ", ".join(
            f"{chunk} ({ChunkState(int(self.snapshot.table.state[chunk])).name.lower()})"
            for chunk in missing[:_SHOWN]
        )
        more = f" and {len(missing) - _SHOWN:,} more" if len(missing) > _SHOWN else ""
        url = self.snapshot.objects.url
        return NotYetPredicted(
            f"{len(missing):,} of the chunks asked for have no predictions",
            facts=[("run", url), ("output", name), ("chunks", shown + more)],
            tries=[
                (f"sdk resume {word(url)}", "predicts pending chunks"),
                (f"run[{name!r}].masked()[…]", "what is there, the rest masked"),
            ],
        )


def check_shapes(specs: Sequence[OutputSpec], arrays: Arrays, valid: np.ndarray, rows: int) -> None:
    """Refuse what a writer read back when it is not what the plan says.

    Raises:
        StoreError: naming the output.
    """
    valid_spec = OutputSpec("valid", (), "uint8")
    for spec, array in [*((spec, arrays[spec.name]) for spec in specs), (valid_spec, valid)]:
        dtype = "object" if spec.dtype in ("str", "json") else spec.dtype
        if (array.shape, str(array.dtype)) != ((rows, *spec.shape), dtype):
            raise StoreError(
                "a stored chunk has another shape or dtype than planned",
                facts=[
                    ("output", spec.name),
                    ("expected", f"{rows} rows of {spec.describe()}"),
                    ("got", f"{array.dtype} {array.shape}"),
                ],
                slug="store-shape",
            )


class Recorded(tuple[tuple[int, int], ...]):
    """Sizes and crcs of a chunk's objects, as the ledger has them."""

    __slots__ = ()

    def __new__(cls, sizes: Sequence[int], crcs: Sequence[int]) -> Recorded:
        return super().__new__(cls, tuple(zip(sizes, crcs, strict=True)))

    def of(self, keys: Sequence[str]) -> dict[str, Stored]:
        """By key; a short last chunk has fewer keys than the table has columns.

        Raises:
            StoreError: some of these keys were never recorded.
        """
        if len(keys) > len(self):
            raise StoreError(
                "the ledger records fewer objects than the chunk has",
                facts=[("object", keys[len(self)]), ("recorded", f"{len(self)} objects")],
            )
        return {key: Stored(*pair) for key, pair in zip(keys, self, strict=False)}


def _bytes(column: Column) -> int:
    values, valid = column
    # Objects are counted by a guess: the cache only has to stay small.
    return int(values.nbytes * (1 if values.dtype != object else 16) + valid.nbytes)


def _damaged(chunk: int, error: StoreError) -> StoreError:
    facts = dict(error.facts)
    facts.setdefault("chunk", str(chunk))
    return StoreError(
        f"chunk {chunk} is not what was committed: {error.message}",
        facts=list(facts.items()),
        tries=[("sdk verify RUN --requeue", "computes it again")],
        slug="store-damaged",
    )
