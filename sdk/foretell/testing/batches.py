"""Batches for the contract kits, made the way the engine makes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foretell import rows as rowops
from foretell.abc import Deployment, Predictor
from foretell.outputs import as_array, select, spec_of
from foretell.types import Arrays, Batch, Examples


def make_batch(
    predictor: Predictor,
    examples: Examples,
    positions: Sequence[int],
    *,
    real: int | None = None,
    seed: int = 0,
) -> Batch:
    """The batch of the examples at ``positions``; those after the first ``real`` are filler.

    The positions are the rows' global indices as well.
    """
    rows = np.asarray(positions, dtype=np.int64)
    mask = np.arange(len(rows)) < (len(rows) if real is None else real)
    return Batch(
        inputs=predictor.collate(rowops.take(examples, rows)),
        rows=np.where(mask, rows, -1),
        mask=mask,
        keys=rowops.row_keys(seed, rows),
    )


def finish(
    predictor: Predictor, predictions: Any, mask: np.ndarray, like: Arrays | None = None
) -> Arrays:
    """Named output arrays of a batch's real rows, from what ``collect`` returned.

    Args:
        predictor: For its ``postprocess``.
        predictions: A nest with a row for every row of the batch.
        mask: Which of them are real.
        like: Outputs of an earlier batch, whose shapes and dtypes these must have.

    Raises:
        ShapeMismatch: they have not.
    """
    named = predictor.postprocess(select(predictions, mask))
    specs = {name: spec_of(name, array) for name, array in (like or {}).items()}
    return {name: as_array(name, values, specs.get(name)) for name, values in named.items()}


def run_batch(
    predictor: Predictor, deployment: Deployment, batch: Batch, like: Arrays | None = None
) -> Arrays:
    """Launch, collect, :func:`finish`."""
    return finish(predictor, deployment.collect(deployment.launch(batch)), batch.mask, like)


def assert_same(got: Arrays, expected: Arrays, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Equal names, shapes, dtypes and values; floats within a tolerance, NaN equal to NaN.

    Raises:
        AssertionError: naming the output that differs.
    """
    assert list(got) == list(expected), f"outputs {list(got)}, expected {list(expected)}"
    for name, array in got.items():
        other = expected[name]
        assert array.dtype == other.dtype, f"{name}: {array.dtype}, expected {other.dtype}"
        if array.dtype.kind in "fc":
            np.testing.assert_allclose(array, other, rtol, atol, equal_nan=True, err_msg=name)
        else:
            np.testing.assert_array_equal(array, other, err_msg=name)


def pick(arrays: Arrays, index: Sequence[int] | slice) -> Arrays:
    """The rows at ``index`` of every output."""
    at = index if isinstance(index, slice) else np.asarray(index)
    return {name: array[at] for name, array in arrays.items()}


class InProcessServices:
    """A :class:`~foretell.abc.ServiceCaller` for tests: every service lives in this process."""

    def __init__(self, services: Mapping[str, Any]) -> None:
        self._services = dict(services)

    def call(self, name: str, method: str, arrays: Arrays, deadline: float) -> Arrays:
        """Call the method; the deadline is not enforced."""
        answer: Arrays = getattr(self._services[name], method)(**arrays)
        return answer
