"""JSON that reads back exactly what was written, NaN and infinities included.

Standard JSON has no NaN. Outputs of a floating dtype hold the strings ``"NaN"``, ``"Infinity"`` and
``"-Infinity"`` instead; the output's dtype says that they are numbers. In free-form values (dtype
``json``) a string could be meant, so there they are ``{"$float": "NaN"}``; and an object that
itself has a single key starting with ``$`` is wrapped as ``{"$object": {…}}``. NaN payloads and
signs are not kept.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from foretell.errors import OutputError
from foretell.types import JSON

_LINE_ENDS = {ord(char): f"\\u{ord(char):04x}" for char in "\x85\u2028\u2029"}
"""Line ends to some readers, though not to JSON; they occur inside strings alone."""

_FLOAT = "$float"
_OBJECT = "$object"


def dumps(value: Any) -> str:
    """One line of standard JSON; text keeps its characters where it is valid Unicode."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.translate(_LINE_ENDS)


def pack(value: Any, output: str, row: int) -> JSON:
    """A free-form value as standard JSON data.

    Raises:
        OutputError: it holds something JSON has no word for, naming output and row.
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {_FLOAT: name_of(value)}
    if isinstance(value, list | tuple):
        return [pack(item, output, row) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        packed = {key: pack(item, output, row) for key, item in value.items()}
        return {_OBJECT: packed} if _is_tagged(packed) else packed
    raise OutputError(
        f"a value of the output {output!r} cannot be stored as JSON",
        facts=[("row", str(row)), ("got", type(value).__name__)],
        tries=[("return numbers, text, lists and dicts with text keys", "")],
        slug="output-json",
    )


def unpack(value: JSON) -> Any:
    """The value that :func:`pack` was given; tuples come back as lists."""
    if isinstance(value, list):
        return [unpack(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _is_tagged(value):
        ((tag, inner),) = value.items()
        if tag == _FLOAT and isinstance(inner, str):
            return float(inner)
        if tag == _OBJECT and isinstance(inner, dict):
            return {key: unpack(item) for key, item in inner.items()}
        raise ValueError(f"unknown tag {tag!r}")
    return {key: unpack(item) for key, item in value.items()}


def name_of(value: float) -> str:
    """How a number that JSON cannot write is called."""
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _is_tagged(value: dict[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith("$")


def number_lists(values: np.ndarray) -> list[Any]:
    """Rows of numbers as nested lists, exact; what JSON cannot write by its name.

    Complex numbers become pairs (real, imaginary).
    """
    if values.dtype.kind == "c":
        values = complex_pairs(values)
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return list(values.tolist())
    boxed = values.astype(np.float64).astype(object)
    for index in zip(*np.nonzero(~np.isfinite(values)), strict=True):
        boxed[index] = name_of(float(values[index]))
    return list(boxed.tolist())


def complex_pairs(values: np.ndarray) -> np.ndarray:
    """Complex numbers as real ones with one more axis of two."""
    real = np.empty((*values.shape, 2), dtype=values.real.dtype)
    real[..., 0], real[..., 1] = values.real, values.imag
    return real


def from_pairs(pairs: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """The complex numbers that :func:`complex_pairs` took apart."""
    values = np.empty(pairs.shape[:-1], dtype=dtype)
    values.real, values.imag = pairs[..., 0], pairs[..., 1]
    return values
