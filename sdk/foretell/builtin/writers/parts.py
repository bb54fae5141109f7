"""What writers of one file per chunk share: names, commit, reading back, finishing."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np

from foretell.abc.writer import Writer, WriterPlan
from foretell.builtin.writers.common import (
    check_arrays,
    check_plan,
    check_valid,
    cut,
    decoding,
    put,
    receipt,
    stored_or_none,
)
from foretell.errors import StoreError
from foretell.rows import empty
from foretell.store.objects import ObjectStore
from foretell.types import Arrays, Chunk, OutputSpec, Receipt

DOCUMENT = "_foretell.json"
"""What the files are; the underscore keeps it out of data sets that readers discover."""


class PartWriter(Writer):
    """Base of writers that store ``part-000017.<suffix>`` at the root of the run store.

    Every row of the run is in exactly one file, with its global index and ``valid``; the outputs of
    rows without a prediction are null.
    """

    suffix: ClassVar[str]
    supports_parts = True
    supports_ragged = True

    def __init__(self, options: Any, objects: ObjectStore) -> None:
        super().__init__(options, objects)
        self._plan: WriterPlan | None = None

    @abstractmethod
    def encode(self, rows: np.ndarray, arrays: Arrays, valid: np.ndarray) -> bytes:
        """The bytes of one file.

        Args:
            rows: int64 ``(n,)``, global index of each row.
            arrays: Every planned output, ``n`` rows each.
            valid: uint8 ``(n,)``.
        """

    @abstractmethod
    def decode(
        self, data: bytes, specs: Sequence[OutputSpec]
    ) -> tuple[np.ndarray, Arrays, np.ndarray]:
        """What :meth:`encode` was given, fill values where the file has nulls."""

    # --- the contract -------------------------------------------------------------------------

    @property
    def plan(self) -> WriterPlan:
        """The plan the writer was opened with."""
        if self._plan is None:
            raise RuntimeError("open(plan) comes first")
        return self._plan

    def check(self, plan: WriterPlan) -> None:
        check_plan(plan, ragged=True, reserved=("row",))

    def create(self, plan: WriterPlan) -> None:
        """Store what the files are.

        Raises:
            OutputError: the plan cannot be stored.
            StoreError: there is another run's description in this place.
        """
        self.check(plan)
        stored = stored_or_none(self.store, DOCUMENT)
        if stored is None:
            self.store.put(DOCUMENT, document(plan, False), leased=False)
        elif stored not in (document(plan, False), document(plan, True)):
            raise _occupied(self.store.url)

    def open(self, plan: WriterPlan) -> None:
        self._plan = plan

    def documents(self) -> Mapping[str, Sequence[bytes]]:
        return {DOCUMENT: (document(self.plan, False), document(self.plan, True))}

    def objects(self, chunk: Chunk, part: int | None = None) -> Sequence[str]:
        return [self._key(number, rows) for number, rows in self._parts(chunk, part)]

    def write(
        self, chunk: Chunk, arrays: Arrays, valid: np.ndarray, part: int | None = None
    ) -> Receipt:
        whole = chunk if part is None else self.plan.part(chunk, part)
        flags = check_valid(valid, whole)
        checked = check_arrays(self.plan.outputs, arrays, flags)
        stored = []
        for number, rows in self._parts(chunk, part):
            span = (rows.start - whole.start, rows.stop - whole.start)
            data = self.encode(self._index(rows), cut(checked, *span), flags[slice(*span)])
            stored.append(put(self.store, self._key(number, rows), data))
        return receipt(stored)

    def read(self, chunk: Chunk, names: Sequence[str] | None = None) -> tuple[Arrays, np.ndarray]:
        specs = [s for s in self.plan.outputs if names is None or s.name in names]
        pieces = [self._read(chunk, rows, number, specs) for number, rows in self._parts(chunk)]
        arrays = {s.name: np.concatenate([piece[0][s.name] for piece in pieces]) for s in specs}
        return arrays, np.concatenate([valid for _, valid in pieces])

    def finalize(self, complete: bool, valid: Mapping[int, np.ndarray]) -> None:
        for chunk_id, flags in sorted(valid.items()):
            chunk = self.plan.chunk(chunk_id)
            self.write(chunk, empty(self.plan.outputs, len(chunk)), flags)
        wanted = document(self.plan, complete)
        if stored_or_none(self.store, DOCUMENT) != wanted:
            self.store.put(DOCUMENT, wanted, leased=False)

    # --- steps --------------------------------------------------------------------------------

    def _parts(self, chunk: Chunk, part: int | None = None) -> Iterator[tuple[int, Chunk]]:
        for number in range(self.plan.parts) if part is None else (part,):
            rows = self.plan.part(chunk, number)
            if len(rows):
                yield number, rows

    def _key(self, part: int, rows: Chunk) -> str:
        digits = max(6, len(str(self.plan.n_chunks - 1)))
        tail = f"-{part}" if self.plan.parts > 1 else ""
        return f"part-{rows.id:0{digits}d}{tail}.{self.suffix}"

    def _index(self, rows: Chunk) -> np.ndarray:
        return np.arange(rows.start, rows.stop, dtype=np.int64) + self.plan.row_offset

    def _read(
        self, chunk: Chunk, rows: Chunk, part: int, specs: Sequence[OutputSpec]
    ) -> tuple[Arrays, np.ndarray]:
        key = self._key(part, rows)
        with decoding([key], chunk):
            index, arrays, valid = self.decode(self.store.get(key), specs)
            if not np.array_equal(index, self._index(rows)):
                raise ValueError("it holds other rows than its name says")
            if any(len(array) != len(rows) for array in (*arrays.values(), valid)):
                raise ValueError("its columns have different lengths")
        return arrays, valid


def document(plan: WriterPlan, complete: bool) -> bytes:
    """What the files are, for people and tools: no times, no ids."""
    described = {
        **plan.attrs,
        "format": 1,
        "complete": complete,
        "rows": plan.n_rows,
        "row_offset": plan.row_offset,
        "chunk_rows": plan.chunk_rows,
        "parts": plan.parts,
        "valid": {"0": "not predicted", "1": "predicted", "2": "quarantined"},
        "outputs": [asdict(spec) for spec in plan.outputs],
    }
    return json.dumps({"foretell": described}, indent=2).encode()


def _occupied(url: str) -> StoreError:
    return StoreError(
        "there are another run's outputs in this place",
        facts=[("store", url), ("object", DOCUMENT)],
        tries=[("--output another/place", "keep both")],
        slug="store-occupied",
    )
