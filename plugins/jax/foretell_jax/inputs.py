"""What a batch must be like before it goes to a device."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from foretell.errors import ShapeMismatch


def canonical(dtype: Any) -> Any:
    """The dtype JAX gives an array of ``dtype``: 32 bits for 64, unless 64 were asked for."""
    return jax.dtypes.canonicalize_dtype(dtype)


def check_inputs(inputs: Any, rows: int) -> None:
    """Refuse inputs that have no row for every row of the batch, or are not numbers.

    Raises:
        ShapeMismatch: naming the input.
    """
    leaves = jax.tree_util.tree_leaves_with_path(inputs)
    if not leaves:
        raise ShapeMismatch(
            "there is nothing in the batch for the model", facts=[("got", f"{inputs!r:.80}")]
        )
    for path, leaf in leaves:
        name = jax.tree_util.keystr(path) or "the batch"
        array = np.asarray(leaf)
        if array.dtype.kind not in "biufcV" or array.dtype.names is not None:
            raise ShapeMismatch(
                "a JAX model takes numbers alone",
                facts=[("input", name), ("got", f"{array.dtype} {type(leaf).__name__}")],
                tries=[('collate = "module:function"', "turn examples into arrays of numbers")],
                slug="input-dtype",
            )
        if array.ndim == 0 or len(array) != rows:
            raise ShapeMismatch(
                "an input has another number of rows than the batch",
                facts=[
                    ("input", name),
                    ("expected", f"{rows} rows"),
                    ("got", f"shape {array.shape}"),
                ],
                tries=[('collate = "module:function"', "give every array a row for each example")],
                slug="input-rows",
            )


def fitting(array: np.ndarray) -> np.ndarray:
    """An array JAX takes without a loss: 64-bit integers only where they fit 32 bits."""
    if array.dtype.itemsize != 8 or array.dtype.kind not in "iu":
        return array
    wanted = np.dtype(canonical(array.dtype))
    if wanted == array.dtype:
        return array
    limits = np.iinfo(wanted)
    if array.size and (array.min() < limits.min or array.max() > limits.max):
        raise ShapeMismatch(
            "an integer input does not fit the 32 bits JAX gives it",
            facts=[
                ("expected", f"values from {limits.min} to {limits.max}"),
                ("got", f"{array.min()} to {array.max()}"),
            ],
            tries=[("JAX_ENABLE_X64=1", "64-bit numbers in JAX"), ("collate", "smaller numbers")],
            slug="input-dtype",
        )
    return array.astype(wanted)


def fitting_rows(rows: np.ndarray) -> np.ndarray:
    """Row indices as 32-bit integers.

    Raises:
        ShapeMismatch: one does not fit.
    """
    return fitting(np.asarray(rows)).astype(np.int32)
