"""Turns what the operating system says about a store into our errors."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from foretell.errors import ForetellError, StorageError, StoreError

FULL = (errno.ENOSPC, errno.EDQUOT)
DENIED = (errno.EROFS, errno.EACCES, errno.EPERM)


def free_bytes(path: str) -> int | None:
    """Room left for an unprivileged user on the file system of ``path`` or its nearest parent."""
    while True:
        try:
            status = os.statvfs(path)
            return status.f_bavail * status.f_frsize
        except FileNotFoundError:
            above = os.path.dirname(path)
            if above == path:
                return None
            path = above
        except OSError:
            return None


@contextmanager
def mapped(store: str, what: str, key: str, needed: int | None = None) -> Iterator[None]:
    """Let missing objects through as FileNotFoundError; turn every other OSError into ours.

    Args:
        store: Path of the store.
        what: The operation, for people: ``"writing"``.
        key: What it was about.
        needed: Bytes that were to be written.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise explain(error, store, what, key, needed) from error


def explain(
    error: OSError, store: str, what: str, key: str, needed: int | None = None
) -> ForetellError:
    """Our error for an OSError met while ``what`` was done to ``key``."""
    facts = [("store", store), (what, key), ("system", error.strerror or str(error))]
    if error.errno in FULL:
        free = free_bytes(store)
        facts.append(("free", "unknown" if free is None else f"{free:,} bytes"))
        if needed is not None:
            facts.append(("needed", f"{needed:,} bytes"))
        return StorageError(
            "the disk of the run store is full"
            if error.errno == errno.ENOSPC
            else "the disk quota of the run store is used up",
            facts=facts,
            tries=[("make room and resume", "nothing committed is lost")],
            slug="storage-full",
        )
    if error.errno in DENIED:
        return StoreError("the run store cannot be used", facts=facts, slug="store-denied")
    return StorageError("the storage of the run store failed", facts=facts, slug="storage")
