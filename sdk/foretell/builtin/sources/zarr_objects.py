"""A bucket as a zarr store for reading, which never takes a failure for a missing object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zarr.storage import ObjectStore

from foretell.store.s3client import missing

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

_DOCUMENTS = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")


class BucketObjects(ObjectStore[Any]):
    """zarr's own store for buckets, with one check more.

    A block that is missing holds fill values, says Zarr. So the storage itself must have said that
    it is missing: a bare 404, of a proxy or a load balancer, would turn data into fill values.
    """

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        found = await super().get(key, prototype, byte_range)
        if found is None and not key.endswith(_DOCUMENTS):
            await self._check_missing(key)
        return found

    async def _check_missing(self, key: str) -> None:
        try:
            await self.store.get_async(key)
        except FileNotFoundError as error:
            if not missing(error):
                raise ConnectionError(5, f"an answer that is none: {error}", key) from error
        else:
            raise ConnectionError(5, "an object that was missing is there", key)
