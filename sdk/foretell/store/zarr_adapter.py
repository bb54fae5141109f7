"""Lets zarr read and write through an :class:`~foretell.store.objects.ObjectStore`.

So an array's chunks take the same way as everything else of a run: confined keys, staging, lease,
crc, retries and injected faults are in one place, whether the store is a folder or a bucket.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)

from foretell.errors import StoreError
from foretell.store.layout import RUN
from foretell.store.objects import ObjectStore

if TYPE_CHECKING:
    from zarr.core.buffer import Buffer, BufferPrototype

DOCUMENT = "zarr.json"
"""Last part of the key of every metadata document; all other keys are data."""


class ZarrObjects(Store):
    """A zarr store over the objects of a run store. Never shows ``_run/``.

    A pickled copy opens the store again by its address and is read-only, because the lease to write
    stays with the process it was granted to.

    Args:
        objects: Where the bytes are.
        read_only: Whether writes are refused.
        required: Whether a missing or empty data object is an error, because the caller knows that
            it was written. Otherwise zarr's own rule: it stands for fill values.
    """

    supports_writes: bool = True
    supports_deletes: bool = True
    supports_listing: bool = True

    def __init__(
        self, objects: ObjectStore, *, read_only: bool = False, required: bool = False
    ) -> None:
        super().__init__(read_only=read_only)
        self._objects = objects
        self._required = required

    def with_read_only(self, read_only: bool = False) -> ZarrObjects:
        return type(self)(self._objects, read_only=read_only, required=self._required)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ZarrObjects)
            and (self._objects is other._objects or self._objects.url == other._objects.url)
            and (self._required, self.read_only) == (other._required, other.read_only)
        )

    def __hash__(self) -> int:
        return hash((self._objects.url, self._required, self.read_only))

    def __reduce__(self) -> tuple[object, ...]:
        # A relative path means something else in another process.
        address = getattr(self._objects, "path", self._objects.url)
        return (_reopen, (address, self._required))

    def __str__(self) -> str:
        return self._objects.url

    def __repr__(self) -> str:
        return f"ZarrObjects({self._objects.url!r}, required={self._required})"

    # --- reading ------------------------------------------------------------------------------

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        data = await asyncio.to_thread(self._read, key, byte_range)
        return None if data is None else prototype.buffer.from_bytes(data)

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        wanted = (self.get(key, prototype, byte_range) for key, byte_range in key_ranges)
        return list(await asyncio.gather(*wanted))

    async def exists(self, key: str) -> bool:
        try:
            await asyncio.to_thread(self._objects.version, key)
        except FileNotFoundError:
            return False
        return True

    async def getsize(self, key: str) -> int:
        return (await asyncio.to_thread(self._objects.version, key)).size

    def _read(self, key: str, byte_range: ByteRequest | None) -> bytes | None:
        required = self._required and is_data(key)
        try:
            data = self._fetch(key, byte_range)
        except FileNotFoundError:
            if required:
                raise missing(key) from None
            return None
        if required and not data:
            raise StoreError("an object of a finished chunk is empty", facts=[("object", key)])
        return data

    def _fetch(self, key: str, byte_range: ByteRequest | None) -> bytes:
        match byte_range:
            case None:
                return self._objects.get(key)
            case RangeByteRequest(start, end):
                return self._objects.get_range(key, start, end - start)
            case SuffixByteRequest(suffix):
                return self._objects.get_range(key, -suffix, suffix)
            case OffsetByteRequest(offset):
                length = max(0, self._objects.version(key).size - offset)
                return self._objects.get_range(key, offset, length)
        raise TypeError(f"not a byte range: {byte_range!r}")

    # --- writing ------------------------------------------------------------------------------

    async def set(self, key: str, value: Buffer) -> None:
        self._check_writable()
        data = value.as_numpy_array().data
        # The lease belongs to workers; only the driver writes documents, and it has none.
        await asyncio.to_thread(self._objects.put, key, data, leased=is_data(key))

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        self._check_writable()
        await asyncio.to_thread(self._objects.create, key, value.to_bytes())

    async def delete(self, key: str) -> None:
        self._check_writable()
        await asyncio.to_thread(self._objects.delete, key)

    # --- listing ------------------------------------------------------------------------------

    async def list(self) -> AsyncIterator[str]:
        async for key in self.list_prefix(""):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        for key in await asyncio.to_thread(lambda: [*self._objects.list(prefix)]):
            if not key.startswith(RUN + "/"):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        folder = prefix.rstrip("/") + "/" if prefix else ""
        seen: set[str] = set()
        async for key in self.list_prefix(folder):
            name = key.removeprefix(folder).split("/", 1)[0]
            if name not in seen:
                seen.add(name)
                yield name


def _reopen(address: str, required: bool) -> ZarrObjects:
    from foretell.store.open import open_objects

    return ZarrObjects(open_objects(address), read_only=True, required=required)


def is_data(key: str) -> bool:
    """Whether ``key`` names a data object, not a metadata document."""
    return key.rpartition("/")[2] != DOCUMENT


def missing(key: str) -> StoreError:
    """The error for an object that a finished chunk should have."""
    return StoreError("an object of a finished chunk is missing", facts=[("object", key)])
