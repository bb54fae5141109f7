"""A run store in a local folder.

An object is written to ``_run/stage/<label>/`` on the same file system and then renamed into place,
so that it is there whole or not at all, whenever the process is killed. What a killed writer leaves
staged is removed by the next driver; a writer that was only stopped then has nothing left to
rename, which is how a late write is kept out even when it had passed every check.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import google_crc32c

from foretell.errors import StorageError, StoreError
from foretell.store import layout
from foretell.store.confine import NOT_FOLLOWED, Root, link_refused, split_key, vanished
from foretell.store.layout import PROBE
from foretell.store.leftovers import remove_leftovers, remove_staged, walk
from foretell.store.objects import Lease, ObjectStore, Stored, Version, fault_point
from foretell.store.oserrors import free_bytes, mapped
from foretell.store.staging import STAGE_PARTS, StagedGone, Staging, swept

_CREATE_TRIES = 5
_FOLD_DEPTH = len(split_key(layout.FOLD))

_NO_TMPFILE = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT})
"""What file systems say that know no files without a name."""


class LocalObjects(ObjectStore):
    """Objects as files below one folder.

    Args:
        path: The folder. It need not exist until :meth:`ensure_root`.
        lease: Checked before leased puts; None where no lease is needed.
        label: Names this writer's staged files, e.g. ``e0003-w2``; made up when empty. Unique
            among the writers of a run.
        power: Whether what is written survives a power cut (fsync), not only a kill.
        url: What the user typed, when it is not the path itself.
    """

    def __init__(
        self,
        path: str,
        *,
        lease: Lease | None = None,
        label: str = "",
        power: bool = False,
        url: str = "",
    ) -> None:
        self.url = url or path
        self._root = Root(os.path.abspath(path))
        self._lease = lease
        label = label or f"p{os.getpid()}-{secrets.token_hex(4)}"
        self._staging = Staging(self._root, split_key(label.replace("/", "-"))[0], power)
        self._taken: dict[str, Stored] = {}
        self._lock = threading.Lock()

    @property
    def path(self) -> str:
        """Absolute path of the folder."""
        return self._root.path

    # --- reading ------------------------------------------------------------------------------

    def get(self, key: str) -> bytes:
        with self._reading(key) as (descriptor, status):
            return _read(descriptor, 0, status.st_size)

    def get_if_changed(self, key: str, known: Version | None) -> tuple[bytes, Version] | None:
        with self._reading(key) as (descriptor, status):
            version = _version(status)
            if known is not None and known.etag == version.etag:
                return None
            return _read(descriptor, 0, status.st_size), version

    def get_range(self, key: str, start: int, length: int) -> bytes:
        with self._reading(key) as (descriptor, status):
            if start < 0:
                start = max(0, status.st_size + start)
            return _read(descriptor, start, max(0, min(length, status.st_size - start)))

    def version(self, key: str) -> Version:
        with self._reading(key) as (_, status):
            return _version(status)

    def list(self, prefix: str = "") -> Iterator[str]:
        folder, _, start = prefix.rpartition("/")
        with mapped(self.path, "listing", prefix):
            fault_point("list", prefix)
            for key in walk(self._root, split_key(folder) if folder else (), start):
                if not key.startswith(layout.STAGE + "/"):
                    yield key

    # --- writing ------------------------------------------------------------------------------

    def put(self, key: str, data: bytes | memoryview, *, leased: bool = True) -> Stored:
        parts = split_key(key)
        view = memoryview(data).cast("B")
        lease = self._lease if leased else None
        with self._writing(key, view.nbytes):
            fault_point("put", key)
            if lease is not None:
                lease.check()
            with self._staging.file(view) as staged:
                stored = Stored(view.nbytes, _crc(data if isinstance(data, bytes) else view))
                fault_point("put-staged", key)
                if lease is not None:
                    lease.check()
                try:
                    staged.move(parts)
                except StagedGone:
                    raise swept(key, leased) from None
            fault_point("put-done", key)
        with self._lock:
            self._taken[key] = stored
        return stored

    def create(self, key: str, data: bytes) -> bool:
        for _ in range(_CREATE_TRIES):
            # A sweep is harmless here: whoever came first still has the name.
            with suppress(StagedGone):
                return self._create(key, split_key(key), memoryview(data))
        raise StorageError(
            "what is staged in the run store keeps being removed",
            facts=[("store", self.url), ("object", key)],
        )

    def _create(self, key: str, parts: tuple[str, ...], view: memoryview) -> bool:
        with self._writing(key, view.nbytes):
            fault_point("create", key)
            with self._staging.file(view) as staged:
                fault_point("create-staged", key)
                created = staged.link(parts)
            fault_point("create-done", key)
        return created

    def delete(self, key: str) -> None:
        parts = split_key(key)
        with suppress(FileNotFoundError), mapped(self.path, "deleting", key):
            fault_point("delete", key)
            with self._root.folder(parts[:-1]) as folder:
                os.unlink(parts[-1], dir_fd=folder)
            if key.startswith(layout.FOLD + "/"):
                self._root.prune(parts[:-1], keep=_FOLD_DEPTH)

    def taken(self, key: str) -> Stored:
        with self._lock:
            return self._taken.pop(key)

    # --- looking after the folder -------------------------------------------------------------

    def sweep(self, labels: str = "") -> int:
        with mapped(self.path, "sweeping", layout.STAGE):
            fault_point("sweep", layout.STAGE)
            removed = remove_staged(self._root, self._staging.label, labels)
            return removed if labels else removed + remove_leftovers(self._root)

    def staged(self) -> tuple[str, ...]:
        with mapped(self.path, "listing", layout.STAGE):
            return tuple(sorted(walk(self._root, STAGE_PARTS)))

    def ensure_root(self) -> None:
        try:
            self._root.create()
        except OSError as error:
            raise self._not_writable(error) from error

    def check_writable(self) -> None:
        try:
            _try_to_write(self.path)
        except OSError as error:
            raise self._not_writable(error) from error

    def free_bytes(self) -> int | None:
        return free_bytes(self.path)

    # --- steps --------------------------------------------------------------------------------

    def _not_writable(self, error: OSError) -> StoreError:
        return StoreError(
            "the run store cannot be written",
            facts=[("store", self.url), ("system", error.strerror or str(error))],
            tries=[("--output another/place", "")],
            slug="store-not-writable",
        )

    @contextmanager
    def _reading(self, key: str) -> Iterator[tuple[int, os.stat_result]]:
        parts = split_key(key)
        with mapped(self.path, "reading", key):
            fault_point("get", key)
            with self._root.folder(parts[:-1]) as folder:
                descriptor = self._open(folder, parts)
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise FileNotFoundError(errno.ENOENT, "not a file", key)
                yield descriptor, status
            finally:
                os.close(descriptor)

    def _open(self, folder: int, parts: tuple[str, ...]) -> int:
        try:
            # Without O_NONBLOCK a named pipe in the store would block its reader for ever.
            return os.open(parts[-1], os.O_RDONLY | os.O_NONBLOCK | NOT_FOLLOWED, dir_fd=folder)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise link_refused(os.path.join(self.path, *parts)) from None
            raise

    @contextmanager
    def _writing(self, key: str, size: int) -> Iterator[None]:
        try:
            with mapped(self.path, "writing", key, size):
                yield
        except FileNotFoundError as error:
            # Nothing a write needs can be missing but the store itself.
            raise vanished(self.path) from error


def _crc(data: bytes | memoryview) -> int:
    if isinstance(data, bytes):
        return int(google_crc32c.value(data))
    import numpy as np

    # google_crc32c takes no memoryview, and copying 4 MB would cost more than the crc itself.
    return int(google_crc32c.value(np.frombuffer(data, dtype=np.uint8)))


def _version(status: os.stat_result) -> Version:
    etag = f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"
    return Version(etag, status.st_size, status.st_mtime)


def _read(descriptor: int, start: int, length: int) -> bytes:
    parts = []
    while length > 0:
        part = os.pread(descriptor, length, start)
        if not part:
            break
        parts.append(part)
        start += len(part)
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _try_to_write(path: str) -> None:
    """Create a file in ``path``, or in the folder it will be made in, and leave nothing behind.

    The folder itself is not made: other drivers may be about to do the same.
    """
    place = path
    while not _is_there(place):
        place = os.path.dirname(place)
    try:
        os.close(os.open(place, os.O_WRONLY | os.O_TMPFILE))  # a file without a name
        return
    except OSError as error:
        if error.errno not in _NO_TMPFILE:
            raise
    probe = os.path.join(place, f"{PROBE}{os.getpid()}-{secrets.token_hex(4)}")
    os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NOT_FOLLOWED))
    with suppress(FileNotFoundError):  # the driver that has the run sweeps
        os.unlink(probe)


def _is_there(path: str) -> bool:
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True
