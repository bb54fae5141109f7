"""Coordinates along axis 0, as xarray stores them beside the arrays they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from foretell.abc import SourceOptions
from foretell.builtin.sources.dtypes import native
from foretell.builtin.sources.zarr_column import ZarrColumn
from foretell.builtin.sources.zarr_open import Node, choose_arrays

if TYPE_CHECKING:
    import zarr

_V2_DIMENSIONS = "_ARRAY_DIMENSIONS"


def read_coords(
    node: Node, columns: Sequence[ZarrColumn], options: SourceOptions
) -> dict[str, np.ndarray]:
    """One-dimensional arrays beside the columns that run along their first dimension.

    Those are the array that has the dimension's own name, and the ones the columns list in their
    ``coordinates`` attribute. Values come as stored, not decoded as times.

    Returns:
        Name to array ``(rows,)``; empty when dimensions have no names.
    """
    found: dict[str, np.ndarray] = {}
    for column in columns:
        dims = dimensions(column.array)
        if not dims or dims[0] is None:
            continue
        listed = str(column.array.attrs.get("coordinates", "")).split()
        for name in [dims[0], *listed]:
            values = _coordinate(node, column, name, dims[0], options)
            if name not in found and values is not None:
                found[name] = values
    return found


def dimensions(array: zarr.Array[Any]) -> list[str | None]:
    """Names of the array's dimensions; empty when it has none."""
    names = getattr(array.metadata, "dimension_names", None)
    if names is None:
        names = array.attrs.get(_V2_DIMENSIONS)
    return list(names) if isinstance(names, list | tuple) else []


def _coordinate(
    node: Node, column: ZarrColumn, name: str, dim: str, options: SourceOptions
) -> np.ndarray | None:
    import zarr

    folder, _, own = column.array.path.rpartition("/")
    if name == own or "/" in name or name.startswith("."):
        return None
    try:
        group = zarr.open_group(store=node.store, path=folder, mode="r")
        array = group.get(name)
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(array, zarr.Array) or array.shape != column.shape[:1]:
        return None
    if dimensions(array) != [dim]:
        return None
    safe = choose_arrays(Node(node.store, node.root, f"{folder}/{name}", array), (), options)
    return native(np.asarray(next(iter(safe.values()))[:]))
