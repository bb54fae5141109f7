"""Keeps keys inside a local store: no escaping names, no symbolic links followed.

Folders are opened one below the other with ``O_NOFOLLOW``, so a link that somebody swaps in between
two steps is refused by the kernel, not missed by a check made before.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from foretell.errors import StorageError, StoreError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
NOT_FOLLOWED = os.O_NOFOLLOW | os.O_CLOEXEC


def split_key(key: str) -> tuple[str, ...]:
    """The parts of a key.

    Raises:
        StoreError: the key is empty, absolute, or has an empty, ``.``, ``..`` or NUL part.
    """
    parts = tuple(key.split("/"))
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise StoreError(
            "a key may not leave the run store",
            facts=[("key", repr(key))],
            slug="store-key",
        )
    return parts


def link_refused(path: str) -> StoreError:
    """The error for a symbolic link met inside a store."""
    return StoreError(
        "a symbolic link inside a run store is not followed",
        facts=[("link", path)],
        tries=[("replace it by what it points to", "")],
        slug="store-symlink",
    )


def vanished(path: str) -> StorageError:
    """The error for a store whose folder was deleted, moved or replaced under the run."""
    return StorageError(
        "the run store has vanished",
        facts=[("store", path), ("safe", "nothing was created again in its place")],
        tries=[("move it back and resume", "")],
        slug="store-vanished",
    )


def _not_a_folder(path: str) -> StoreError:
    return StoreError(
        "a run store is a folder, and there is something else",
        facts=[("place", path)],
        tries=[("sdk runs", "the runs below the current folder")],
        slug="not-a-run",
    )


class Root:
    """The folder of a store, recognised again at every use.

    Args:
        path: Absolute path of the folder; it need not exist yet.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._identity: tuple[int, int] | None = None

    def create(self) -> None:
        """Create the folder and its parents."""
        os.makedirs(self.path, exist_ok=True)
        os.close(self._open())

    @contextmanager
    def folder(
        self, parts: tuple[str, ...], *, create: bool = False, there: int = 0
    ) -> Iterator[int]:
        """A descriptor of the folder ``parts`` below the root, closed afterwards.

        Args:
            parts: Names of the folders on the way.
            create: Whether missing ones are created.
            there: How many of the first must be there all the same.

        Raises:
            FileNotFoundError: a folder is missing and ``create`` is False.
            StorageError: the root is missing and ``create`` is True, or it was replaced.
            StoreError: a part is a symbolic link.
        """
        current = self._open_for(create)
        try:
            for depth, part in enumerate(parts):
                below = self._step(current, parts[: depth + 1], part, create and depth >= there)
                os.close(current)
                current = below
            yield current
        finally:
            os.close(current)

    def prune(self, parts: tuple[str, ...], keep: int) -> None:
        """Remove folders that have become empty, from ``parts`` up to those at depth ``keep``.

        Only where nobody can be about to create something: his folder would be gone.
        """
        with suppress(OSError):
            for depth in range(len(parts), keep, -1):
                with self.folder(parts[: depth - 1]) as above:
                    os.rmdir(parts[depth - 1], dir_fd=above)

    def check(self) -> None:
        """Raise :class:`StorageError` unless the folder still is the one first opened."""
        os.close(self._open_for(True))

    def _open_for(self, create: bool) -> int:
        try:
            return self._open()
        except FileNotFoundError:
            if create or self._identity is not None:
                raise vanished(self.path) from None
            raise

    def _open(self) -> int:
        try:
            descriptor = os.open(self.path, _FOLDER)
        except NotADirectoryError:
            raise _not_a_folder(self.path) from None
        status = os.fstat(descriptor)
        identity = (status.st_dev, status.st_ino)
        if self._identity is None:
            self._identity = identity
        elif identity != self._identity:
            os.close(descriptor)
            raise vanished(self.path)
        return descriptor

    def _step(self, above: int, parts: tuple[str, ...], part: str, create: bool) -> int:
        try:
            return os.open(part, _FOLDER | NOT_FOLLOWED, dir_fd=above)
        except FileNotFoundError:
            if not create:
                raise
        except OSError as error:
            self._explain(error, above, parts, part)
            raise
        try:
            os.mkdir(part, dir_fd=above)
        except FileExistsError:
            pass  # another thread or process was faster
        except FileNotFoundError:
            self.check()
            raise
        return os.open(part, _FOLDER | NOT_FOLLOWED, dir_fd=above)

    def _explain(self, error: OSError, above: int, parts: tuple[str, ...], part: str) -> None:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            return
        mode = os.stat(part, dir_fd=above, follow_symlinks=False).st_mode
        path = os.path.join(self.path, *parts)
        if stat.S_ISLNK(mode):
            raise link_refused(path) from None
        raise FileNotFoundError(errno.ENOENT, "not a folder", path) from None
