"""A view of a run store that hands out no byte the ledger did not record."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import google_crc32c

from foretell.errors import StoreError
from foretell.store.objects import ObjectStore, Stored, Version


class CheckedObjects(ObjectStore):
    """Read-only. While an object is expected, only the recorded bytes of it can be read.

    Args:
        objects: The run store.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self.url = objects.url
        self.remote = objects.remote
        self._objects = objects
        self._expected: dict[str, Stored] = {}
        self._kept: dict[str, bytes] = {}
        self._users: dict[str, int] = {}
        self._lock = threading.Lock()

    @contextmanager
    def expecting(self, expected: Mapping[str, Stored]) -> Iterator[None]:
        """Inside the block, check these objects when they are read, and read each once."""
        with self._lock:
            for key, stored in expected.items():
                if self._users.get(key, 0) and self._expected[key] != stored:
                    self._kept.pop(key, None)
                self._expected[key] = stored
                self._users[key] = self._users.get(key, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                for key in expected:
                    self._release(key)

    def _release(self, key: str) -> None:
        self._users[key] -= 1
        if not self._users[key]:
            del self._users[key], self._expected[key]
            self._kept.pop(key, None)

    # --- reading ------------------------------------------------------------------------------

    def get(self, key: str) -> bytes:
        expected = self._expected.get(key)
        if expected is None:
            return self._objects.get(key)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._objects.get(key)
            check(key, kept, expected)
            with self._lock:
                if self._expected.get(key) == expected:
                    self._kept[key] = kept
        return kept

    def get_range(self, key: str, start: int, length: int) -> bytes:
        if key not in self._expected:
            return self._objects.get_range(key, start, length)
        data = self.get(key)
        start = max(0, len(data) + start) if start < 0 else start
        return data[start : start + length]

    def get_if_changed(self, key: str, known: Version | None) -> tuple[bytes, Version] | None:
        return self._objects.get_if_changed(key, known)

    def version(self, key: str) -> Version:
        return self._objects.version(key)

    def list(self, prefix: str = "") -> Iterator[str]:
        return self._objects.list(prefix)

    def free_bytes(self) -> int | None:
        return self._objects.free_bytes()

    # --- refused ------------------------------------------------------------------------------

    def put(self, key: str, data: bytes | memoryview, *, leased: bool = True) -> Stored:
        raise self._read_only(key)

    def create(self, key: str, data: bytes) -> bool:
        raise self._read_only(key)

    def delete(self, key: str) -> None:
        raise self._read_only(key)

    def taken(self, key: str) -> Stored:
        raise self._read_only(key)

    def sweep(self, labels: str = "") -> int:
        raise self._read_only("_run")

    def ensure_root(self) -> None:
        raise self._read_only("")

    def check_writable(self) -> None:
        raise self._read_only("")

    def _read_only(self, key: str) -> StoreError:
        return StoreError(
            "this run was opened for reading", facts=[("store", self.url), ("object", key)]
        )


def check(key: str, data: bytes, expected: Stored) -> None:
    """Refuse bytes that are not the recorded ones.

    Raises:
        StoreError: naming the object, what was recorded and what was found.
    """
    found = Stored(len(data), 0)
    if found.size == expected.size:
        found = Stored(len(data), int(google_crc32c.value(data)))
    if found == expected:
        return
    kind = "size" if found.size != expected.size else "crc"
    raise StoreError(
        "an object is not what was recorded",
        facts=[
            ("object", key),
            ("recorded", _describe(expected, kind)),
            ("found", _describe(found, kind)),
        ],
        slug=f"store-{kind}",
    )


def _describe(stored: Stored, kind: str) -> str:
    return f"{stored.size:,} bytes" if kind == "size" else f"crc32c {stored.crc:08x}"
