"""A store that cannot be written, and that counts what reading it costs.

The dashboard reads through this, always: so it cannot harm a run, whatever is wrong in it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from foretell.errors import StoreError
from foretell.store.objects import ObjectStore, Stored, Version


class ReadOnly(ObjectStore):
    """Reads of another object store, counted.

    Args:
        inner: The store that is read.

    Attributes:
        requests: Reads so far, listings included.
        lists: Listings so far.
        bytes: Bytes read so far.
    """

    def __init__(self, inner: ObjectStore) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self.url = inner.url
        self.remote = inner.remote
        self.requests = self.lists = self.bytes = 0

    def get(self, key: str) -> bytes:
        self._count(0)
        data = self._inner.get(key)
        self._count(len(data), 0)
        return data

    def get_if_changed(self, key: str, known: Version | None) -> tuple[bytes, Version] | None:
        self._count(0)
        found = self._inner.get_if_changed(key, known)
        if found is not None:
            self._count(len(found[0]), 0)
        return found

    def get_range(self, key: str, start: int, length: int) -> bytes:
        # A remote store asks for the size first.
        self._count(0, 2 if self.remote else 1)
        data = self._inner.get_range(key, start, length)
        self._count(len(data), 0)
        return data

    def version(self, key: str) -> Version:
        self._count(0)
        return self._inner.version(key)

    def list(self, prefix: str = "") -> Iterator[str]:
        with self._lock:
            self.requests += 1
            self.lists += 1
        return self._inner.list(prefix)

    def put(self, key: str, data: bytes | memoryview, *, leased: bool = True) -> Stored:
        raise _refused("put", key)

    def create(self, key: str, data: bytes) -> bool:
        raise _refused("create", key)

    def delete(self, key: str) -> None:
        raise _refused("delete", key)

    def taken(self, key: str) -> Stored:
        raise _refused("taken", key)

    def sweep(self, labels: str = "") -> int:
        raise _refused("sweep", labels)

    def ensure_root(self) -> None:
        raise _refused("ensure_root", "")

    def check_writable(self) -> None:
        raise _refused("check_writable", "")

    def free_bytes(self) -> int | None:
        return None

    def _count(self, size: int, requests: int = 1) -> None:
        with self._lock:
            self.requests += requests
            self.bytes += size


def _refused(what: str, key: str) -> StoreError:
    return StoreError(
        "the dashboard writes nothing", facts=[("refused", f"{what} {key}")], slug="store-read-only"
    )
