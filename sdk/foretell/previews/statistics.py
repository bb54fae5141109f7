"""Figures on a block of numbers, exact where that is cheap, and what looks wrong about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from foretell.previews.values import BlockMeta, Histogram

BINS = 32


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures on the values of a block.

    Attributes:
        count: Values.
        finite: float64, the finite ones.
        nan: NaNs.
        infinite: Infinities.
        low, mean, high, deviation: Of the finite values; NaN where there are none.
    """

    count: int
    finite: np.ndarray
    nan: int
    infinite: int
    low: float
    mean: float
    high: float
    deviation: float

    @property
    def constant(self) -> bool:
        """Whether several values are all the same."""
        return self.count > 1 and len(self.finite) == self.count and self.low == self.high


def is_numeric(block: np.ndarray) -> bool:
    """Whether a block holds numbers or truth values."""
    return block.dtype.kind in "biufc"


def as_floats(block: np.ndarray) -> np.ndarray:
    """Numbers as float64 of the same shape; complex ones by their magnitude."""
    with np.errstate(all="ignore"):
        if block.dtype.kind == "c":
            block = np.abs(block)
        floats: np.ndarray = block.astype(np.float64)
    return floats


def summary(block: np.ndarray) -> Summary:
    """Figures on all values of a numeric block."""
    values = as_floats(block).reshape(-1)
    known = np.isfinite(values)
    finite = values[known]
    nan = int(np.isnan(values).sum())
    infinite = len(values) - len(finite) - nan
    if not len(finite):
        return Summary(len(values), finite, nan, infinite, *[float("nan")] * 4)
    low, high = float(finite.min()), float(finite.max())
    # Scaled first: sums and squares of large float64 values would overflow.
    scale = max(abs(low), abs(high)) or 1.0
    with np.errstate(all="ignore"):
        scaled = finite / scale
        mean, deviation = float(scaled.mean()) * scale, float(scaled.std()) * scale
    return Summary(len(values), finite, nan, infinite, low, mean, high, deviation)


def warnings_of(found: Summary) -> tuple[str, ...]:
    """What people should look at: a broken model shows early in these."""
    warnings = []
    if found.nan:
        warnings.append(f"{share(found.nan, found.count)} of the values are NaN")
    if found.infinite:
        warnings.append(f"{share(found.infinite, found.count)} of the values are infinite")
    if found.constant:
        warnings.append(f"every value is {number(found.low)}")
    return tuple(warnings)


def facts_of(found: Summary) -> tuple[tuple[str, str], ...]:
    """The figures as labelled texts."""
    shown = (
        ("min", found.low), ("mean", found.mean), ("max", found.high), ("std", found.deviation)
    )  # fmt: skip
    known = [(label, number(value)) for label, value in shown if len(found.finite)]
    return (
        *known,
        ("nan", share(found.nan, found.count)),
        ("inf", f"{found.infinite:,}"),
        ("const", "yes" if found.constant else "no"),
    )


def histogram(finite: np.ndarray, bins: int = BINS) -> Histogram | None:
    """Counts of finite values over their range; None where there is no value."""
    if not len(finite):
        return None
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return Histogram(counts=(len(finite),), low=low, high=high)
    # Half the range first: the whole one may be beyond float64.
    with np.errstate(all="ignore"):
        place = (finite / 2 - low / 2) / (high / 2 - low / 2)
    place = np.nan_to_num(place, nan=0.0, posinf=1.0, neginf=0.0)
    bars = np.clip((place * bins).astype(np.int64), 0, bins - 1)
    counts = np.bincount(bars, minlength=bins)
    return Histogram(counts=tuple(counts.tolist()), low=low, high=high)


def number(value: Any) -> str:
    """A number with four digits."""
    return f"{float(value):.4g}"


def share(part: int, whole: int) -> str:
    """``1.25 %``; never 0 % for something, never 100 % for less than all."""
    percent = 100.0 * part / whole if whole else 0.0
    if part and percent < 0.01:
        return "< 0.01 %"
    if part < whole and percent > 99.99:
        return "> 99.99 %"
    return f"{percent:.2f} %"


def title_of(meta: BlockMeta, block: np.ndarray) -> str:
    """``logits float32 (10,)   chunk 3   1,024 of 4,096 rows``."""
    parts = [f"{meta.name} {meta.dtype} {block.shape[1:] if block.ndim else ()}"]
    if meta.chunk >= 0:
        parts.append(f"chunk {meta.chunk:,}")
    if block.ndim and meta.total > len(block):
        parts.append(f"{len(block):,} of {meta.total:,} rows")
    elif block.ndim:
        parts.append(f"{len(block):,} rows")
    return "   ".join(parts)
