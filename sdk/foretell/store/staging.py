"""Writes an object beside the store's contents first, then puts it in its place in one step."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from foretell.errors import Fenced, LeaseLost
from foretell.store.confine import NOT_FOLLOWED, Root, split_key
from foretell.store.layout import STAGE

STAGE_PARTS = split_key(STAGE)
_TRIES = 5

_PIECE = 2**20
"""Bytes handed to the system at once.

For a longer write Linux looks for huge pages, which a virtual machine often has to fetch from its
host: 2.4 MB took 5.5 ms at once and 0.6 ms in pieces.
"""


class StagedGone(Exception):
    """The staged file is not there any more: another driver swept it."""


class Staging:
    """The staging folder of one writer.

    Args:
        root: The store's folder.
        label: Name of the writer, one path component.
        power: Whether files and the folders that name them are synced.
    """

    def __init__(self, root: Root, label: str, power: bool) -> None:
        self.label = label
        self.power = power
        self._root = root
        self._names = itertools.count()
        # Whoever deletes a store while it is written must not find it made anew behind them.
        self._seen = False
        self._synced: set[tuple[str, ...]] = set()

    @contextmanager
    def file(self, view: memoryview) -> Iterator[Staged]:
        """A file that holds ``view``; whatever is left of it is removed afterwards."""
        folder, name = self._written(view)
        try:
            yield Staged(self._root, folder, name, self.power, self._synced)
        finally:
            _remove(folder, name)
            os.close(folder)

    def _written(self, view: memoryview) -> tuple[int, str]:
        """A descriptor of the staging folder, and the name of a new file in it."""
        tries = _TRIES
        while True:
            tries -= 1
            try:
                return self._write_new(view)
            except FileNotFoundError:
                # A sweep takes empty folders with it, this one too if it comes at that moment.
                self._root.check()
                if not tries:
                    raise

    def _write_new(self, view: memoryview) -> tuple[int, str]:
        there, self._seen = int(self._seen), True
        name = f"{os.getpid()}-{next(self._names)}"
        with self._root.folder((*STAGE_PARTS, self.label), create=True, there=there) as folder:
            try:
                _write(folder, name, view, self.power)
                return os.dup(folder), name
            except BaseException:
                _remove(folder, name)
                raise


class Staged:
    """One staged file. Either :meth:`move` or :meth:`link` is called, once."""

    def __init__(
        self, root: Root, folder: int, name: str, power: bool, synced: set[tuple[str, ...]]
    ) -> None:
        self._synced = synced
        self._root = root
        self._folder = folder
        self._name = name
        self._power = power

    def move(self, parts: tuple[str, ...]) -> None:
        """Rename over what is at ``parts``.

        Raises:
            StagedGone: somebody swept the file.
        """
        with self._root.folder(parts[:-1], create=True) as target, self._explained():
            os.replace(self._name, parts[-1], src_dir_fd=self._folder, dst_dir_fd=target)
            self._sync(target, parts)

    def link(self, parts: tuple[str, ...]) -> bool:
        """Take ``parts`` unless something is there; whether it was free.

        Raises:
            StagedGone: somebody swept the file.
        """
        with self._root.folder(parts[:-1], create=True) as target, self._explained():
            try:
                os.link(
                    self._name,
                    parts[-1],
                    src_dir_fd=self._folder,
                    dst_dir_fd=target,
                    follow_symlinks=False,
                )
            except FileExistsError:
                return False
            self._sync(target, parts)
            return True

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            self._root.check()
            raise StagedGone from None

    def _sync(self, target: int, parts: tuple[str, ...]) -> None:
        if not self._power:
            return
        os.fsync(target)
        # Folders above may be new: their names must survive as well. Once is enough.
        if parts[:-1] in self._synced:
            return
        for depth in range(len(parts) - 2, -1, -1):
            with self._root.folder(parts[:depth]) as above:
                os.fsync(above)
        self._synced.add(parts[:-1])


def swept(key: str, leased: bool) -> LeaseLost | Fenced:
    """The error of a writer whose staged file was swept by a newer driver."""
    kind = LeaseLost if leased else Fenced
    return kind(
        "a newer driver has taken this run: what was staged here has been removed",
        facts=[("object", key), ("safe", "the object in the store was not touched")],
    )


def _remove(folder: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _write(folder: int, name: str, view: memoryview, power: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NOT_FOLLOWED
    descriptor = os.open(name, flags, 0o666, dir_fd=folder)
    try:
        offset = 0
        while offset < view.nbytes:
            offset += os.write(descriptor, view[offset : offset + _PIECE])
        if power:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
