"""Sample outputs for tests: the values that are easily lost on the way to a store and back."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from foretell.rows import allocate
from foretell.types import Arrays, OutputSpec, Valid

NUMBERS = (
    OutputSpec("logits", (3,), "float32", dims=("klass",)),
    OutputSpec("score", (), "float64"),
    OutputSpec("half", (2,), "float16"),
    OutputSpec("label", (), "int64"),
    OutputSpec("pixel", (2, 2), "uint8"),
    OutputSpec("big", (), "uint64"),
    OutputSpec("flag", (), "bool"),
    OutputSpec("wave", (2,), "complex64"),
    OutputSpec("head/mask", (2,), "bool"),
    OutputSpec("head/deep/value", (), "float32"),
)
TEXT = (OutputSpec("text", (), "str"), OutputSpec("words", (2,), "str"))
RAGGED = (OutputSpec("boxes", (), "json"),)

_TEXTS = ("", "plain", "naïve — 日本 🎉", 'quote " and \\ back', "two\nlines\r\n\t", "NaN", "null")
_VALUES: tuple[Any, ...] = (
    None,
    [],
    {},
    [[1, 2], [3]],
    {"label": "cat", "box": [0.5, float("nan"), float("inf")]},
    {"$float": "not a number"},
    {"$object": {"$float": 1}},
    "NaN",
    float("-inf"),
    2**70,
    True,
)


def sample(specs: Sequence[OutputSpec], rows: int, seed: int = 0) -> Arrays:
    """``rows`` rows of every output, with extreme values among the ordinary ones.

    Args:
        specs: The outputs.
        rows: Number of rows.
        seed: Of the ordinary values.
    """
    generator = np.random.default_rng(seed)
    return {spec.name: _sample(spec, rows, generator) for spec in specs}


def _sample(spec: OutputSpec, rows: int, generator: np.random.Generator) -> np.ndarray:
    shape = (rows, *spec.shape)
    if spec.dtype in ("str", "json"):
        return _objects(_TEXTS if spec.dtype == "str" else _VALUES, shape, generator)
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "b":
        return generator.random(shape) < 0.5
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = generator.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
        return _strewn(values, (limits.min, limits.max, 0))
    return _strewn(_floats(shape, dtype, generator), _specials(dtype))


def _floats(
    shape: tuple[int, ...], dtype: np.dtype[Any], generator: np.random.Generator
) -> np.ndarray:
    values = generator.normal(size=shape)
    return (values + 1j * values[::-1] if dtype.kind == "c" else values).astype(dtype)


def _specials(dtype: np.dtype[Any]) -> tuple[Any, ...]:
    if dtype.kind == "c":
        return (complex(np.nan, 1), complex(-0.0, np.inf), 0j)
    limits = np.finfo(dtype)
    return (np.nan, np.inf, -np.inf, -0.0, limits.max, limits.smallest_subnormal, 1 / 3)


def _strewn(values: np.ndarray, specials: Sequence[Any]) -> np.ndarray:
    flat = values.reshape(-1)
    for position, special in enumerate(specials):
        flat[position::11] = special
    return flat.reshape(values.shape)


def _objects(
    choices: Sequence[Any], shape: tuple[int, ...], generator: np.random.Generator
) -> np.ndarray:
    values = np.empty(int(np.prod(shape)), dtype=object)
    offset = int(generator.integers(len(choices)))
    for position in range(len(values)):
        values[position] = choices[(position + offset) % len(choices)]
    return values.reshape(shape)


def fill(specs: Sequence[OutputSpec], arrays: Arrays, valid: np.ndarray) -> Arrays:
    """The arrays with fill values in the rows that have no prediction."""
    filled: Arrays = {}
    for spec in specs:
        array = arrays[spec.name].copy()
        gaps = valid != Valid.PREDICTED
        array[gaps] = allocate(spec, int(gaps.sum()))
        filled[spec.name] = array
    return filled


def assert_same(specs: Sequence[OutputSpec], got: Arrays, expected: Arrays) -> None:
    """Fail unless both hold the same values: NaN equals NaN, and -0.0 is not 0.0."""
    assert list(got) == [spec.name for spec in specs]
    for spec in specs:
        _assert_same(spec, got[spec.name], expected[spec.name])


def _assert_same(spec: OutputSpec, got: np.ndarray, expected: np.ndarray) -> None:
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape), spec.name
    if spec.dtype in ("str", "json"):
        assert repr(got.tolist()) == repr(expected.tolist()), spec.name
        return
    np.testing.assert_array_equal(got, expected, err_msg=spec.name, strict=True)
    halves = [(got.real, expected.real)]
    if got.dtype.kind == "c":
        halves.append((got.imag, expected.imag))
    for half, other in halves:
        if half.dtype.kind == "f":
            known = ~np.isnan(half)
            signs = np.signbit(half[known]) == np.signbit(other[known])
            assert signs.all(), f"{spec.name}: a sign was lost"


def loaded_by(module: str, names: Sequence[str]) -> list[str]:
    """Which of the modules ``names`` a fresh interpreter has after importing ``module``."""
    import subprocess

    code = f"import sys, {module}; print(*(n for n in {list(names)!r} if n in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.split()
