"""Turns rows into the bytes of whole Zarr shards, by zarr itself, in memory.

Because nothing stored is ever read here, the bytes follow from the rows alone; and because the
caller puts them, it decides the order and every put takes the run store's own way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np
import zarr
from numcodecs.zstd import Zstd
from zarr.core.buffer.cpu import Buffer
from zarr.core.sync import sync
from zarr.storage import MemoryStore

from foretell.types import Arrays

if TYPE_CHECKING:
    from zarr.abc.buffer import Buffer as AbstractBuffer


class Encoder:
    """Encodes shards of the arrays that ``documents`` describe. Threads may share one.

    Args:
        documents: Every metadata document of the store.
        names: Paths of the arrays.
        level: zstd level of all of them, 0 for a checksum alone.
    """

    def __init__(self, documents: Mapping[str, bytes], names: Sequence[str], level: int) -> None:
        self._level = level
        self._made: dict[str, AbstractBuffer] = {
            key: Buffer.from_bytes(document) for key, document in documents.items()
        }
        group = zarr.open_group(MemoryStore(self._made), mode="r+", zarr_format=3)
        self._arrays = {name: _array(group, name) for name in names}

    def encode(self, values: Arrays, start: int, keys: Sequence[str]) -> list[memoryview]:
        """The bytes of the objects ``keys`` that hold these rows.

        Args:
            values: Rows of some or all arrays, each one shard: ``start`` begins a shard, and only
                the last shard of the array may be short.
            start: Row of the array at which they begin.
            keys: The object of each array, in the order of ``values``.
        """
        try:
            plain = {name for name in values if is_plain(self._arrays[name])}
            if len(plain) < len(values):
                sync(self._fill({n: v for n, v in values.items() if n not in plain}, start))
            return [
                plain_chunk(self._arrays[name], value, self._level)
                if name in plain
                else self._made[key].as_numpy_array().data
                for key, (name, value) in zip(keys, values.items(), strict=True)
            ]
        finally:
            for key in keys:
                self._made.pop(key, None)

    async def _fill(self, values: Arrays, start: int) -> None:
        # All arrays at once: the many small waits of one hide behind the compression of another.
        done = await asyncio.gather(
            *(
                self._arrays[name].async_array.setitem(slice(start, start + len(value)), value)
                for name, value in values.items()
            ),
            return_exceptions=True,
        )
        for result in done:
            if isinstance(result, BaseException):
                raise result


def is_plain(array: zarr.Array[Any]) -> bool:
    """Whether an array's chunks are its values' bytes, compressed: no shards, no text."""
    return array.shards is None and array.dtype.kind in "biufc"


def plain_chunk(array: zarr.Array[Any], values: np.ndarray, level: int) -> memoryview:
    """The bytes zarr makes of one chunk of a plain array, without its machinery.

    Most outputs are small, and for those zarr's event loop and threads cost more than the work.

    Args:
        array: Where it belongs; gives shape, dtype and fill value.
        values: Rows of the chunk, fewer in the last.
        level: zstd level, 0 for a checksum alone.

    Source: Zarr v3 core specification, codecs ``bytes`` (little endian), ``zstd``, ``crc32c``.
    """
    chunk = np.full(array.chunks, array.fill_value, dtype=array.dtype.newbyteorder("<"))
    chunk[: len(values)] = values
    if level:
        return memoryview(Zstd(level=level, checksum=True).encode(chunk))
    data = chunk.tobytes()
    return memoryview(data + int(google_crc32c.value(data)).to_bytes(4, "little"))


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    array = group[name]
    assert isinstance(array, zarr.Array)
    # Not stored with an array: without it an all-zero prediction would leave no object.
    return array.with_config({"write_empty_chunks": True})
