"""Dense text for columns of whole numbers and for sets of chunk ids.

A column is one number where all values are equal, a list where there are few, else
``"base+u2:…"``: base64 of little-endian unsigned differences from ``base``, as narrow as they fit.
"""

from __future__ import annotations

import base64
import re
from typing import Any, TypeAlias

import numpy as np

Ints: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

FEW = 4
"""Up to this many values are written as a list, for people."""

SMALL = 64
"""Up to this many values plain Python is faster than NumPy."""

_PACKED = re.compile(r"(-?\d{1,19})\+u([1248]):([A-Za-z0-9+/]*={0,2})\Z")
_RANGES = re.compile(r"\d{1,18}(-\d{1,18})?(,\d{1,18}(-\d{1,18})?)*\Z")


def pack(values: Ints) -> Any:
    """A column of int64 as JSON."""
    if len(values) <= SMALL:
        plain = values.tolist()
        low, high = min(plain), max(plain)
    else:
        low, high = int(values.min()), int(values.max())
    if low == high:
        return low
    if len(values) <= FEW:
        return plain
    span = high - low
    width = next(width for width in (1, 2, 4, 8) if span < 1 << (8 * width))
    narrow = (values - low).astype(f"<u{width}")
    return f"{low}+u{width}:{base64.b64encode(narrow.tobytes()).decode()}"


def unpack(value: Any, count: int) -> Ints:
    """The ``count`` values that :func:`pack` wrote.

    Raises:
        ValueError: it is no column of that length.
    """
    if isinstance(value, bool):
        raise ValueError("not a column")
    if isinstance(value, int):
        return np.full(count, value, dtype=np.int64)
    values = _unpack_text(value) if isinstance(value, str) else np.array(value, dtype=np.int64)
    if values.shape != (count,):
        raise ValueError(f"a column of {values.shape} for {count} chunks")
    return values


def _unpack_text(text: str) -> Ints:
    found = _PACKED.match(text)
    if found is None:
        raise ValueError("not a column")
    narrow = np.frombuffer(base64.b64decode(found[3], validate=True), dtype=f"<u{found[2]}")
    return narrow.astype(np.int64) + int(found[1])


def pack_ids(ids: Ints) -> str:
    """Ascending, distinct ids as ranges: ``0-999,1003``."""
    if len(ids) <= SMALL:
        return ",".join(map(_range, *_small_ranges(ids.tolist())))
    breaks = np.flatnonzero(np.diff(ids) != 1) + 1
    starts = ids[np.concatenate(([0], breaks))].tolist()
    stops = ids[np.concatenate((breaks - 1, [len(ids) - 1]))].tolist()
    return ",".join(map(_range, starts, stops))


def _small_ranges(ids: list[int]) -> tuple[list[int], list[int]]:
    starts, stops = [ids[0]], [ids[0]]
    for number in ids[1:]:
        if number == stops[-1] + 1:
            stops[-1] = number
        else:
            starts.append(number)
            stops.append(number)
    return starts, stops


def _range(start: int, stop: int) -> str:
    return str(start) if start == stop else f"{start}-{stop}"


def unpack_ids(text: str, limit: int) -> Ints:
    """The ids that :func:`pack_ids` wrote, all below ``limit``.

    Raises:
        ValueError: not ascending ids below ``limit``. Nothing large is allocated before.
    """
    if not isinstance(text, str) or not _RANGES.match(text):
        raise ValueError("not a set of chunks")
    parts = []
    below = -1
    for item in text.split(","):
        start, _, stop = item.partition("-")
        first, last = int(start), int(stop or start)
        if not below < first <= last < limit:
            raise ValueError(f"chunks {item} of {limit}")
        parts.append(np.arange(first, last + 1, dtype=np.int64))
        below = last
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
