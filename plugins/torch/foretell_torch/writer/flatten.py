"""One batch's prediction as named arrays, or an error that names the part that does not fit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from foretell.errors import ShapeMismatch
from foretell.outputs import Reading, as_array, select, spec_of, to_outputs
from foretell.plan import check_outputs
from foretell.types import Arrays

from foretell_torch import frameworks
from foretell_torch.batches import map_leaves, to_array


def flatten(
    prediction: Any,
    n_rows: int | None,
    where: str,
    *,
    known: Collection[str] = (),
    told: int | None = None,
) -> Arrays:
    """The outputs of a batch by name; arrays may share memory with the prediction.

    Dicts keep their keys (nested ones joined by ``/``), tuples become ``output_0`` …, a bare tensor
    ``output``; what a list of tensors is, :func:`foretell.outputs.select` says. bfloat16, which
    NumPy lacks, becomes float32.

    Args:
        prediction: What ``predict_step`` returned, not None.
        n_rows: Rows of the batch; None when the prediction is to tell.
        where: Which batch, for messages.
        known: Outputs of a batch taken before, by name; they tell what a list of tensors holds.
        told: Rows as far as the batch tells, for a prediction that cannot.

    Raises:
        ShapeMismatch: a part has no row axis or another number of rows, naming it.
    """
    torch = frameworks.torch()
    host = map_leaves(prediction, lambda leaf: to_array(torch, leaf))
    rows = _rows_of(host, told) if n_rows is None else n_rows
    try:
        named = _named(host, rows, known)
        arrays = {name: as_array(name, values, None) for name, values in named.items()}
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


def plain(prediction: Any, n_rows: int | None, dtypes: Mapping[str, np.dtype]) -> Arrays | None:
    """What :func:`flatten` gives, faster, for a tensor or a dict of tensors on the CPU.

    Args:
        prediction: What ``predict_step`` returned, not None.
        n_rows: Rows of the batch; None when the prediction is to tell.
        dtypes: Outputs of an earlier batch, as ``flatten`` gave them.

    Returns:
        None for anything that needs a closer look.
    """
    found: Arrays = {}
    try:
        if not _collect(frameworks.torch().Tensor, prediction, "", found):
            return None
    except (TypeError, RuntimeError):
        return None  # a tensor that NumPy cannot look at as it is
    if found.keys() != dtypes.keys():
        return None
    for name, values in found.items():
        if not values.ndim or values.dtype != dtypes[name]:
            return None
        if n_rows is None:
            n_rows = len(values)
        elif len(values) != n_rows:
            return None
    return found


def _collect(tensor: Any, tree: Any, name: str, found: Arrays) -> bool:
    if type(tree) is tensor:
        found[name or "output"] = tree.numpy()
        return True
    if type(tree) is not dict:
        return False
    prefix = f"{name}/" if name else ""
    return all(_collect(tensor, value, f"{prefix}{key}", found) for key, value in tree.items())


def _named(host: Any, n_rows: int, known: Collection[str]) -> dict[str, Any]:
    """The outputs by name; a list that could be read in two ways is read as the known ones were."""
    mask = np.ones(n_rows, dtype=bool)
    readings: tuple[Reading, ...] = ("outputs", "rows") if known else ()
    for reading in readings:
        with suppress(ShapeMismatch):
            found = to_outputs(select(host, mask, lists=reading))
            if found.keys() == set(known):
                return found
    return to_outputs(select(host, mask))


def _rows_of(host: Any, told: int | None) -> int:
    """Rows of the first part that has a row axis; a list of arrays may hold outputs, or rows."""
    named = to_outputs(host)
    for values in named.values():
        if hasattr(values, "ndim") and values.ndim > 0:
            return len(values)
        if isinstance(values, list) and not all(hasattr(value, "ndim") for value in values):
            return len(values)
    if told is not None and any(isinstance(values, list) for values in named.values()):
        return told
    raise ShapeMismatch(
        "the prediction has no part with a row for each example",
        facts=[("parts", ", ".join(named) or "none")],
    )
