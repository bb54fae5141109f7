"""Compares rows of input: arrays, columns, records, with NaN equal to NaN."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from foretell.types import Examples


def assert_same_rows(got: Examples, expected: Examples, where: str = "rows") -> None:
    """Assert equal rows: same container, order, shapes, dtypes and values.

    Raises:
        AssertionError: naming the first place that differs.
    """
    if isinstance(expected, np.ndarray):
        assert isinstance(got, np.ndarray), f"{where}: an array expected, got {type(got).__name__}"
        _assert_array(got, expected, where)
    elif isinstance(expected, Mapping):
        assert isinstance(got, Mapping), f"{where}: columns expected, got {type(got).__name__}"
        assert list(got) == list(expected), f"{where}: columns {list(got)}, not {list(expected)}"
        for name, column in expected.items():
            _assert_array(got[name], column, f"{where}[{name!r}]")
    else:
        assert isinstance(got, list), f"{where}: a list expected, got {type(got).__name__}"
        assert len(got) == len(expected), f"{where}: {len(got)} rows, not {len(expected)}"
        for i, (one, other) in enumerate(zip(got, expected, strict=True)):
            assert same(one, other), f"{where}[{i}]: {one!r}, not {other!r}"


def _assert_array(got: np.ndarray, expected: np.ndarray, where: str) -> None:
    assert isinstance(got, np.ndarray), f"{where}: {type(got).__name__}, not an array"
    assert got.shape == expected.shape, f"{where}: shape {got.shape}, not {expected.shape}"
    text = "OUT"
    if not (got.dtype.kind in text and expected.dtype.kind in text):
        assert got.dtype == expected.dtype, f"{where}: dtype {got.dtype}, not {expected.dtype}"
    assert same(got.tolist(), expected.tolist()), f"{where}: values differ"


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, NaN being equal to itself, containers looked into."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return same(np.asarray(one).tolist(), np.asarray(other).tolist())
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
