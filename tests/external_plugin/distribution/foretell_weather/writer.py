"""``kind = "npyfolder"``: ``dew_point/000017.npy``, one file per chunk and output."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Literal

import numpy as np
from foretell.abc import Writer, WriterOptions, WriterPlan
from foretell.errors import OutputError, ShapeMismatch, StorageError, StoreError
from foretell.outputs import as_array
from foretell.plan import check_outputs
from foretell.rows import empty
from foretell.store.objects import ObjectStore
from foretell.types import Arrays, Chunk, OutputSpec, Receipt
from pydantic import Field

DOCUMENT = "outputs.json"


class NpyFolderOptions(WriterOptions):
    """``[writer]`` with ``kind = "npyfolder"``."""

    kind: Literal["npyfolder"] = Field(default="npyfolder", description="npyfolder")


class NpyFolderWriter(Writer):
    """Plain ``.npy`` files; text as fixed-width Unicode, ``valid`` as an output of its own."""

    Options: ClassVar[type[WriterOptions]] = NpyFolderOptions

    def __init__(self, options: Any, objects: ObjectStore) -> None:
        super().__init__(options, objects)
        self._plan: WriterPlan | None = None

    @property
    def plan(self) -> WriterPlan:
        """The plan the writer was opened with."""
        assert self._plan is not None, "open(plan) comes first"
        return self._plan

    def check(self, plan: WriterPlan) -> None:
        check_outputs(plan.outputs)
        for spec in plan.outputs:
            if spec.dtype == "json":
                raise OutputError(
                    f"the output {spec.name!r} has another shape in every row",
                    facts=[("stored as", "arrays of one shape")],
                    tries=[("--set writer.kind=jsonl", "one JSON object a row")],
                )

    def create(self, plan: WriterPlan) -> None:
        self.check(plan)
        try:
            stored = self.store.get(DOCUMENT)
        except FileNotFoundError:
            self.store.put(DOCUMENT, _document(plan, False), leased=False)
            return
        if stored not in (_document(plan, False), _document(plan, True)):
            raise StoreError(
                "there are other outputs in this place", facts=[("store", self.store.url)]
            )

    def open(self, plan: WriterPlan) -> None:
        self._plan = plan

    def documents(self) -> Mapping[str, Sequence[bytes]]:
        return {DOCUMENT: (_document(self.plan, False), _document(self.plan, True))}

    def objects(self, chunk: Chunk, part: int | None = None) -> Sequence[str]:
        names = [*(spec.name for spec in self.plan.outputs), "valid"]
        return [f"{name}/{chunk.id:06d}.npy" for name in names]

    def write(
        self, chunk: Chunk, arrays: Arrays, valid: np.ndarray, part: int | None = None
    ) -> Receipt:
        checked = _checked(self.plan.outputs, arrays, valid, len(chunk))
        stored = []
        for key, array in zip(self.objects(chunk), [*checked, valid], strict=True):
            self.store.put(key, _encode(array))
            stored.append(self.store.taken(key))
        return Receipt(tuple(s.size for s in stored), tuple(s.crc for s in stored))

    def read(self, chunk: Chunk, names: Sequence[str] | None = None) -> tuple[Arrays, np.ndarray]:
        keys = dict(zip([*self._names(), "valid"], self.objects(chunk), strict=True))
        wanted = [name for name in self._names() if names is None or name in names]
        arrays = {name: self._read(chunk, keys[name]) for name in wanted}
        return arrays, self._read(chunk, keys["valid"])

    def finalize(self, complete: bool, valid: Mapping[int, np.ndarray]) -> None:
        for chunk_id, flags in sorted(valid.items()):
            chunk = self.plan.chunk(chunk_id)
            self.write(chunk, empty(self.plan.outputs, len(chunk)), flags)
        document = _document(self.plan, complete)
        if self.store.get(DOCUMENT) != document:
            self.store.put(DOCUMENT, document, leased=False)

    def _names(self) -> list[str]:
        return [spec.name for spec in self.plan.outputs]

    def _read(self, chunk: Chunk, key: str) -> np.ndarray:
        try:
            array: np.ndarray = np.load(io.BytesIO(self.store.get(key)), allow_pickle=False)
            if len(array) != len(chunk):
                raise ValueError(f"expected {len(chunk)} rows, got {len(array)}")
        except StorageError:
            raise
        except Exception as error:
            raise StoreError(
                "a stored chunk cannot be read",
                facts=[("chunk", str(chunk.id)), ("object", key), ("cause", str(error))],
            ) from error
        return array.astype(object) if array.dtype.kind == "U" else array


def _checked(
    specs: Sequence[OutputSpec], arrays: Arrays, valid: np.ndarray, rows: int
) -> list[np.ndarray]:
    if {spec.name for spec in specs} != set(arrays):
        raise ShapeMismatch("other outputs than planned", facts=[("got", ", ".join(arrays))])
    checked = [as_array(spec.name, arrays[spec.name], spec) for spec in specs]
    for array in [*checked, valid]:
        if len(array) != rows:
            raise ShapeMismatch(
                "an output has another number of rows than its chunk",
                facts=[("expected", f"{rows} rows"), ("got", f"{len(array)} rows")],
            )
    return checked


def _encode(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    plain = array.astype(np.str_) if array.dtype == object else array
    np.save(buffer, np.ascontiguousarray(plain), allow_pickle=False)
    return buffer.getvalue()


def _document(plan: WriterPlan, complete: bool) -> bytes:
    outputs = [asdict(spec) for spec in plan.outputs]
    described = {"rows": plan.n_rows, "chunk_rows": plan.chunk_rows, "outputs": outputs}
    return json.dumps({**described, "complete": complete}, indent=2).encode()
