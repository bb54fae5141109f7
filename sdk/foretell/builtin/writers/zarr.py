"""Writes the outputs as Zarr v3 arrays: sharded, checksummed, with names for the dimensions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from foretell.abc.options import WriterOptions
from foretell.abc.writer import Writer, WriterPlan
from foretell.builtin.writers import zarr_layout as layout
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
from foretell.types import Arrays, Chunk, OutputSpec, Receipt

if TYPE_CHECKING:
    import zarr

    from foretell.builtin.writers.zarr_encode import Encoder
    from foretell.store.objects import ObjectStore, Stored


class ZarrOptions(WriterOptions):
    """``[writer] kind = "zarr"``."""

    kind: Literal["zarr"] = Field(default="zarr", description="One array per output.")
    compression: int = Field(
        default=1, ge=0, le=22, description="zstd level, with a checksum; 0 is a checksum only."
    )


class ZarrWriter(Writer):
    """One Zarr array per output, one shard per chunk (or per part of it), and ``valid``.

    A shard is always written whole and never merged with what is stored, so its bytes follow from
    the chunk alone and two writers of one chunk write the same.
    """

    Options: ClassVar[type[WriterOptions]] = ZarrOptions
    supports_parts = True
    supports_spans = True
    options: ZarrOptions

    def __init__(self, options: Any, objects: ObjectStore) -> None:
        super().__init__(options, objects)
        self._plan: WriterPlan | None = None

    # --- the store ----------------------------------------------------------------------------

    def warm(self) -> None:
        import foretell.builtin.writers.zarr_encode  # noqa: F401  # imports zarr

    def check(self, plan: WriterPlan) -> None:
        check_plan(plan, ragged=False)
        layout.check_dimensions(plan.outputs)

    def create(self, plan: WriterPlan) -> None:
        """Create the metadata, the root last and consolidated.

        Raises:
            OutputError: the plan cannot be stored.
            StoreError: there is a Zarr group already, and not this plan's.
        """
        self.check(plan)
        documents = layout.documents(plan, self.options.compression, complete=False)
        stored = stored_or_none(self.store, layout.ROOT)
        if stored is not None and not layout.same_but_complete(stored, documents):
            raise _other_group(self.store.url, stored)
        if stored is not None:
            del documents[layout.ROOT]
        for key, document in documents.items():
            if stored_or_none(self.store, key) != document:
                self.store.put(key, document, leased=False)

    def open(self, plan: WriterPlan) -> None:
        self._plan = plan
        for cached in ("_reading", "_encoder"):
            self.__dict__.pop(cached, None)

    def documents(self) -> Mapping[str, Sequence[bytes]]:
        level = self.options.compression
        before, after = (layout.documents(self.plan, level, complete) for complete in (False, True))
        return {key: (before[key], after[key]) for key in before}

    def finalize(self, complete: bool, valid: Mapping[int, np.ndarray]) -> None:
        for chunk_id, flags in sorted(valid.items()):
            self._close(self.plan.chunk(chunk_id), flags)
        self._mark(complete)

    # --- chunks -------------------------------------------------------------------------------

    def objects(self, chunk: Chunk, part: int | None = None) -> Sequence[str]:
        return [
            layout.object_key(spec, self._shard(rows))
            for rows in self._parts(chunk, part)
            for spec in self._specs
        ]

    def leftovers(self, chunk: Chunk) -> Sequence[str]:
        shards = (self._shard(rows) for rows in self._parts(chunk, None))
        return [layout.object_key(layout.VALID_SPEC, shard) for shard in shards]

    def write(
        self, chunk: Chunk, arrays: Arrays, valid: np.ndarray, part: int | None = None
    ) -> Receipt:
        rows = chunk if part is None else self.plan.part(chunk, part)
        flags = check_valid(valid, rows)
        checked = check_arrays(self.plan.outputs, arrays, flags)
        checked[layout.VALID] = flags
        stored: list[Stored] = []
        for piece in self._parts(chunk, part):
            values = cut(checked, piece.start - rows.start, piece.stop - rows.start)
            stored += self._put(piece, values, self._specs)
        return receipt(stored)

    def read(self, chunk: Chunk, names: Sequence[str] | None = None) -> tuple[Arrays, np.ndarray]:
        wanted = [s for s in self.plan.outputs if names is None or s.name in names]
        arrays = {spec.name: self._read(chunk, spec) for spec in wanted}
        return arrays, self._read(chunk, layout.VALID_SPEC)

    def span_rows(self, name: str) -> int:
        return int(self._reading[name].chunks[0])

    def read_span(self, chunk: Chunk, name: str, start: int, stop: int) -> np.ndarray:
        spec = next(spec for spec in self._specs if spec.name == name)
        return self._read(chunk, spec, slice(start, stop))

    # --- steps --------------------------------------------------------------------------------

    @property
    def plan(self) -> WriterPlan:
        """The plan the writer was opened with."""
        if self._plan is None:
            raise RuntimeError("open(plan) comes first")
        return self._plan

    @property
    def _specs(self) -> tuple[OutputSpec, ...]:
        # valid last: whoever finds it finds the rest.
        return (*self.plan.outputs, layout.VALID_SPEC)

    def _parts(self, chunk: Chunk, part: int | None) -> Iterator[Chunk]:
        for number in range(self.plan.parts) if part is None else (part,):
            rows = self.plan.part(chunk, number)
            if len(rows):
                yield rows

    def _shard(self, rows: Chunk) -> int:
        return rows.start // self.plan.part_rows

    def _put(self, rows: Chunk, values: Arrays, specs: Sequence[OutputSpec]) -> list[Stored]:
        """Store one shard of each array, in order; the receipt needs what was stored."""
        keys = [layout.object_key(spec, self._shard(rows)) for spec in specs]
        encoded = self._encoder.encode(values, rows.start, keys)
        return [put(self.store, key, data) for key, data in zip(keys, encoded, strict=True)]

    @cached_property
    def _encoder(self) -> Encoder:
        from foretell.builtin.writers.zarr_encode import Encoder

        documents = layout.documents(self.plan, self.options.compression, complete=False)
        self._check_root(documents)
        names = [spec.name for spec in self._specs]
        return Encoder(documents, names, self.options.compression)

    @cached_property
    def _reading(self) -> dict[str, zarr.Array[Any]]:
        import zarr

        from foretell.store.zarr_adapter import ZarrObjects

        store = ZarrObjects(self.store, read_only=True, required=True)
        try:
            group = zarr.open_group(store, mode="r", zarr_format=3, use_consolidated=True)
            arrays = {spec.name: _array(group, spec.name) for spec in self._specs}
        except (KeyError, ValueError, TypeError, FileNotFoundError) as error:
            raise _bad_metadata(self.store.url, f"{type(error).__name__}: {error}") from error
        for spec in self._specs:
            self._compare(spec, arrays[spec.name])
        return arrays

    def _compare(self, spec: OutputSpec, array: zarr.Array[Any]) -> None:
        planned = layout.array_arguments(spec, self.plan, self.options.compression)
        shards = array.shards or array.chunks
        wanted = (planned["shape"], planned["shards"] or planned["chunks"])
        if (array.shape, shards) != wanted:
            found = f"{spec.name}: shape {array.shape}, shards {shards}"
            raise _bad_metadata(self.store.url, f"{found}; planned {wanted[0]}, {wanted[1]}")

    def _read(self, chunk: Chunk, spec: OutputSpec, rows: slice = slice(None)) -> np.ndarray:
        keys = [layout.object_key(spec, self._shard(part)) for part in self._parts(chunk, None)]
        first, last, _ = rows.indices(len(chunk))
        with decoding(keys, chunk):
            values = np.asarray(self._reading[spec.name][chunk.start + first : chunk.start + last])
        return values.astype(object) if spec.dtype == "str" else values

    def _close(self, chunk: Chunk, flags: np.ndarray) -> None:
        """Say of a chunk that never committed why it has no values, and remove half a commit."""
        keep = self.leftovers(chunk)
        checked = check_valid(flags, chunk)
        for rows in self._parts(chunk, None):
            values = {layout.VALID: checked[rows.start - chunk.start : rows.stop - chunk.start]}
            self._put(rows, values, [layout.VALID_SPEC])
        for key in self.objects(chunk):
            if key not in keep:
                self.store.delete(key)

    def _mark(self, complete: bool) -> None:
        documents = layout.documents(self.plan, self.options.compression, complete)
        if self._check_root(documents) != documents[layout.ROOT]:
            self.store.put(layout.ROOT, documents[layout.ROOT], leased=False)

    def _check_root(self, documents: Mapping[str, bytes]) -> bytes:
        stored = stored_or_none(self.store, layout.ROOT)
        if stored is None or not layout.same_but_complete(stored, documents):
            raise _bad_metadata(self.store.url, f"{layout.ROOT} is not what was created")
        return stored


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    import zarr

    array = group[name]
    if not isinstance(array, zarr.Array):
        raise TypeError(f"{name} is not an array")
    return array


def _other_group(url: str, stored: bytes) -> StoreError:
    try:
        ours = "foretell" in json.loads(stored)["attributes"]
    except (ValueError, KeyError, TypeError):
        ours = False
    what = "another run's outputs" if ours else "a Zarr store that is not a run"
    return StoreError(
        f"there is {what} in this place",
        facts=[("store", url), ("object", layout.ROOT)],
        tries=[("--output another/place", "keep both")],
        slug="store-occupied",
    )


def _bad_metadata(url: str, why: str) -> StoreError:
    return StoreError(
        "the store's metadata is not what the plan says",
        facts=[("store", url), ("because", why)],
        tries=[("sdk verify RUN", "")],
        slug="store-metadata",
    )
