"""Classes: how often each was predicted, by name, and the best few of a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foretell.previews.statistics import (
    as_floats,
    number,
    share,
    summary,
    title_of,
    warnings_of,
)
from foretell.previews.values import BlockMeta, Histogram, Numbers, Preview
from foretell.text import clip

NAMES = "class_names"
"""Attribute of an output that names its classes, in order."""
TOP = 5
MOST_BARS = 24
MOST_NAME = 24


def preview(meta: BlockMeta, block: np.ndarray, width: int, height: int) -> Preview | None:
    """Balance and best classes of labels ``(rows,)`` or scores ``(rows, classes)`` with names.

    Args:
        meta: What the block is; its attribute ``class_names`` names the classes.
        block: Integers, or scores whose last axis is the classes.
        width, height: Cells there are.
    """
    names = class_names(meta)
    if not names or meta.view not in ("auto", "numbers", "histogram") or not block.ndim:
        return None
    if block.dtype.kind in "iub" and block.ndim == 1:
        return _labels(meta, block, names)
    if block.dtype.kind == "f" and block.ndim == 2 and block.shape[1] == len(names):
        return _scores(meta, block, names)
    return None


def class_names(meta: BlockMeta) -> list[str]:
    """The names in the attributes, safe and short; empty where there are none."""
    names = meta.attrs.get(NAMES)
    if not isinstance(names, list | tuple):
        return []
    return [clip(str(name), MOST_NAME) for name in names]


def _labels(meta: BlockMeta, block: np.ndarray, names: Sequence[str]) -> Preview:
    labels = block.astype(np.int64, copy=False)
    unknown = int(((labels < 0) | (labels >= len(names))).sum())
    warnings = [f"{share(unknown, len(labels))} of the labels name no class"] if unknown else []
    return _balance(meta, block, labels, names, warnings, [])


def _scores(meta: BlockMeta, block: np.ndarray, names: Sequence[str]) -> Preview:
    values = as_floats(block)
    found = summary(block)
    ranked = np.where(np.isnan(values), -np.inf, values)
    labels = ranked.argmax(axis=1) if len(values) else np.zeros(0, np.int64)
    facts = []
    if len(values):
        at = meta.index % len(values)
        best = np.argsort(-ranked[at], kind="stable")[: min(TOP, len(names))]
        shown = ", ".join(f"{names[i]} {number(values[at, i])}" for i in best.tolist())
        facts.append((f"row {meta.row(at):,}", shown))
    return _balance(meta, block, labels, names, list(warnings_of(found)), facts)


def _balance(
    meta: BlockMeta,
    block: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    warnings: list[str],
    facts: list[tuple[str, str]],
) -> Preview:
    """How often each class was predicted, the most frequent first."""
    known = labels[(labels >= 0) & (labels < len(names))]
    counts = np.bincount(known, minlength=len(names))
    order = np.argsort(-counts, kind="stable").tolist()
    if len(labels) > 1 and counts.max(initial=0) == len(labels):
        warnings.append(f"every row is {names[order[0]]}")
    shown = order[:MOST_BARS]
    bars = Histogram(
        counts=tuple(int(counts[i]) for i in shown),
        labels=tuple(names[i] for i in shown),
        title=title_of(meta, block),
        warnings=tuple(warnings),
    )
    if meta.view == "histogram":
        return bars
    never = int((counts == 0).sum())
    facts += [
        (names[i], f"{counts[i]:,}   {share(int(counts[i]), len(labels))}") for i in shown[:TOP]
    ]
    if never:
        facts.append(("never", f"{never:,} of {len(names):,} classes"))
    return Numbers(
        facts=tuple(facts), histogram=bars, title=title_of(meta, block), warnings=tuple(warnings)
    )
