"""Predictions from devices to the host: of several processes, each takes only its own rows."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import numpy as np


def start_copies(outputs: Any) -> None:
    """Have the devices send their results as soon as they have them."""
    if not _is_host():
        for leaf in jax.tree.leaves(outputs):
            leaf.copy_to_host_async()


@cache
def _is_host() -> bool:
    return bool(jax.default_backend() == "cpu")


def to_host(outputs: Any, rows: int) -> Any:
    """Wait for predictions.

    Args:
        outputs: A nest of JAX arrays, rows on axis 0.
        rows: Rows of this process, those of padding not counted.

    Returns:
        The nest as NumPy arrays of ``rows`` rows, in the order they were launched.
    """

    def mine(leaf: jax.Array) -> np.ndarray:
        array = _local(leaf)
        return array if len(array) == rows else array[:rows]

    return jax.tree.map(mine, outputs)


def _local(array: jax.Array) -> np.ndarray:
    if array.is_fully_addressable:
        return np.asarray(array)
    if array.is_fully_replicated:
        return np.asarray(array.addressable_data(0))
    parts: dict[int, Any] = {}
    for shard in array.addressable_shards:
        parts.setdefault(shard.index[0].start or 0, shard.data)
    return np.concatenate([np.asarray(parts[start]) for start in sorted(parts)])
