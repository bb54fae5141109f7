"""NumPy dtypes of sources: how they are called, and which are refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from foretell.errors import LoadError
from foretell.text import visible


def dtype_name(dtype: np.dtype[Any]) -> str:
    """The name a :class:`~foretell.types.SourceSpec` uses: ``str`` for any text."""
    if dtype.kind in "UT":
        return "str"
    return str(dtype.newbyteorder("="))


def native(array: np.ndarray) -> np.ndarray:
    """The array in this machine's byte order; text of any length as objects."""
    if array.dtype.kind == "T":
        return array.astype(object)
    if array.dtype.isnative:
        return array
    return array.astype(array.dtype.newbyteorder("="))


def row_bytes_of(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Bytes of one row; text of any length counts as 64 a value."""
    size = 64 if dtype.kind in "TO" else dtype.itemsize
    return math.prod(shape[1:]) * size


def refuse_objects(dtypes: Mapping[str, np.dtype[Any]], path: str) -> None:
    """Refuse arrays of Python objects, which only unpickling could read, and of records.

    Raises:
        LoadError: with the array and its dtype.
    """
    for name, dtype in dtypes.items():
        if not dtype.hasobject and dtype.names is None:
            continue
        what = "Python objects" if dtype.hasobject else "structured records"
        raise LoadError(
            f"an array of {what} cannot be read",
            facts=[
                ("array", visible(f"{name} {dtype}".strip())),
                ("path", visible(path)),
                ("reason", "stored objects are pickles, which can run any code when loaded")
                if dtype.hasobject
                else ("reason", "a row of it is neither a number nor an array"),
            ],
            tries=[("save text as a string dtype, or the rows as JSON lines", "")]
            if dtype.hasobject
            else [("save each field as its own array of an .npz file", "")],
            slug="source-objects",
        )
