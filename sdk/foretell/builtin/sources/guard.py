"""Notices that a file is no longer the one whose rows were counted."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from foretell.builtin.sources.files import DataFile
from foretell.builtin.sources.parts import samples
from foretell.errors import LoadError

_BLOCKS = 16
_BLOCK = 4096


class Guard:
    """Opens the files of a source, and refuses one that changed since the source was opened.

    Another size is always a change. Where only the time differs, bytes at fixed places decide,
    compared with those seen when the file was first read: so a file that was merely touched does
    not stop a run.
    """

    def __init__(self, files: Sequence[DataFile]) -> None:
        self._files = files
        self._seen: dict[int, tuple[int, list[bytes]]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def open(self, number: int) -> Iterator[int]:
        """A descriptor of file ``number``, still the same file; closed afterwards.

        Raises:
            LoadError: it changed.
            OSError: it cannot be opened.
        """
        handle = os.open(self._files[number].path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._check(number, handle)
            yield handle
        finally:
            os.close(handle)

    def _check(self, number: int, handle: int) -> None:
        file, stat = self._files[number], os.fstat(handle)
        if stat.st_size != file.size:
            raise changed(file, f"{file.size:,} bytes when opened, {stat.st_size:,} now")
        with self._lock:
            expected, known = self._seen.get(number, (file.mtime_ns, None))
        if stat.st_mtime_ns == expected and known is not None:
            return
        current = samples(handle, stat.st_size, _BLOCKS, _BLOCK)
        if stat.st_mtime_ns != expected and current != known:
            raise changed(file, "same size, later time of change")
        with self._lock:
            self._seen[number] = (stat.st_mtime_ns, current)


def changed(file: DataFile, how: str) -> LoadError:
    """The error for a source that changes while it is being read."""
    return LoadError(
        "the source changed while it was being read",
        facts=[("file", file.label), ("change", how)],
        tries=[("put the file back as it was", "and resume"), ("--output …", "predict it anew")],
        slug="source-changed",
    )


def read_exactly(handle: int, buffer: memoryview, offset: int, file: DataFile) -> None:
    """Fill ``buffer`` from ``offset`` of an open file.

    Raises:
        LoadError: the file ended early.
    """
    done = 0
    while done < len(buffer):
        got = os.preadv(handle, [buffer[done:]], offset + done)
        if got == 0:
            raise changed(file, f"it ends at byte {offset + done:,}")
        done += got
