"""Names, shapes and dtypes of what a compiled program takes and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from foretell.types import JSON

from foretell_accelerator.errors import InputError


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """One array of a program.

    Attributes:
        name: Its name.
        shape: Its whole shape, rows included.
        dtype: NumPy name.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, name: str, array: np.ndarray) -> ArraySpec:
        """The spec of an array."""
        return cls(name, tuple(int(n) for n in array.shape), str(array.dtype.newbyteorder("=")))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ArraySpec:
        """The inverse of :meth:`to_json`."""
        return cls(str(data["name"]), tuple(map(int, data["shape"])), str(data["dtype"]))

    def to_json(self) -> dict[str, JSON]:
        """As the manifest has it."""
        return {"name": self.name, "shape": list(self.shape), "dtype": self.dtype}

    def describe(self) -> str:
        """``int64 (8, 64)``."""
        return f"{self.dtype} {self.shape}"


def check_names(specs: Sequence[ArraySpec], given: Mapping[str, Any]) -> None:
    """Refuse inputs that are missing or not known.

    Raises:
        InputError: naming them.
    """
    known = [spec.name for spec in specs]
    missing = [name for name in known if name not in given]
    unknown = [name for name in given if name not in known]
    if not missing and not unknown:
        return
    facts = [("compiled for", ", ".join(known)), ("got", ", ".join(given) or "nothing")]
    if missing:
        facts.insert(0, ("missing", ", ".join(missing)))
    if unknown:
        facts.insert(0, ("unknown", ", ".join(unknown)))
    field = (missing or unknown)[0]
    raise InputError(
        f"the program's inputs do not include {field!r}"
        if unknown and not missing
        else f"the input {field!r} is missing",
        facts=facts,
    )


def check_array(spec: ArraySpec, array: np.ndarray, *, rows: bool = False) -> None:
    """Refuse an array of another shape or dtype.

    Args:
        spec: What the program was compiled for.
        array: What it is given.
        rows: Whether any number of rows will do.

    Raises:
        InputError: naming the input, what was expected and what came.
    """
    got = ArraySpec.of(spec.name, array)
    if got.dtype != spec.dtype:
        raise _mismatch("dtype", spec, got)
    skip = 1 if rows else 0
    if len(got.shape) != len(spec.shape) or got.shape[skip:] != spec.shape[skip:]:
        raise _mismatch("shape", spec, got)


def _mismatch(field: str, spec: ArraySpec, got: ArraySpec) -> InputError:
    return InputError(
        f"the input {spec.name!r} has another {field} than the program was compiled for",
        facts=[("input", spec.name), ("expected", spec.describe()), ("got", got.describe())],
        slug=f"artifact-{field}",
    )


def as_arrays(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Arrays of any library on the host, contiguous and in the machine's byte order."""
    return {name: as_array(value) for name, value in values.items()}


def as_array(value: Any) -> np.ndarray:
    """One array on the host."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    array = np.asarray(value)
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False)).reshape(
        array.shape
    )
