"""Operations on rows, whatever holds them: arrays, columns, records; and arrays to put them in.

One place answers "how many rows", "these rows of it" and "what stands for no value", so that
sources, engine, predictors and writers agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from foretell.errors import ShapeMismatch
from foretell.types import Arrays, Examples, OutputSpec

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def count(examples: Examples) -> int:
    """Number of rows in ``examples``."""
    if isinstance(examples, Mapping):
        return len(next(iter(examples.values()), ()))
    return len(examples)


def take(examples: Examples, index: np.ndarray | slice) -> Examples:
    """The rows of ``examples`` at ``index`` (int64 positions, a boolean mask, or a slice)."""
    if isinstance(examples, np.ndarray):
        return examples[index]
    if isinstance(examples, Mapping):
        return {name: column[index] for name, column in examples.items()}
    if isinstance(index, slice):
        return list(examples[index])
    if index.dtype == bool:
        index = np.flatnonzero(index)
    return [examples[i] for i in index.tolist()]


def column(examples: Examples, name: str) -> Any:
    """One column of the input, to be carried to the output.

    Raises:
        ShapeMismatch: the rows have no columns, or not this one.
    """
    if isinstance(examples, Mapping) and name in examples:
        return examples[name]
    if isinstance(examples, list) and all(isinstance(r, Mapping) and name in r for r in examples):
        return [record[name] for record in examples]
    known = "none: its rows are plain arrays"
    if isinstance(examples, Mapping):
        known = ", ".join(examples)
    elif isinstance(examples, list) and examples and isinstance(examples[0], Mapping):
        known = ", ".join(map(str, examples[0]))
    raise ShapeMismatch(
        f"the source has no column {name!r} to keep", facts=[("columns", known)], slug="keep"
    )


def row_keys(seed: int, rows: np.ndarray) -> np.ndarray:
    """Random key of each row, from the run's seed and the global row index alone.

    Two rounds of the SplitMix64 finaliser over (seed, row), so neighbouring rows and neighbouring
    seeds get unrelated keys. Usable as the two words of a JAX threefry key.

    Args:
        seed: The run's seed, any integer.
        rows: int64 ``(B,)``.

    Returns:
        uint32 ``(B, 2)``.

    Source: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", 2014.
    """
    base = _mix(np.full(1, seed & 0xFFFFFFFFFFFFFFFF, dtype=np.uint64))
    mixed = _mix(base ^ _mix(rows.astype(np.int64).view(np.uint64)))
    return np.ascontiguousarray(mixed).view(np.uint32).reshape(-1, 2)


def _mix(value: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        value = value + _GOLDEN
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = value ^ (value >> np.uint64(31))
    return mixed


def dimension_names(spec: OutputSpec) -> tuple[str, ...]:
    """Names of an output's dimensions, ``sample`` for its rows first; made up where it has none."""
    stem = spec.name.replace("/", "_")
    return ("sample", *(spec.dims or (f"{stem}_dim_{i}" for i in range(len(spec.shape)))))


def fill_value(spec: OutputSpec) -> Any:
    """What stands where nothing was predicted: NaN for floats, ``""`` for text, else zero."""
    if spec.dtype == "str":
        return ""
    if spec.dtype == "json":
        return None
    kind = np.dtype(spec.dtype).kind
    return {"f": np.nan, "c": complex(np.nan, np.nan), "b": False}.get(kind, 0)


def allocate(spec: OutputSpec, length: int) -> np.ndarray:
    """An array of ``length`` rows for this output, every value the fill value."""
    dtype = object if spec.dtype in ("str", "json") else np.dtype(spec.dtype)
    return np.full((length, *spec.shape), fill_value(spec), dtype=dtype)


def empty(specs: Sequence[OutputSpec], length: int) -> Arrays:
    """:func:`allocate` for every spec, by name."""
    return {spec.name: allocate(spec, length) for spec in specs}


def not_finite(arrays: Iterable[np.ndarray], n_rows: int) -> np.ndarray:
    """bool ``(rows,)``: which rows have a NaN or an infinity in some array.

    Args:
        arrays: ``n_rows`` rows each; those that are not of floating point count as finite.
        n_rows: Rows.
    """
    found = np.zeros(n_rows, dtype=bool)
    for values in arrays:
        if values.dtype.kind in "fc" and not _surely_finite(values):
            found |= ~np.isfinite(values).reshape(n_rows, -1).all(axis=1)
    return found


def _surely_finite(values: np.ndarray) -> bool:
    """A sum is finite unless some value is not (or it overflowed): one fast pass settles most."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.add.reduce(values, axis=None)))
