"""The segment being filled: rows are copied into blocks, so that nothing is kept for each batch."""

from __future__ import annotations

import numpy as np
from foretell.types import Arrays


class Block:
    """Consecutive rows whose outputs have one shape and dtype.

    Args:
        arrays: Outputs of the first batch.
        capacity: Rows it has room for, at least those of the first batch.
    """

    def __init__(self, arrays: Arrays, capacity: int) -> None:
        self._capacity = capacity
        self._n = 0
        self._rows = np.empty(capacity, np.int64)
        self._arrays = {
            name: np.empty((capacity, *values.shape[1:]), values.dtype)
            for name, values in arrays.items()
        }
        self._like = {name: (v.dtype, v.shape[1:]) for name, v in arrays.items()}
        self.row_bytes = sum(v[:1].nbytes for v in self._arrays.values())
        self.objects = any(v.dtype.hasobject for v in self._arrays.values())

    def like(self, arrays: Arrays) -> bool:
        """Whether outputs have this block's names, shapes and dtypes."""
        return {name: (v.dtype, v.shape[1:]) for name, v in arrays.items()} == self._like

    def take(self, rows: np.ndarray, arrays: Arrays) -> bool:
        """Copy a batch that :meth:`like` holds for; False when there is no room for it."""
        start = self._n
        stop = start + len(rows)
        if stop > self._capacity:
            return False
        self._rows[start:stop] = rows
        for name, target in self._arrays.items():
            target[start:stop] = arrays[name]
        self._n = stop
        return True

    def filled(self) -> tuple[np.ndarray, Arrays]:
        """Rows and outputs, without the room that is left."""
        arrays = {name: values[: self._n] for name, values in self._arrays.items()}
        return self._rows[: self._n], arrays


class Opened:
    """Rows of one loader that will be one segment.

    Args:
        loader: Index of the loader.
        since: When the first came, seconds of the spool's clock.
        limit: Bytes at which it is to be closed.
        ragged: Whether batches of this loader have been of different shapes.
    """

    def __init__(self, loader: int, since: float, limit: int, ragged: bool) -> None:
        self.loader = loader
        self.since = since
        self.ragged = ragged
        self.bytes = 0
        self.gaps: list[np.ndarray] = []
        self.files: list[tuple[str, int]] = []
        self._limit = limit
        self._blocks: list[Block] = []
        self._listed: list[np.ndarray] = []

    def take(self, rows: np.ndarray, arrays: Arrays) -> bool:
        """Copy a batch that is like the one before it; False for one that needs a look first."""
        if not self._blocks:
            return False
        block = self._blocks[-1]
        if block.objects or not block.like(arrays) or not block.take(rows, arrays):
            return False
        self.bytes += len(rows) * block.row_bytes
        return True

    def add(self, rows: np.ndarray, arrays: Arrays) -> None:
        """Copy a batch.

        Args:
            rows: int64 ``(n,)``.
            arrays: Outputs, ``n`` rows each.
        """
        size = sum(_bytes(values) for values in arrays.values())
        last = self._blocks[-1] if self._blocks else None
        if last is not None and not last.like(arrays):
            self.ragged, last = True, None
        if last is None or not last.take(rows, arrays):
            block = Block(arrays, self._capacity(rows, arrays, size))
            block.take(rows, arrays)
            self._blocks.append(block)
        self.bytes += size

    def add_file(self, rows: np.ndarray, name: str, size: int) -> None:
        """Note rows whose predictions are in a file of ``size`` bytes."""
        self._listed.append(rows)
        self.files.append((name, len(rows)))
        self.bytes += size

    def batches(self) -> list[tuple[np.ndarray, Arrays]]:
        """All rows with their outputs, in the order they came."""
        return [block.filled() for block in self._blocks] + [(rows, {}) for rows in self._listed]

    def _capacity(self, rows: np.ndarray, arrays: Arrays, size: int) -> int:
        # Memory that is only reserved costs nothing; of objects each place would be written.
        if self.ragged or not size or any(v.dtype.hasobject for v in arrays.values()):
            return len(rows)
        return len(rows) + max(0, self._limit - self.bytes) * len(rows) // size


def _bytes(values: np.ndarray) -> int:
    if not values.dtype.hasobject:
        return values.nbytes
    return values.nbytes + sum(len(v) for v in values.flat if isinstance(v, str))
