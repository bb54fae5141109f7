"""One batch's prediction as named arrays, or an error that names the part that does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from foretell.errors import ShapeMismatch
from foretell.plan import check_outputs
from foretell.rows import as_array, select, spec_of, to_outputs
from foretell.types import Arrays

from foretell_torch import frameworks
from foretell_torch.batches import map_leaves, to_array


def flatten(prediction: Any, n_rows: int | None, where: str, *, known: bool = False) -> Arrays:
    """The outputs of a batch by name, copied to arrays of their own.

    Dicts keep their keys (nested ones joined by ``/``), tuples become ``output_0`` …, a bare tensor
    ``output``. bfloat16, which NumPy lacks, becomes float32.

    Args:
        prediction: What ``predict_step`` returned, not None.
        n_rows: Rows of the batch; None when the prediction is to tell.
        where: Which batch, for messages.
        known: Whether a batch of the same outputs was taken before, so that names are fine.

    Raises:
        ShapeMismatch: a part has no row axis or another number of rows, naming it.
    """
    torch = frameworks.torch()
    host = map_leaves(prediction, lambda leaf: to_array(torch, leaf))
    rows = _rows_of(host) if n_rows is None else n_rows
    try:
        named = to_outputs(select(host, np.ones(rows, dtype=bool)))
        arrays = {name: np.array(as_array(name, values, None)) for name, values in named.items()}
        if not known:
            check_outputs(tuple(spec_of(name, values) for name, values in arrays.items()))
    except ShapeMismatch as error:
        raise ShapeMismatch(
            error.message,
            facts=[*error.facts, ("batch", where)],
            tries=[("give every part of the prediction a row for each example", "or leave it out")],
            slug=error.slug,
        ) from error
    return arrays


def _rows_of(host: Any) -> int:
    """Rows of the first part that has a row axis."""
    named = to_outputs(host)
    for values in named.values():
        if isinstance(values, list) or (hasattr(values, "ndim") and values.ndim > 0):
            return len(values)
    raise ShapeMismatch(
        "the prediction has no part with a row for each example",
        facts=[("parts", ", ".join(named) or "none")],
    )
