"""Ranges of one Zarr array, decoding no block more often than needed."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from foretell.builtin.sources.blocks import LIMIT_BYTES, BlockCache, Claim
from foretell.builtin.sources.dtypes import dtype_name, native, row_bytes_of

if TYPE_CHECKING:
    import zarr


class ZarrColumn:
    """Rows of one array along axis 0.

    A range is decoded by one call, for whole blocks. Of the blocks at its ends it needs a part, and
    a neighbouring range the rest: those are kept.

    Args:
        name: Its name.
        array: The array.
        cache: Shared by all columns of a source.
        folder: Where its objects are, for a local store.
    """

    def __init__(
        self,
        name: str,
        array: zarr.Array[Any],
        cache: BlockCache[np.ndarray],
        folder: str | None = None,
    ) -> None:
        self.name, self.array, self.cache, self.folder = name, array, cache, folder
        self.shape: tuple[int, ...] = tuple(int(extent) for extent in array.shape)
        self._dtype: np.dtype[Any] = np.dtype(array.dtype)
        self.block = max(1, int(array.chunks[0])) if self.shape else 1
        self.row_bytes = row_bytes_of(self.shape, self._dtype)
        self._keeps = self.block > 1 and self.block * self.row_bytes <= LIMIT_BYTES

    @property
    def dtype(self) -> str:
        """Name of the dtype, ``str`` for text."""
        return "str" if self._dtype.kind == "O" else dtype_name(self._dtype)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows ``start`` to ``stop`` in memory of their own."""
        claims = self._claim_edges(start, stop) if self._keeps and stop > start else {}
        if not claims:
            return self._decode(start, stop)
        first, last = start // self.block, (stop - 1) // self.block
        # Blocks that another thread has, or is at, are not decoded again.
        begin = first + (first in claims and not claims[first].mine)
        end = last + 1 - (last in claims and not claims[last].mine)
        middle = self._decode_blocks(begin, end, claims)
        if first == last:
            block = claims[first].future.result()
            return block[start - first * self.block : stop - first * self.block].copy()
        cut_start = max(start - begin * self.block, 0)
        pieces = [middle[cut_start : stop - begin * self.block]]
        if begin > first:
            pieces.insert(0, claims[first].future.result()[start - first * self.block :])
        if end <= last:
            pieces.append(claims[last].future.result()[: stop - last * self.block])
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _claim_edges(self, start: int, stop: int) -> dict[int, Claim[np.ndarray]]:
        """Claims on the blocks of which the range covers a part only."""
        edges = [number // self.block for number in (start, stop) if number % self.block]
        if stop == self.shape[0] and stop % self.block and start % self.block == 0:
            edges = []
        return {number: self.cache.claim((self.name, number)) for number in dict.fromkeys(edges)}

    def _decode_blocks(
        self, begin: int, end: int, claims: Mapping[int, Claim[np.ndarray]]
    ) -> np.ndarray:
        """Blocks ``begin`` to ``end`` by one call, settling the claims that are this thread's."""
        mine = {number: claim for number, claim in claims.items() if claim.mine}
        try:
            rows = self._decode(begin * self.block, min(end * self.block, self.shape[0]))
            # Copies, so that what is kept does not keep the whole range alive.
            kept = {number: self._block_of(rows, number - begin, end - begin) for number in mine}
        except BaseException as error:
            for claim in mine.values():
                self.cache.fail(claim, error)
            raise
        for number, claim in mine.items():
            self.cache.fulfil(claim, kept[number])
        return rows

    def _block_of(self, rows: np.ndarray, number: int, blocks: int) -> np.ndarray:
        at = number * self.block
        return rows if blocks == 1 else rows[at : at + self.block].copy()

    def _decode(self, start: int, stop: int) -> np.ndarray:
        if stop <= start:
            return self.blank(0)
        if self.folder is not None and self.array.shards is not None:
            self._refuse_empty(start, stop)
        return native(np.asarray(self.array[start:stop]))

    def _refuse_empty(self, start: int, stop: int) -> None:
        """Refuse a shard of no bytes: it would decode to fill values as if they were data."""
        shards = self.array.shards or self.array.chunks
        across = [range(-(-n // s)) for n, s in zip(self.shape[1:], shards[1:], strict=True)]
        for place in product(range(start // shards[0], -(-stop // shards[0])), *across):
            key = self.array.metadata.encode_chunk_key(place)
            path = os.path.join(self.folder or "", *key.split("/"))
            if os.path.exists(path) and os.path.getsize(path) == 0:
                raise ValueError(f"the stored shard {key} is empty")

    def blank(self, rows: int) -> np.ndarray:
        """Placeholders for rows that cannot be decoded."""
        if self._dtype.kind in "OT":
            return np.full((rows, *self.shape[1:]), "", dtype=object)
        return np.zeros((rows, *self.shape[1:]), dtype=self._dtype.newbyteorder("="))


def decoded_bytes(block: np.ndarray) -> int:
    """Memory of a kept block; a string counts as 64 bytes."""
    return math.prod(block.shape) * (64 if block.dtype == object else block.dtype.itemsize)
