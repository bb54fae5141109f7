"""Writes the outputs as JSON lines: one file per chunk, one object per row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from foretell.abc.options import WriterOptions
from foretell.builtin.writers import json_text
from foretell.builtin.writers.parts import PartWriter
from foretell.rows import allocate
from foretell.types import Arrays, OutputSpec, Valid


class JsonlOptions(WriterOptions):
    """``[writer] kind = "jsonl"``."""

    kind: Literal["jsonl"] = Field(default="jsonl", description="One JSON object per row.")


class JsonlWriter(PartWriter):
    """``{"row":17,"valid":1,"label":3}``, outputs in the order of the plan.

    Numbers read back exactly; ``"NaN"``, ``"Infinity"`` and ``"-Infinity"`` stand for the numbers
    JSON cannot write; complex numbers are pairs. Rows without a prediction hold null, so a null is
    never a NaN.
    """

    Options: ClassVar[type[WriterOptions]] = JsonlOptions
    suffix = "jsonl"

    def encode(self, rows: np.ndarray, arrays: Arrays, valid: np.ndarray) -> bytes:
        names = [spec.name for spec in self.plan.outputs]
        columns = [_to_json(spec, arrays[spec.name], rows, valid) for spec in self.plan.outputs]
        lines = []
        for row, flag, *values in zip(rows.tolist(), valid.tolist(), *columns, strict=True):
            shown = values if flag == Valid.PREDICTED else [None] * len(names)
            record = {"row": row, "valid": flag, **dict(zip(names, shown, strict=True))}
            lines.append(json_text.dumps(record) + "\n")
        return "".join(lines).encode()

    def decode(
        self, data: bytes, specs: Sequence[OutputSpec]
    ) -> tuple[np.ndarray, Arrays, np.ndarray]:
        records = [json.loads(line) for line in data.decode().split("\n")[:-1]]
        rows = np.array([record["row"] for record in records], dtype=np.int64)
        valid = np.array([record["valid"] for record in records], dtype=np.uint8)
        predicted = valid == Valid.PREDICTED
        arrays = {
            spec.name: _from_json(spec, [record[spec.name] for record in records], predicted)
            for spec in specs
        }
        return rows, arrays, valid


def _to_json(spec: OutputSpec, array: np.ndarray, rows: np.ndarray, valid: np.ndarray) -> list[Any]:
    if spec.dtype == "json":
        return [
            json_text.pack(value, spec.name, int(row)) if flag == Valid.PREDICTED else None
            for value, row, flag in zip(array, rows, valid, strict=True)
        ]
    return list(array.tolist()) if spec.dtype == "str" else json_text.number_lists(array)


def _from_json(spec: OutputSpec, values: list[Any], predicted: np.ndarray) -> np.ndarray:
    array = allocate(spec, len(values))
    known = [value for value, flag in zip(values, predicted, strict=True) if flag]
    if spec.dtype == "json":
        for position, value in zip(np.flatnonzero(predicted), known, strict=True):
            array[position] = json_text.unpack(value)
    elif known:
        array[predicted] = _parsed(spec, known).reshape(len(known), *spec.shape)
    return array


def _parsed(spec: OutputSpec, known: list[Any]) -> np.ndarray:
    if spec.dtype == "str":
        return np.array(known, dtype=object)
    dtype = np.dtype(spec.dtype)
    if dtype.kind != "c":
        return np.array(known, dtype=dtype)
    return json_text.from_pairs(np.array(known, dtype=dtype.type().real.dtype), dtype)
