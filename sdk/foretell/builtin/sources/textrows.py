"""Raw rows of text files, by global row number."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from foretell.abc import SourceOptions
from foretell.builtin.sources.files import DataFile, compressed, opening
from foretell.builtin.sources.guard import Guard, changed, read_exactly
from foretell.builtin.sources.index import NewScanner, RowIndex, load_index

MAX_ROW_BYTES = 2**30
"""A longer row is not read: it would not fit beside others, and is usually a quote never closed."""

_LF, _CR = 10, 13
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive rows of one file.

    Attributes:
        file: Number of the file.
        first: Number of the first row within the file.
        data: Their bytes, line ends and blank lines included.
        bounds: int64 ``(n + 1,)``: row ``i`` is ``data[bounds[i]:bounds[i + 1]]``.
    """

    file: int
    first: int
    data: memoryview
    bounds: np.ndarray

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def row(self, position: int) -> bytes:
        """The bytes of one row, without its line end."""
        raw = bytes(self.data[self.bounds[position] : self.bounds[position + 1]])
        return raw.strip(b"\r\n")


class TextRows:
    """Reads rows of text files through an index that is loaded when it is first needed.

    Args:
        files: The files, in order.
        options: The source's settings, for errors.
        scanned: Names the way of scanning, see :func:`~foretell.builtin.sources.index.load_index`.
        scanner: Makes a scanner for one file.
        skip: Rows at the head of every file that are not data.
        check: Called for every file when the index is built.

    Raises:
        LoadError: a file is compressed.
    """

    def __init__(
        self,
        files: Sequence[DataFile],
        options: SourceOptions,
        scanned: str,
        scanner: NewScanner,
        *,
        skip: int = 0,
        check: Callable[[int], None] = lambda number: None,
    ) -> None:
        self.files = files
        self.guard = Guard(files)
        self._options, self._scanned, self._scanner = options, scanned, scanner
        self._skip, self._check = skip, check
        self._index: RowIndex | None = None
        self._lock = threading.Lock()
        self._refuse_packed(0)

    @property
    def index(self) -> RowIndex:
        """The index, loaded or built on first use."""
        with self._lock:
            if self._index is None:
                self._index = load_index(
                    self.files,
                    self._scanned,
                    self._scanner,
                    skip=self._skip,
                    check=self._check_file,
                )
            return self._index

    def _check_file(self, number: int) -> None:
        self._refuse_packed(number)
        self._check(number)

    def _refuse_packed(self, number: int) -> None:
        file = self.files[number]
        with opening(file.path), open(file.path, "rb", buffering=0) as handle:
            if (handle.read(5) or b"").startswith(_PACKED):
                raise compressed(file.path, self._options)

    def __len__(self) -> int:
        return len(self.index)

    def read(self, start: int, stop: int) -> Iterator[Piece | tuple[int, int]]:
        """The rows of a range, file by file; (file, row in it) for a row too long to be read.

        Raises:
            LoadError: a file changed since it was opened.
            OSError: the storage failed.
        """
        for number, first, after in self.index.pieces(start, stop):
            bounds = self.index.bounds(number, first, after)
            long = np.flatnonzero(np.diff(bounds) > MAX_ROW_BYTES)
            begin = 0
            for position in [*long.tolist(), after - first]:
                if position > begin:
                    yield self._piece(number, first + begin, bounds[begin : position + 1])
                if position < after - first:
                    yield number, first + position
                begin = position + 1

    def _piece(self, number: int, first: int, bounds: np.ndarray) -> Piece:
        file, begin = self.files[number], int(bounds[0])
        # One byte more at the front: the line end that makes this offset the start of a row.
        lead = min(begin, 1)
        data = np.empty(int(bounds[-1]) - begin + lead, dtype=np.uint8)
        with self.guard.open(number) as handle:
            read_exactly(handle, data.data, begin - lead, file)
        if not _aligned(data, bounds - begin + lead):
            raise changed(file, "its lines are not where they were")
        return Piece(number, first, data.data, bounds - begin + lead)

    def locate(self, row: int) -> str:
        """``file.jsonl:41``, the line counted from 1."""
        number, within = self.index.place(row)
        return f"{self.files[number].label}:{self.index.line(number, within)}"

    def mean_bytes(self) -> float:
        """Stored bytes of an average row."""
        return sum(file.size for file in self.files) / max(1, len(self))


def _aligned(data: np.ndarray, bounds: np.ndarray) -> bool:
    """Whether a line end stands before every row; a file's first row may follow a mark."""
    before = data[bounds[1:-1] - 1]
    ends = (before == _LF) | (before == _CR)
    first = bounds[0] == 0 or data[0] in (_LF, _CR, 0xBF)
    return bool(first) and bool(ends.all())
