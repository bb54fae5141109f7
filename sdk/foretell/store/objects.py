"""One way to the bytes of a run store, on a local disk or an object store.

Every read and write of a run goes through an :class:`ObjectStore`: ledger, head, failures and the
data itself. So there is one place that confines keys, stages and renames, checks the lease before
a put, takes the crc of what was stored, retries, and can be made to fail in tests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

FaultHook = Callable[[str, str], None]
"""Called as ``hook(operation, key)``; may raise an OSError, which the store treats as its own."""

_fault_hook: FaultHook | None = None


def set_fault_hook(hook: FaultHook | None) -> None:
    """Have ``hook`` called at every numbered point of every store operation of this process.

    For tests. The operations are ``get``, ``list``, ``delete``, ``sweep``, and for writes three
    points each: ``put`` (nothing done yet), ``put-staged`` (bytes written, not in place),
    ``put-done`` (in place, not yet reported), likewise ``create``, ``create-staged`` and
    ``create-done``.
    """
    global _fault_hook
    _fault_hook = hook


def fault_point(operation: str, key: str) -> None:
    """Tell the fault hook, if there is one, that ``operation`` on ``key`` has come this far."""
    if _fault_hook is not None:
        _fault_hook(operation, key)


class Lease(Protocol):
    """Permission to put data objects, granted by the driver for a while."""

    def check(self) -> None:
        """Return at once while the lease holds; wait a little for a renewal otherwise.

        Raises:
            LeaseLost: it ran out and was not renewed in time.
        """
        ...


@dataclass(frozen=True, slots=True)
class Stored:
    """What a put stored.

    Attributes:
        size: Bytes.
        crc: crc32c of the bytes.
    """

    size: int
    crc: int


@dataclass(frozen=True, slots=True)
class Version:
    """Identifies one state of an object, for conditional reads.

    Attributes:
        etag: The store's tag; for local files made of inode, size and mtime in nanoseconds.
        size: Bytes.
        modified: Seconds since the epoch, on the store's clock.
    """

    etag: str
    size: int
    modified: float


class ObjectStore(ABC):
    """Objects under one prefix. Keys are relative, ``/``-separated, and cannot leave the prefix.

    All methods are synchronous and safe to call from several threads. Missing objects raise
    :class:`FileNotFoundError`; anything else the storage does wrong, after retries where those
    make sense, raises :class:`~foretell.errors.StorageError` and is never reported as missing.
    """

    url: str
    """Path or URL of the prefix, as the user would type it."""

    remote: bool = False
    """Whether round trips are slow: longer heartbeat and poll intervals."""

    @abstractmethod
    def get(self, key: str) -> bytes:
        """All bytes of an object."""

    @abstractmethod
    def get_if_changed(self, key: str, known: Version | None) -> tuple[bytes, Version] | None:
        """The object and its version, or None when it still is the known version."""

    @abstractmethod
    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Part of an object; a negative ``start`` counts from the end."""

    @abstractmethod
    def version(self, key: str) -> Version:
        """Version of an object, without its bytes."""

    @abstractmethod
    def put(self, key: str, data: bytes | memoryview, *, leased: bool = True) -> Stored:
        """Store an object whole, replacing what is there atomically.

        With ``leased`` (data objects written by workers) the lease is checked before the bytes are
        staged and again immediately before they take their place; with durability ``power`` they
        and their folder are synced first. What was stored can be asked for once by ``taken``.
        """

    @abstractmethod
    def create(self, key: str, data: bytes) -> bool:
        """Store an object only if there is none; False when there is. Exactly one racer wins."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove an object; missing is fine."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[str]:
        """Keys under ``prefix``, in no particular order. Slow on object stores: not for polling."""

    @abstractmethod
    def taken(self, key: str) -> Stored:
        """Size and crc of this process's last ``put`` of ``key``; forgets it."""

    @abstractmethod
    def sweep(self, labels: str = "") -> int:
        """Remove what other writers left staged; returns how many.

        Called by a driver that has taken the run: a writer that was stopped before its rename finds
        its staged object gone and fails with ``LeaseLost``.

        Args:
            labels: Only what writers left whose label begins so; by default those of all, and what
                anybody else left half written.
        """

    def staged(self) -> tuple[str, ...]:
        """Keys of what writers, alive or killed, have staged and not put in place."""
        return ()

    @abstractmethod
    def ensure_root(self) -> None:
        """Create the prefix itself where that means something (a folder on a local disk).

        The only method that does: a store that vanishes under a run is never half recreated.
        Called by the driver once, before the run's first put.
        """

    @abstractmethod
    def check_writable(self) -> None:
        """Raise :class:`~foretell.errors.StoreError` unless objects can be created here.

        Leaves nothing behind, not even the folder when there was none.
        """

    @abstractmethod
    def free_bytes(self) -> int | None:
        """Room left, or None where the storage has no such figure."""
