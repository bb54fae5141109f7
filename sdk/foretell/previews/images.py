"""Images: maps, slices of volumes and colour pictures, scaled to what a terminal can show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foretell.previews.statistics import (
    as_floats,
    is_numeric,
    number,
    summary,
    title_of,
    warnings_of,
)
from foretell.previews.values import BlockMeta, Image, Preview

PERCENTILES = (2.0, 98.0)
"""Ends of the scale: a few wild pixels do not turn the rest grey."""
MOST_CLASSES = 32
"""Distinct whole numbers up to which an image is taken for a map of classes."""
LEAST_SIDE = 2
"""Rows whose last two axes are shorter are no images."""
MOST_GROWTH = 8


def preview(meta: BlockMeta, block: np.ndarray, width: int, height: int) -> Preview | None:
    """One picture out of a block: ``meta.index`` chooses the row, channel or slice.

    Args:
        meta: What the block is.
        block: Numbers ``(rows, h, w)``, ``(rows, h, w, 3)``, ``(rows, depth, h, w)`` …; with view
            ``image`` also ``(rows, values)``, shown as a map of its own.
        width, height: Cells there are; a picture has two pixels a cell, one above the other.
    """
    if not is_numeric(block) or meta.view not in ("auto", "image") or not block.size:
        return None
    if block.ndim == 2 and meta.view == "image":
        block_shape: tuple[int, ...] = (1, *block.shape)
        pictures, colour, first = block.reshape(block_shape), False, 1
    elif block.ndim >= 3 and _is_picture(block.shape[1:]):
        pictures, colour, first = _pictures(block)
    else:
        return None
    found = summary(block)
    at = meta.index % len(pictures)
    size = (max(2, 2 * height), max(1, width))
    made = _colour(pictures[at], size) if colour else _grey(pictures[at], size)
    where = "" if len(pictures) == 1 else f"   {_place(meta, block, at, first)}"
    scale = "" if colour or made.categories else f"   {number(made.low)} to {number(made.high)}"
    return Image(
        levels=made.levels,
        missing=made.missing,
        low=made.low,
        high=made.high,
        categories=made.categories,
        choices=len(pictures),
        title=title_of(meta, block) + where + scale,
        warnings=warnings_of(found),
    )


def _is_picture(shape: Sequence[int]) -> bool:
    sides = shape[-3:-1] if _is_colour(shape) else shape[-2:]
    return min(sides) >= LEAST_SIDE


def _is_colour(shape: Sequence[int]) -> bool:
    return len(shape) == 3 and shape[2] in (3, 4)


def _pictures(block: np.ndarray) -> tuple[np.ndarray, bool, int]:
    """All pictures of a block on one axis, whether they are coloured, and how many a row has."""
    shape = block.shape[1:]
    if _is_colour(shape):
        return block[..., :3], True, 1
    if len(shape) == 3 and shape[0] == 3 and block.dtype == np.uint8:
        return np.moveaxis(block, 1, -1), True, 1
    pictures = block.reshape(-1, *shape[-2:])
    return pictures, False, len(pictures) // len(block)


def _place(meta: BlockMeta, block: np.ndarray, at: int, each: int) -> str:
    """``row 7`` or ``row 7 slice 2 of 16``."""
    row = f"row {meta.row(at // each):,}"
    return row if each == 1 else f"{row} slice {at % each:,} of {each:,}"


def _grey(picture: np.ndarray, size: tuple[int, int]) -> Image:
    if picture.dtype.kind in "iub" and _few_classes(picture):
        classes = fitted(picture.astype(np.int64), size, pick=True)
        levels = (classes % 256).astype(np.uint8)
        missing = np.zeros(levels.shape, dtype=bool)
        ends = float(picture.min()), float(picture.max())
        return Image(levels=levels, missing=missing, low=ends[0], high=ends[1], categories=True)
    low, high = robust_range(picture)
    values = fitted(as_floats(picture), size)
    levels, missing = scaled(values, low, high)
    return Image(levels=levels, missing=missing, low=low, high=high)


def _colour(picture: np.ndarray, size: tuple[int, int]) -> Image:
    low, high = (0.0, 255.0) if picture.dtype == np.uint8 else robust_range(picture)
    floats = as_floats(picture)
    channels = [scaled(fitted(floats[..., i], size), low, high) for i in range(3)]
    levels = np.stack([level for level, _ in channels], axis=-1)
    missing = np.any([absent for _, absent in channels], axis=0)
    return Image(levels=levels, missing=missing, low=low, high=high)


def _few_classes(picture: np.ndarray) -> bool:
    flat = picture.reshape(-1)
    if len(np.unique(flat[: 4 * MOST_CLASSES])) > MOST_CLASSES:
        return False
    return len(np.unique(flat)) <= MOST_CLASSES


def robust_range(picture: np.ndarray) -> tuple[float, float]:
    """Values for black and white: percentiles, or the extremes where those are the same."""
    finite = as_floats(picture).reshape(-1)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return 0.0, 0.0
    low, high = np.percentile(finite, PERCENTILES, method="nearest")
    if low == high:
        low, high = finite.min(), finite.max()
    return float(low), float(high)


def scaled(values: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Values as levels from 0 to 255, and where there is none."""
    missing = ~np.isfinite(values)
    with np.errstate(all="ignore"):
        # Halves: the whole range may be beyond float64.
        place = (values / 2 - low / 2) / (high / 2 - low / 2) if high > low else values * 0.0
    place = np.clip(np.nan_to_num(place, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0)
    return np.rint(place * 255).astype(np.uint8), missing


def fitted(picture: np.ndarray, size: tuple[int, int], *, pick: bool = False) -> np.ndarray:
    """A picture that fits into ``size`` with its sides in proportion.

    Args:
        picture: ``(h, w)``.
        size: Most rows and columns of pixels.
        pick: Take one pixel out of each block, instead of the mean of the finite ones.
    """
    step = max(-(-picture.shape[0] // size[0]), -(-picture.shape[1] // size[1]), 1)
    if step > 1:
        return _picked(picture, step) if pick else _means(picture, step)
    growth = min(size[0] // picture.shape[0], size[1] // picture.shape[1], MOST_GROWTH)
    return np.repeat(np.repeat(picture, growth, axis=0), growth, axis=1)


def _picked(picture: np.ndarray, step: int) -> np.ndarray:
    """One pixel, the middle one, out of every block of ``step`` by ``step``."""
    at = [np.minimum(np.arange(0, side, step) + step // 2, side - 1) for side in picture.shape]
    return picture[np.ix_(*at)]


def _means(picture: np.ndarray, step: int) -> np.ndarray:
    """The mean of the finite values in every block of ``step`` by ``step`` pixels."""
    known = np.isfinite(picture)
    edges = [np.arange(0, side, step) for side in picture.shape]

    def total(values: np.ndarray) -> np.ndarray:
        rows = np.add.reduceat(values, edges[0], axis=0)
        summed: np.ndarray = np.add.reduceat(rows, edges[1], axis=1)
        return summed

    counts = total(known.astype(np.float64))
    with np.errstate(all="ignore"):
        # Divided first, so that sums of large values stay finite.
        shares = total(np.where(known, picture, 0.0) / (step * step))
        means: np.ndarray = shares * (step * step / counts)
    return means
