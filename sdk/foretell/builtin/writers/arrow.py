"""Outputs as Arrow columns and back, exact, nulls kept apart from NaN."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa

from foretell.builtin.writers import json_text
from foretell.rows import allocate
from foretell.types import OutputSpec


def field(spec: OutputSpec) -> pa.Field:
    """The field of an output; its metadata hold dtype, dimensions and attributes."""
    metadata = {"foretell.dtype": spec.dtype}
    if spec.dims:
        metadata["foretell.dims"] = json.dumps(spec.dims)
    if spec.attrs:
        metadata["foretell.attrs"] = json.dumps(dict(spec.attrs), sort_keys=True)
    return pa.field(spec.name, _type(spec), nullable=True, metadata=metadata)


def _type(spec: OutputSpec) -> pa.DataType:
    kind = _item_type(spec)
    for extent in reversed(_shape(spec)):
        kind = pa.list_(kind, extent)
    return kind


def _item_type(spec: OutputSpec) -> pa.DataType:
    if spec.dtype in ("str", "json"):
        return pa.large_string()
    return pa.from_numpy_dtype(_item_dtype(spec))


def _item_dtype(spec: OutputSpec) -> np.dtype[Any]:
    dtype = np.dtype(spec.dtype)
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


def _shape(spec: OutputSpec) -> tuple[int, ...]:
    if spec.dtype == "json":
        return ()
    return (*spec.shape, 2) if spec.dtype.startswith("complex") else spec.shape


def to_column(
    spec: OutputSpec, array: np.ndarray, missing: np.ndarray, rows: np.ndarray
) -> pa.Array:
    """The column of an output; null where ``missing``.

    Raises:
        OutputError: a ragged value that JSON cannot hold.
    """
    if spec.dtype == "json":
        return pa.array(_json_texts(spec, array, missing, rows), type=pa.large_string())
    values = json_text.complex_pairs(array) if array.dtype.kind == "c" else array
    shape = _shape(spec)
    flat = values.reshape(-1)
    mask = None if shape else missing
    column = pa.array(flat, type=_item_type(spec), mask=mask, from_pandas=False)
    for position in range(len(shape) - 1, -1, -1):
        outer = pa.array(missing) if position == 0 else None
        column = pa.FixedSizeListArray.from_arrays(column, shape[position], mask=outer)
    return column


def _json_texts(
    spec: OutputSpec, array: np.ndarray, missing: np.ndarray, rows: np.ndarray
) -> list[str | None]:
    return [
        None if absent else json_text.dumps(json_text.pack(value, spec.name, int(row)))
        for value, absent, row in zip(array, missing, rows, strict=True)
    ]


def from_column(spec: OutputSpec, column: pa.ChunkedArray, predicted: np.ndarray) -> np.ndarray:
    """The values of a column; the fill value where there is no prediction.

    Raises:
        ValueError: the nulls are not where they should be, or a value has another shape.
    """
    present = column.is_valid().to_numpy()
    if not np.array_equal(present, predicted):
        raise ValueError(f"the nulls of {spec.name!r} do not agree with valid")
    flat = column.drop_null().combine_chunks()
    for _ in _shape(spec):
        flat = flat.flatten()
    array = allocate(spec, len(present))
    known = _values(spec, flat)
    if len(known) != int(present.sum()) * math.prod(_shape(spec)):
        raise ValueError(f"the column {spec.name!r} has values of another shape")
    if spec.dtype.startswith("complex"):
        known = json_text.from_pairs(known.reshape(-1, 2), np.dtype(spec.dtype))
    if spec.dtype == "json":
        array[present] = known
    else:
        array[present] = known.reshape(-1, *spec.shape)
    return array


def _values(spec: OutputSpec, flat: pa.Array) -> np.ndarray:
    if spec.dtype not in ("str", "json"):
        return np.asarray(flat.to_numpy(zero_copy_only=False)).astype(_item_dtype(spec), copy=False)
    values = flat.to_pylist()
    known = np.empty(len(values), dtype=object)
    for position, value in enumerate(values):
        known[position] = json_text.unpack(json.loads(value)) if spec.dtype == "json" else value
    return known
