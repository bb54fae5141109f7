"""Embeddings: lengths of the vectors, and whether they still point where they used to."""

from __future__ import annotations

import numpy as np

from foretell.previews.statistics import (
    as_floats,
    histogram,
    number,
    share,
    summary,
    title_of,
    warnings_of,
)
from foretell.previews.values import BlockMeta, Numbers, Preview

LEAST = 32
"""Values a row must have to be taken for an embedding."""


def preview(meta: BlockMeta, block: np.ndarray, width: int, height: int) -> Preview | None:
    """Norms, NaN, and the cosine to an earlier chunk, of rows that are long vectors.

    Args:
        meta: What the block is; ``previous`` is compared with where it has rows as long.
        block: Floats ``(rows, values)``.
        width, height: Cells there are.
    """
    if meta.view not in ("auto", "numbers") or block.dtype.kind != "f" or block.ndim != 2:
        return None
    if block.shape[1] < LEAST or not len(block):
        return None
    values = as_floats(block)
    found = summary(block)
    good = np.isfinite(values).all(axis=1)
    norms = _norms(values[good])
    norms = norms[np.isfinite(norms)]
    facts = []
    if len(norms):
        facts += [
            ("norm", f"{number(norms.min())} to {number(norms.max())}"),
            ("mean norm", number(norms.mean())),
        ]
    facts.append(("nan", share(int(np.isnan(values).any(axis=1).sum()), len(values)) + " of rows"))
    warnings = [*warnings_of(found)]
    zero = int((norms == 0).sum())
    if zero:
        warnings.append(f"{share(zero, len(values))} of the vectors are zero")
    same = len(values) > 1 and bool(good.all()) and bool((values == values[0]).all())
    if same and not found.constant:
        warnings.append("every row is the same vector")
    cosine = _cosine(values[good], meta.previous)
    if cosine is not None:
        facts.append(("cosine to an earlier chunk", number(cosine)))
    return Numbers(
        facts=tuple(facts),
        histogram=histogram(norms),
        title=title_of(meta, block),
        warnings=tuple(warnings),
    )


def _norms(values: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        norms: np.ndarray = np.linalg.norm(values, axis=1)
    return norms


def _cosine(values: np.ndarray, previous: np.ndarray | None) -> float | None:
    """Between the mean directions of two blocks; None where one has none."""
    if previous is None or previous.dtype.kind != "f" or previous.ndim != 2:
        return None
    before = as_floats(previous)
    before = before[np.isfinite(before).all(axis=1)]
    if not len(values) or not len(before) or before.shape[1] != values.shape[1]:
        return None
    one, other = _direction(values), _direction(before)
    with np.errstate(all="ignore"):
        cosine = float(one @ other)
    return cosine if np.isfinite(cosine) and one.any() and other.any() else None


def _direction(values: np.ndarray) -> np.ndarray:
    """The mean of the rows, one long."""
    with np.errstate(all="ignore"):
        largest = np.abs(values).max(initial=0.0) or 1.0
        mean = (values / largest).mean(axis=0)
        length = np.linalg.norm(mean)
        direction: np.ndarray = mean / length if length > 0 else mean
    return direction
