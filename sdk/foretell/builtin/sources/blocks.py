"""Keeps the blocks of a source that were decoded last, because the next range often needs them too.

A range of rows rarely begins where a stored block begins. Without a memory, a block of 16,384 rows
read 4,096 at a time would be decoded four times.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")

LIMIT_BYTES = 64 * 2**20
"""Decoded bytes kept by one source in one process, the two newest blocks aside."""

_LEAST = 2


@dataclass(frozen=True, slots=True)
class Claim(Generic[Value]):
    """A block that is kept, or on its way.

    Attributes:
        key: Which.
        future: The block, now or later.
        mine: Whether the caller has to decode it, and must fulfil or fail the claim: others wait.
            Who claims several may wait for others' only after having settled its own.
    """

    key: Hashable
    future: Future[Value]
    mine: bool


class BlockCache(Generic[Value]):
    """Decoded blocks by key, the least recently used dropped first. Safe for threads.

    A block that several threads want at once is decoded by the first of them.

    Args:
        size_of: Bytes a block takes.
        limit: Bytes to keep. The newest two blocks are kept whatever they take, so that two
            threads side by side in large blocks do not drop each other's.
    """

    def __init__(self, size_of: Callable[[Value], int], limit: int = LIMIT_BYTES) -> None:
        self._size_of, self._limit = size_of, limit
        self._blocks: OrderedDict[Hashable, Future[Value]] = OrderedDict()
        self._sizes: dict[Hashable, int] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, load: Callable[[], Value]) -> Value:
        """The block, decoded by ``load`` unless it is kept; what ``load`` raises is not kept."""
        claim = self.claim(key)
        if claim.mine:
            try:
                self.fulfil(claim, load())
            except BaseException as error:
                self.fail(claim, error)
        return claim.future.result()

    def claim(self, key: Hashable) -> Claim[Value]:
        """Ask for a block without waiting for it."""
        with self._lock:
            future = self._blocks.get(key)
            mine = future is None
            if future is None:
                future = self._blocks[key] = Future()
            self._blocks.move_to_end(key)
        return Claim(key, future, mine)

    def fulfil(self, claim: Claim[Value], value: Value) -> None:
        """Hand over a block that was claimed."""
        size = self._size_of(value)
        with self._lock:
            self._sizes[claim.key] = size
            self._shrink()
        claim.future.set_result(value)

    def fail(self, claim: Claim[Value], error: BaseException) -> None:
        """Give a claim up: those who wait get the error, the next one tries again."""
        with self._lock:
            self._blocks.pop(claim.key, None)
            self._sizes.pop(claim.key, None)
        claim.future.set_exception(error)

    def _shrink(self) -> None:
        for key in self._kept():
            if len(self._sizes) <= _LEAST or sum(self._sizes.values()) <= self._limit:
                return
            del self._blocks[key], self._sizes[key]

    def _kept(self) -> list[Hashable]:
        return [key for key in self._blocks if key in self._sizes]

    def clear(self) -> None:
        """Forget every block."""
        with self._lock:
            for key in self._kept():
                del self._blocks[key], self._sizes[key]
