"""Arrays that an earlier run predicted: which of their rows are predictions at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from foretell.builtin.sources.zarr_column import ZarrColumn
from foretell.builtin.sources.zarr_open import Node
from foretell.types import Valid

if TYPE_CHECKING:
    import zarr

VALID = "valid"
"""The array of a run store that says what was predicted."""


def valid_array(node: Node, column: ZarrColumn) -> zarr.Array[Any] | None:
    """The ``valid`` array of the run store ``column`` is in; None outside of one."""
    import zarr

    for group in _groups_above(node, column.array.path):
        if "foretell" not in group.attrs:
            continue
        found = group.get(VALID)
        if isinstance(found, zarr.Array) and found.shape == column.shape[:1]:
            return None if found.path == column.array.path else found
    return None


def _groups_above(node: Node, path: str) -> Iterator[zarr.Group]:
    import zarr

    while path:
        path = path.rpartition("/")[0]
        try:
            yield zarr.open_group(store=node.store, path=path, mode="r")
        except (FileNotFoundError, ValueError):
            return


def missing_rows(valid: np.ndarray) -> dict[int, str]:
    """Position to reason, for rows that hold fill values instead of a prediction."""
    reasons = {
        int(Valid.NOT_PREDICTED): "the run that wrote this array has not predicted this row",
        int(Valid.QUARANTINED): "the run that wrote this array set this row aside",
    }
    bad = np.flatnonzero(valid != Valid.PREDICTED)
    return {int(i): reasons.get(int(valid[i]), "not a prediction") for i in bad}
