"""Parameters onto their devices, each device taking only its own part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Read = Callable[[Any], np.ndarray]
"""Gives one part of an array, by an index of slices."""

PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""Settings for the dtype of floats."""


def target_dtype(dtype: Any, floats: str | None) -> Any:
    """What a parameter of ``dtype`` becomes: floats as asked for, everything else as it is.

    Without 64-bit mode JAX has no 64-bit numbers; they become 32-bit ones.
    """
    if floats is not None and jnp.issubdtype(dtype, jnp.floating):
        return np.dtype(jnp.dtype(floats))
    return np.dtype(jax.dtypes.canonicalize_dtype(dtype))


def place(
    read: Read, shape: tuple[int, ...], dtype: Any, sharding: Any, floats: str | None = None
) -> jax.Array:
    """An array whose every part is read for the device that holds it.

    Args:
        read: Called with an index for each part this process holds.
        shape: Whole shape.
        dtype: Of what ``read`` returns.
        sharding: How it is split.
        floats: Dtype of floats; None leaves them alone.
    """
    wanted = target_dtype(dtype, floats)

    def part(index: Any) -> np.ndarray:
        return np.asarray(read(index)).astype(wanted, copy=False)

    return jax.make_array_from_callback(shape, sharding, part)


def place_leaf(leaf: Any, sharding: Any, floats: str | None = None) -> jax.Array:
    """One array in memory, on the host or on devices, into its sharding."""
    if isinstance(leaf, jax.Array):
        wanted = target_dtype(leaf.dtype, floats)
        cast = leaf if leaf.dtype == wanted else leaf.astype(wanted)
        if cast.is_fully_addressable and _mine_alone(sharding):
            return jax.device_put(cast, sharding)
        if cast.is_fully_addressable:
            leaf = np.asarray(cast)
        else:
            moved: jax.Array = jax.jit(lambda x: x, out_shardings=sharding)(cast)
            return moved
    array = np.asarray(leaf)
    return place(lambda index: array[index], array.shape, array.dtype, sharding, floats)


def _mine_alone(sharding: Any) -> bool:
    return bool(sharding.is_fully_addressable)


def place_tree(params: Any, shardings: Any, floats: str | None = None) -> Any:
    """A tree of arrays in memory into its shardings."""
    return jax.tree.map(lambda leaf, to: place_leaf(leaf, to, floats), params, shardings)
