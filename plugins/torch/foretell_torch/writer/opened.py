"""The segment being filled: rows are copied into blocks, so that nothing is kept for each batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np
from foretell.types import Arrays

from foretell_torch.writer.places import Rows


class Block:
    """Consecutive rows whose outputs have one shape and dtype.

    Args:
        arrays: Outputs of the first batch.
        capacity: Rows it has room for, at least those of the first batch.
    """

    def __init__(self, arrays: Arrays, capacity: int) -> None:
        self._capacity = self._most = capacity
        self._n = 0
        self._rows: Rows = range(0)
        self._arrays = {
            name: np.empty((capacity, *values.shape[1:]), values.dtype)
            for name, values in arrays.items()
        }
        self.row_bytes = sum(v[:1].nbytes for v in self._arrays.values())
        self.objects = any(v.dtype.hasobject for v in self._arrays.values())

    def emptied(self, capacity: int) -> bool:
        """Make it an empty block of another capacity; False when its memory does not suffice."""
        if capacity > self._most:
            return False
        self._capacity, self._n, self._rows = capacity, 0, range(0)
        return True

    def like(self, arrays: Arrays) -> bool:
        """Whether outputs have this block's names, shapes and dtypes."""
        if arrays.keys() != self._arrays.keys():
            return False
        for name, held in self._arrays.items():
            values = arrays[name]
            if values.dtype != held.dtype or values.shape[1:] != held.shape[1:]:
                return False
        return True

    def take(self, rows: Rows, arrays: Arrays) -> bool:
        """Copy a batch that :meth:`like` holds for; False when there is no room for it."""
        start = self._n
        stop = start + len(rows)
        if stop > self._capacity:
            return False
        self._note(rows, start, stop)
        for name, target in self._arrays.items():
            target[start:stop] = arrays[name]
        self._n = stop
        return True

    def filled(self) -> tuple[Rows, Arrays]:
        """Rows and outputs, without the room that is left."""
        arrays = {name: values[: self._n] for name, values in self._arrays.items()}
        return self._rows[: self._n], arrays

    def _note(self, rows: Rows, start: int, stop: int) -> None:
        """Remember which rows these are: as one range as long as they follow one another."""
        held = self._rows
        if isinstance(held, range):
            if isinstance(rows, range) and rows.step == 1 and start in (0, rows.start - held.start):
                self._rows = range(held.start if start else rows.start, rows.stop)
                return
            numbers = np.empty(self._most, np.int64)
            numbers[:start] = held
            self._rows = held = numbers
        held[start:stop] = rows


class Spares:
    """Blocks whose rows are stored, to be filled again.

    Memory that is used for the first time costs several times what it takes to fill it.
    """

    def __init__(self) -> None:
        self._blocks: deque[Block] = deque(maxlen=_SPARES)

    def block(self, arrays: Arrays, capacity: int) -> Block:
        """An empty block for such outputs, used before if there is one that fits."""
        while True:
            try:
                found = self._blocks.popleft()
            except IndexError:
                return Block(arrays, capacity)
            if found.like(arrays) and found.emptied(capacity):
                return found

    def add(self, blocks: Iterable[Block]) -> None:
        """Take back blocks that nobody looks at any more; another thread may."""
        self._blocks.extend(block for block in blocks if not block.objects)


_SPARES = 3
"""As many as are filled, wait and are stored."""


class Opened:
    """Rows of one loader that will be one segment.

    Args:
        loader: Index of the loader.
        since: When the first came, seconds of the spool's clock.
        limit: Bytes at which it is to be closed.
        ragged: Whether batches of this loader have been of different shapes.
        spares: Where blocks come from and go to.

    Attributes:
        most: Rows it may hold, where it is to end at the border of a chunk.
    """

    def __init__(self, loader: int, since: float, limit: int, ragged: bool, spares: Spares) -> None:
        self.loader = loader
        self.since = since
        self.ragged = ragged
        self.bytes = 0
        self.most: int | None = None
        self.gaps: list[Rows] = []
        self.files: list[tuple[str, int]] = []
        self._limit = limit
        self._spares = spares
        self._rows = 0
        self._blocks: list[Block] = []
        self._listed: list[Rows] = []

    @property
    def empty(self) -> bool:
        """Whether no predicted row is in it."""
        return not self._rows

    @property
    def room(self) -> int | None:
        """Rows that are left to the border; None where there is none."""
        return None if self.most is None else self.most - self._rows

    def take(self, rows: Rows, arrays: Arrays) -> bool:
        """Copy a batch that is like the one before it; False for one that needs a look first."""
        if not self._blocks:
            return False
        block = self._blocks[-1]
        if block.objects or not block.like(arrays) or not block.take(rows, arrays):
            return False
        self.bytes += len(rows) * block.row_bytes
        self._rows += len(rows)
        return True

    def add(self, rows: Rows, arrays: Arrays) -> None:
        """Copy a batch.

        Args:
            rows: Which.
            arrays: Outputs, ``n`` rows each.
        """
        size = sum(_bytes(values) for values in arrays.values())
        last = self._blocks[-1] if self._blocks else None
        if last is not None and not last.like(arrays):
            self.ragged, last = True, None
        if last is None or not last.take(rows, arrays):
            block = self._spares.block(arrays, self._capacity(rows, arrays, size))
            block.take(rows, arrays)
            self._blocks.append(block)
        self.bytes += size
        self._rows += len(rows)

    def add_file(self, rows: Rows, name: str, size: int) -> None:
        """Note rows whose predictions are in a file of ``size`` bytes."""
        self._listed.append(rows)
        self.files.append((name, len(rows)))
        self.bytes += size

    def batches(self) -> list[tuple[Rows, Arrays]]:
        """All rows with their outputs, in the order they came."""
        return [block.filled() for block in self._blocks] + [(rows, {}) for rows in self._listed]

    def discard(self) -> None:
        """Give the memory back: everything in here is stored."""
        self._spares.add(self._blocks)
        self._blocks = []

    def _capacity(self, rows: Rows, arrays: Arrays, size: int) -> int:
        # Memory that is only reserved costs nothing; of objects each place would be written.
        if self.ragged or not size or any(v.dtype.hasobject for v in arrays.values()):
            return len(rows)
        capacity = len(rows) + max(0, self._limit - self.bytes) * len(rows) // size
        return capacity if self.room is None else min(capacity, self.room)


def _bytes(values: np.ndarray) -> int:
    if not values.dtype.hasobject:
        return values.nbytes
    return values.nbytes + sum(len(v) for v in values.flat if isinstance(v, str))
