"""An index of the rows of text files: where each one begins, kept in the cache.

The index of a set of files is one file, built by streaming them once and read by range afterwards,
so neither building nor using it takes memory that grows with the rows. It is named by the files'
paths and how they are scanned, carries their sizes and times, and is built anew when those differ.
Several processes may want it at once: one builds, the others wait; where locks do not work they
all build, and each puts a whole file in place.

Layout, little-endian unsigned 64-bit integers after a header of 64 bytes (magic, number of files,
rows and jumps, hash of what was indexed)::

    offsets     rows + files    start of each row of a file, then its size; file after file
    jump_rows   jumps           row in its file from which on …
    jump_lines  jumps           … line number minus row number has this value
    first_row   files + 1       rows before each file
    first_jump  files + 1       jumps before each file
    open_quote  files           1 where the last row ends inside quotes
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from foretell.builtin.sources.files import DataFile
from foretell.builtin.sources.guard import Guard
from foretell.builtin.sources.scan import Found, LineScanner
from foretell.paths import cache_dir

_MAGIC = b"FTROWS01"
_HEADER = struct.Struct("<8sQQQ32s")
_BLOCK = 2**20
_BOM = b"\xef\xbb\xbf"
_U64 = np.dtype("<u8")

NewScanner = Callable[[int], LineScanner]
"""Makes the scanner of one file from the offset of its first byte past a byte order mark."""


class Offsets:
    """The section of offsets, read when asked for: mapped pages would count as our memory."""

    def __init__(self, handle: IO[bytes]) -> None:
        self._handle = os.dup(handle.fileno())
        weakref.finalize(self, os.close, self._handle)

    def read(self, start: int, stop: int) -> np.ndarray:
        """int64 ``(stop - start,)``."""
        out = np.empty(stop - start, dtype=_U64)
        if os.preadv(self._handle, [out.data], _HEADER.size + 8 * start) != out.nbytes:
            raise OSError("the row index was cut short while it was in use")
        return out.astype(np.int64)


@dataclass(frozen=True, slots=True)
class RowIndex:
    """Where the rows of a set of files are; see the module for the arrays."""

    offsets: Offsets
    jump_rows: np.ndarray
    jump_lines: np.ndarray
    first_row: np.ndarray
    first_jump: np.ndarray
    open_quote: np.ndarray

    def __len__(self) -> int:
        return int(self.first_row[-1])

    def place(self, row: int) -> tuple[int, int]:
        """File number, and row within that file."""
        number = int(np.searchsorted(self.first_row, row, side="right")) - 1
        return number, row - int(self.first_row[number])

    def bounds(self, number: int, start: int, stop: int) -> np.ndarray:
        """int64 ``(stop - start + 1,)``: where those rows of a file begin, and where they end."""
        base = int(self.first_row[number]) + number
        return self.offsets.read(base + start, base + stop + 1)

    def pieces(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """A global range as (file number, first row in it, row after the last in it)."""
        while start < stop:
            number, first = self.place(start)
            after = min(stop, int(self.first_row[number + 1]))
            yield number, first, first + after - start
            start = after

    def line(self, number: int, row: int) -> int:
        """Line number in its file, from 1, of a row of a file."""
        jumps = slice(int(self.first_jump[number]), int(self.first_jump[number + 1]))
        at = int(np.searchsorted(self.jump_rows[jumps], row, side="right")) - 1
        return row + 1 + (int(self.jump_lines[jumps][at]) if at >= 0 else 0)

    def unclosed(self, number: int, row: int) -> bool:
        """Whether a row of a file ends inside quotes that nothing closes."""
        last = int(self.first_row[number + 1]) - int(self.first_row[number]) - 1
        return row == last and bool(self.open_quote[number])


def load_index(
    files: Sequence[DataFile],
    scanned: str,
    scanner: NewScanner,
    *,
    skip: int = 0,
    check: Callable[[int], None] = lambda number: None,
) -> RowIndex:
    """The index of these files, from the cache or built now.

    Args:
        files: The files, in order.
        scanned: Names the way of scanning: another name, another index.
        scanner: Makes a scanner for one file.
        skip: Rows at the head of every file that are not rows of data.
        check: Called with a file's number while it is being indexed; may refuse it.
    """
    key = f"{scanned} {skip}\n" + "".join(f"{file.path!r}\n" for file in files)
    state = key + "".join(f"{file.size} {file.mtime_ns}\n" for file in files)
    digest = hashlib.sha256(state.encode()).digest()
    path = cache_dir() / "rows" / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}.idx"
    found = _open(path, digest)
    if found is not None:
        return found
    with _lock(path):
        found = _open(path, digest)
        return found or _build(files, scanner, skip, check, path, digest)


def _open(path: Path, digest: bytes) -> RowIndex | None:
    """Map an index file; None unless it is a whole one of just these files."""
    try:
        with open(path, "rb") as handle:
            return _map(handle, digest)
    except OSError:
        return None


def _map(handle: IO[bytes], digest: bytes) -> RowIndex | None:
    try:
        handle.seek(0)
        magic, files, rows, jumps, of = _HEADER.unpack(handle.read(_HEADER.size))
    except struct.error:
        return None
    lengths = [jumps, jumps, files + 1, files + 1, files]
    begin = _HEADER.size + 8 * (rows + files)
    size = os.fstat(handle.fileno()).st_size
    if (magic, of) != (_MAGIC, digest) or size != begin + 8 * sum(lengths):
        return None
    rest: np.ndarray = np.memmap(handle, dtype=_U64, mode="r", offset=begin)
    return RowIndex(Offsets(handle), *np.split(rest, np.cumsum(lengths)[:-1]))


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold the lock of one index, where there are locks; a dead holder's is free at once."""
    handle = None
    try:
        import fcntl

        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
    except (ImportError, OSError):
        pass
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _build(
    files: Sequence[DataFile],
    scanner: NewScanner,
    skip: int,
    check: Callable[[int], None],
    path: Path,
    digest: bytes,
) -> RowIndex:
    with _output(path) as (out, publish), tempfile.SpooledTemporaryFile(2**20) as jumps:
        out.write(bytes(_HEADER.size))
        builder = _Builder(files, scanner, skip, out, jumps)
        for number in range(len(files)):
            builder.add(number)
            check(number)
        builder.finish(digest)
        out.flush()
        index = _map(out, digest)
        assert index is not None, "an index that was just written can be read"
        publish()
    return index


@contextlib.contextmanager
def _output(path: Path) -> Iterator[tuple[IO[bytes], Callable[[], None]]]:
    """A file to write an index to, and what puts it into place; the file is gone otherwise.

    Where the cache cannot be written, an unnamed temporary file: this process alone has the index.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, staged = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    except OSError:
        with tempfile.TemporaryFile() as unnamed:
            yield unnamed, lambda: None
        return
    try:
        with os.fdopen(handle, "w+b") as out:
            yield out, lambda: os.replace(staged, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(staged)


class _Builder:
    """Writes the sections of an index while files go by."""

    def __init__(
        self,
        files: Sequence[DataFile],
        scanner: NewScanner,
        skip: int,
        out: IO[bytes],
        jumps: IO[bytes],
    ) -> None:
        self._files, self._scanner, self._skip = files, scanner, skip
        self._out, self._jumps = out, jumps
        self._guard = Guard(files)
        self._first_row, self._first_jump, self._open_quote = [0], [0], [0] * len(files)

    def add(self, number: int) -> None:
        """Index one file."""
        rows, jumps, last = -self._skip, 0, 0
        with self._guard.open(number) as handle:
            for found in self._scan(number, handle):
                drop = min(max(-rows, 0), len(found.starts))
                self._out.write(found.starts[drop:].astype(_U64, copy=False).data)
                extra = found.lines[drop:] - np.arange(rows + drop, rows + len(found.starts))
                # Lines never fall behind rows, so equal ends mean that nothing changed between.
                if len(extra) and (extra[0], extra[-1]) != (last, last):
                    turns = np.flatnonzero(np.diff(extra, prepend=last))
                    pairs = np.stack([turns + rows + drop, extra[turns]], axis=1)
                    self._jumps.write(pairs.astype(_U64).tobytes())
                    jumps, last = jumps + len(turns), int(extra[-1])
                rows += len(found.starts)
        self._out.write(np.array([self._files[number].size], dtype=_U64).data)
        self._first_row.append(self._first_row[-1] + max(rows, 0))
        self._first_jump.append(self._first_jump[-1] + jumps)

    def _scan(self, number: int, handle: int) -> Iterator[Found]:
        begin = len(_BOM) if os.pread(handle, len(_BOM), 0) == _BOM else 0
        scanner, size = self._scanner(begin), self._files[number].size
        at = begin
        while at < size:
            block = os.pread(handle, _BLOCK, at)
            at += len(block)
            yield scanner.feed(block, at >= size or not block)
            if not block:
                break
        self._open_quote[number] = int(scanner.open_quote)

    def finish(self, digest: bytes) -> None:
        """Write the other sections, then the header that makes it an index."""
        count = self._first_jump[-1]
        for column in (0, 1):
            self._jumps.seek(0)
            while pairs := self._jumps.read(16 * 65536):
                one = np.frombuffer(pairs, dtype=_U64).reshape(-1, 2)[:, column]
                self._out.write(one.tobytes())
        for section in (self._first_row, self._first_jump, self._open_quote):
            self._out.write(np.array(section, dtype=_U64).tobytes())
        self._out.seek(0)
        header = (_MAGIC, len(self._files), self._first_row[-1], count, digest)
        self._out.write(_HEADER.pack(*header))
