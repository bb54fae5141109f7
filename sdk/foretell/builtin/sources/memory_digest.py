"""Hashes of live data: equal for equal content, whatever process computes them."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from foretell.builtin.sources.parts import sha256
from foretell.errors import ConfigError

_SEGMENT = 32 * 2**20
_THREADS = 4


def digest_array(
    array: Any,
    length: int,
    to_numpy: Callable[[Any], np.ndarray] = np.asarray,
    segment: int = _SEGMENT,
) -> str:
    """Hash of shape, dtype and values, in any memory order.

    The values are hashed by segments of rows, several at once, and the hashes of the segments are
    hashed: SHA-256 of one stream would leave all cores but one idle. Data that is not in memory
    passes through it one segment after the other.

    Args:
        array: Anything with slices along axis 0.
        length: Its length.
        to_numpy: Turns a slice into an array.
        segment: Bytes of a segment.
    """
    first = to_numpy(array[:1])
    head = f"{length} {first.shape[1:]} {first.dtype.newbyteorder('=')}".encode()
    rows = max(1, segment // max(1, first.nbytes))
    starts = range(0, length, rows)
    with ThreadPoolExecutor(_THREADS) as pool:
        return sha256([head, *pool.map(lambda i: _hash(to_numpy(array[i : i + rows])), starts)])


def _hash(values: np.ndarray) -> bytes:
    if values.dtype.hasobject or values.dtype.kind == "T":
        return hashlib.sha256(
            b"".join(item_digest(value) for value in values.reshape(-1).tolist())
        ).digest()
    plain = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
    return hashlib.sha256(plain.reshape(-1).view(np.uint8).data).digest()


def digest_records(records: Iterable[Any]) -> str:
    """Hash of a sequence of anything that JSON, NumPy or pickle can write."""
    return sha256(item_digest(record) for record in records)


def item_digest(item: Any) -> bytes:
    """Hash of one record.

    Raises:
        ConfigError: nothing can write it.
    """
    return hashlib.sha256(_written(item)).digest()


def _written(item: Any) -> bytes:
    try:
        # Sorted keys: the order in which a dict was filled is no part of a record.
        return json.dumps(item, sort_keys=True, default=_part).encode()
    except (TypeError, ValueError, RecursionError):
        return _pickled(item)


def _part(value: Any) -> Any:
    """What stands in JSON for a value it does not know."""
    if isinstance(value, np.generic):
        return [str(value.dtype), value.tobytes().hex()]
    if isinstance(value, bytes | bytearray):
        return ["bytes", hashlib.sha256(value).hexdigest()]
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        # A set has no order of its own, and another one in every process.
        return ["set", sorted(item_digest(item).hex() for item in value)]
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        flat = np.atleast_1d(value)
        return ["array", value.ndim, digest_array(flat, len(flat))]
    return ["pickle", _pickled(value).hex()]


def _pickled(value: Any) -> bytes:
    try:
        return pickle.dumps(value, protocol=5)
    except Exception as error:
        raise ConfigError(
            "the source cannot be hashed, so the run could not be continued safely",
            facts=[("item", type(value).__qualname__), ("reason", str(error))],
            tries=[("use numbers, text, bytes, arrays, lists and dicts", "")],
            slug="source-unhashable",
        ) from error
