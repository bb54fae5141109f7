"""Rows out of the spool in input order, a few segments in memory at a time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from foretell.errors import ShapeMismatch
from foretell.rows import allocate
from foretell.store.objects import ObjectStore
from foretell.types import Arrays, OutputSpec, Valid

from foretell_torch.collator import LENGTHS
from foretell_torch.writer.places import (
    GAP,
    MISSING,
    Part,
    Places,
    Rows,
    as_index,
    as_range,
    count_missing,
    places_by_count,
    places_by_index,
)
from foretell_torch.writer.record import Record
from foretell_torch.writer.segment import Segment, decode, widened
from foretell_torch.writer.spool import read_segments

CACHE_BYTES = 128 * 2**20
RANK, NUMBER = "row_rank", "row_number"
"""Outputs that say who predicted a counted row, and what that rank counted."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What the spool holds of one loader, arrays left out.

    Attributes:
        loader: Its index.
        places: Where each row is.
        specs: Outputs as they will be stored: ragged ones as wide as the widest.
        ragged: Outputs that had to be padded; their lengths are outputs too.
        counts: Rows of each rank, where they are counted; else empty.
    """

    loader: int
    places: Places
    specs: tuple[OutputSpec, ...]
    ragged: frozenset[str]
    counts: tuple[int, ...] = ()

    @property
    def missing(self) -> int:
        """Rows that nobody predicted."""
        return count_missing(self.places)


class Gatherer:
    """Reads the spool of all ranks.

    Args:
        objects: The output folder.
        folder: The spool in it.
        record: What it is.
    """

    def __init__(self, objects: ObjectStore, folder: str, record: Record) -> None:
        self._objects = objects
        self._record = record
        self._keys: list[str] = []
        self._parts: list[tuple[int, Part]] = []
        self._cache: OrderedDict[int, Segment] = OrderedDict()
        self._cached = 0
        self._shapes: dict[int, dict[str, list[OutputSpec]]] = {}
        self._ragged: dict[int, set[str]] = {}
        self._folder_of_segments = folder
        self._read_all()

    @property
    def parts(self) -> list[tuple[int, Part]]:
        """(loader, part) of all segments, by rank and in the order they were written."""
        return self._parts

    def contents(self, loader: int) -> Contents:
        """What there is of a loader.

        Raises:
            ShapeMismatch: ranks disagree about the outputs, or an output has a reserved name.
        """
        parts = [part for of, part in self._parts if of == loader]
        record = self._record.loaders[loader]
        counts: tuple[int, ...] = ()
        if record.identity == "count":
            places, counts = places_by_count(parts, self._record.ranks, self._record.order)
        else:
            assert record.rows is not None
            places = places_by_index(parts, record.rows)
        ragged = frozenset(self._ragged.get(loader, ()))
        specs = self._specs(loader, ragged, bool(counts))
        return Contents(loader, places, specs, ragged, counts)

    def read(self, contents: Contents, start: int, stop: int) -> tuple[Arrays, np.ndarray]:
        """Rows ``start`` to ``stop`` in input order: outputs, and ``valid`` as the core has it."""
        places = contents.places.window(start, stop)
        segment, offset = places.segment, places.offset
        arrays = {spec.name: allocate(spec, stop - start) for spec in contents.specs}
        used = np.unique(segment[segment >= 0]).tolist()
        for at in used:
            target = np.flatnonzero(segment == at)
            self._fill(
                arrays, contents, self._segment(at), as_index(offset[target]), as_index(target)
            )
        # Rows come in order mostly: what this window did not need the next will not need either.
        self._forget_all_but(used)
        if places.rank is not None and places.number is not None:
            arrays[RANK] = places.rank
            arrays[NUMBER] = places.number
        valid = np.full(stop - start, Valid.PREDICTED, np.uint8)
        valid[segment == GAP] = Valid.QUARANTINED
        valid[segment == MISSING] = Valid.NOT_PREDICTED
        return arrays, valid

    # --- steps ----------------------------------------------------------------------------------

    def _read_all(self) -> None:
        for key, segment in read_segments(self._objects, self._folder_of_segments):
            self._take(key, segment)

    def _load(self, at: int) -> Segment:
        return decode(self._objects.get(self._keys[at]), self._keys[at])

    def _take(self, key: str, segment: Segment) -> None:
        self._keys.append(key)
        rows, gaps = as_range(segment.rows), as_range(segment.gaps)
        self._note(segment.rank, segment.loader, segment.specs(), segment.lengths, rows, gaps)

    def _note(
        self,
        rank: int,
        loader: int,
        specs: Iterable[OutputSpec],
        padded: Iterable[str],
        rows: Rows,
        gaps: Rows,
    ) -> None:
        """Take one segment more into account."""
        shapes = self._shapes.setdefault(loader, {})
        for spec in specs:
            shapes.setdefault(spec.name, [])
            if spec not in shapes[spec.name]:
                shapes[spec.name].append(spec)
        self._ragged.setdefault(loader, set()).update(padded)
        self._parts.append((loader, Part(len(self._parts), rank, rows, gaps)))

    def _specs(self, loader: int, ragged: frozenset[str], counted: bool) -> tuple[OutputSpec, ...]:
        specs: list[OutputSpec] = []
        for name, seen in self._shapes.get(loader, {}).items():
            specs.append(_widest(name, seen))
            if name in ragged or len(seen) > 1:
                self._ragged[loader].add(name)
                specs.append(OutputSpec(name + LENGTHS, (), "int64"))
        if counted and specs:
            specs += [OutputSpec(RANK, (), "int32"), OutputSpec(NUMBER, (), "int64")]
        names = [spec.name for spec in specs]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ShapeMismatch(
                f"an output has the reserved name {twice!r}",
                tries=[("rename it in predict_step", "")],
                slug="output-reserved",
            )
        return tuple(specs)

    def _segment(self, at: int) -> Segment:
        if at in self._cache:
            self._cache.move_to_end(at)
            return self._cache[at]
        segment = self._load(at)
        self._cache[at] = segment
        self._cached += _bytes(segment)
        while self._cached > CACHE_BYTES and len(self._cache) > 1:
            self._cached -= _bytes(self._cache.popitem(last=False)[1])
        return segment

    def _forget_all_but(self, used: list[int]) -> None:
        for at in self._cache.keys() - set(used):
            self._cached -= _bytes(self._cache.pop(at))

    def _fill(
        self,
        arrays: Arrays,
        contents: Contents,
        segment: Segment,
        offset: slice | np.ndarray,
        target: slice | np.ndarray,
    ) -> None:
        for name, values in segment.arrays.items():
            picked = values[offset]
            if name + LENGTHS in arrays:
                lengths = segment.lengths.get(name)
                arrays[name + LENGTHS][target] = (
                    values.shape[1] if lengths is None else lengths[offset]
                )
                picked = widened(name, picked, arrays[name].shape[1])
            arrays[name][target] = picked


def _widest(name: str, seen: list[OutputSpec]) -> OutputSpec:
    """One spec for all segments, only the first dimension of a row being free.

    Raises:
        ShapeMismatch: more than that differs.
    """
    first = seen[0]
    kinds = {(spec.dtype, len(spec.shape), spec.shape[1:]) for spec in seen}
    if len(kinds) > 1 or (len(seen) > 1 and not first.shape):
        raise ShapeMismatch(
            "parts of the predictions have another shape or dtype than others",
            facts=[("output", name), ("found", "; ".join(spec.describe() for spec in seen))],
        )
    if not first.shape:
        return first
    longest = max(spec.shape[0] for spec in seen)
    return OutputSpec(name, (longest, *first.shape[1:]), first.dtype)


def _bytes(segment: Segment) -> int:
    return sum(values.nbytes for values in segment.arrays.values())
