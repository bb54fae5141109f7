"""Finds where the rows of a text file begin, block by block, in memory that does not grow.

A scanner is fed one file's bytes in order and answers with the offsets of the rows that ended. It
works on whole blocks with numpy, so that a file is scanned at several hundred megabytes a second,
and carries only a few numbers from block to block, so that a line of any length is fine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_LF, _CR = 10, 13


@dataclass(frozen=True, slots=True)
class Found:
    """Rows that ended in a block.

    Attributes:
        starts: int64 ``(n,)``, offset in the file of each row's first byte.
        stops: int64 ``(n,)``, offset of its line end.
        lines: int64 ``(n,)``, line number of its first byte, from 0.
    """

    starts: np.ndarray
    stops: np.ndarray
    lines: np.ndarray


class LineScanner:
    """Rows are lines that hold anything but white space.

    Args:
        offset: Offset of the first byte that will be fed: past a byte order mark.
    """

    open_quote = False
    """Whether the last row ended inside quotes. Only where there are quotes."""

    def __init__(self, offset: int = 0) -> None:
        self._offset = offset
        self._line = 0
        self._start, self._start_line = offset, 0
        self._head_blank = True

    def feed(self, block: bytes, last: bool) -> Found:
        """Take the file's next bytes; with ``last``, the file ends after them."""
        data = np.frombuffer(block, dtype=np.uint8)
        ends, closing = self._terminators(data, block)
        stops = ends if closing is None else ends[closing]
        begins = np.empty(len(stops) + 1, dtype=np.int64)
        begins[0] = self._start - self._offset
        np.add(stops, 1, out=begins[1:])
        lines = np.empty(len(stops) + 1, dtype=np.int64)
        lines[0] = self._start_line
        after = np.arange(len(ends)) if closing is None else np.flatnonzero(closing)
        np.add(after, self._line + 1, out=lines[1:])
        if last and begins[-1] < len(block):
            stops = np.append(stops, len(block))
        complete = len(stops)
        found = self._rows(data, block, begins[:complete], stops, lines[:complete])
        self._carry(block, begins, lines, complete, len(ends))
        return found

    def _rows(
        self,
        data: np.ndarray,
        block: bytes,
        begins: np.ndarray,
        stops: np.ndarray,
        lines: np.ndarray,
    ) -> Found:
        """The rows among these that are not blank."""
        blank = self._blank(data, block, begins, stops)
        if blank:
            begins, stops, lines = (np.delete(a, blank) for a in (begins, stops, lines))
        return Found(begins + self._offset, stops + self._offset, lines)

    def _carry(
        self, block: bytes, begins: np.ndarray, lines: np.ndarray, complete: int, ends: int
    ) -> None:
        if complete < len(begins):
            tail = int(begins[complete])
            self._head_blank = (tail >= 0 or self._head_blank) and not block[max(tail, 0) :].strip()
            self._start = self._offset + tail
            self._start_line = int(lines[complete])
        self._line += ends
        self._offset += len(block)

    def _terminators(self, data: np.ndarray, block: bytes) -> tuple[np.ndarray, np.ndarray | None]:
        """Positions of line ends, and which of them end a row (None for all)."""
        return np.flatnonzero(data == _LF), None

    def _blank(
        self, data: np.ndarray, block: bytes, begins: np.ndarray, stops: np.ndarray
    ) -> list[int]:
        """Which rows hold nothing: few begin with white space, and only those are looked at."""
        carried = int(len(begins) > 0 and begins[0] < 0)
        blank = [0] if carried and self._blank_head(block[: stops[0]]) else []
        suspects = np.flatnonzero(data[begins[carried:]] <= ord(" ")) + carried
        for i in suspects.tolist():
            if self._is_blank(block[begins[i] : stops[i]]):
                blank.append(i)
        return blank

    def _blank_head(self, rest: bytes) -> bool:
        """Whether the row that began in an earlier block is blank, with the rest of it."""
        return self._head_blank and self._is_blank(rest)

    def _is_blank(self, row: bytes) -> bool:
        return not row.strip()


class QuotedScanner(LineScanner):
    """Rows of comma-separated values: a line end inside quotes belongs to the field.

    A quote opens a field only where a field begins, and two quotes inside quotes stand for one, as
    in RFC 4180; any other quote is an ordinary character. A line ends with LF, CR LF, or CR alone.
    Only empty lines are blank: one of spaces is a row with one field.

    Args:
        offset: Offset of the first byte that will be fed.
        delimiter: The byte between two fields.
        quote: The quoting byte, or None when nothing is quoted.
    """

    def __init__(self, offset: int, delimiter: int, quote: int | None) -> None:
        super().__init__(offset)
        self._delimiter, self._quote = delimiter, quote
        self._inside = False
        self._closed = -1
        self._previous = _LF
        self._held = b""

    @property
    def open_quote(self) -> bool:  # type: ignore[override]
        """Whether the last row ended inside quotes."""
        return self._inside

    def feed(self, block: bytes, last: bool) -> Found:
        """Take the file's next bytes; with ``last``, the file ends after them."""
        block = self._held + block
        # Whether it ends the line by itself is only known with the byte after it.
        self._held = b"\r" if block.endswith(b"\r") and not last else b""
        return super().feed(block[: len(block) - len(self._held)], last)

    def _blank_head(self, rest: bytes) -> bool:
        # A lone "\r" is never carried, so whatever was carried is a field.
        return False

    def _is_blank(self, row: bytes) -> bool:
        return row in (b"", b"\r")

    def _terminators(self, data: np.ndarray, block: bytes) -> tuple[np.ndarray, np.ndarray | None]:
        ends = self._line_ends(data, block)
        closing = self._outside(data, block, ends)
        if block:
            self._previous = block[-1]
        return ends, closing

    def _line_ends(self, data: np.ndarray, block: bytes) -> np.ndarray:
        feeds = data == _LF
        if b"\r" not in block:
            return np.flatnonzero(feeds)
        returns = data == _CR
        returns[:-1] &= ~feeds[1:]
        return np.flatnonzero(feeds | returns)

    def _outside(self, data: np.ndarray, block: bytes, ends: np.ndarray) -> np.ndarray | None:
        """Which line ends are outside quotes; None for all of them."""
        if self._quote is None:
            return None
        quotes = np.flatnonzero(data == self._quote)
        if not len(quotes) and not self._inside:
            return None
        toggles = self._toggles(data, quotes)
        inside = (np.searchsorted(toggles, ends) + self._inside) & 1
        self._inside = bool((len(toggles) + self._inside) & 1)
        return np.asarray(inside == 0)

    def _toggles(self, data: np.ndarray, quotes: np.ndarray) -> np.ndarray:
        """The quotes that open or close a field (a pair inside quotes closes and opens again).

        If every second quote opens one where a field begins, all of them toggle; that is checked
        for the whole block at once, and settles any file without stray quotes.
        """
        if not len(quotes):
            return quotes
        before = data[np.maximum(quotes, 1) - 1]
        if quotes[0] == 0:
            before[0] = self._previous
        begins = (before == self._delimiter) | (before == _LF) | (before == _CR)
        again = np.empty(len(quotes), dtype=bool)
        again[1:] = quotes[1:] == quotes[:-1] + 1
        again[0] = quotes[0] + self._offset == self._closed + 1
        opening = np.arange(len(quotes)) & 1 == int(self._inside)
        toggles = quotes
        if not (begins | again)[opening].all():
            toggles = quotes[self._walk(quotes.tolist(), begins.tolist())]
        if len(toggles) and (len(toggles) + self._inside) & 1 == 0:
            self._closed = int(toggles[-1]) + self._offset
        return toggles

    def _walk(self, quotes: list[int], begins: list[bool]) -> list[int]:
        """The slow way: one quote after the other."""
        inside, closed, toggles = self._inside, self._closed - self._offset, []
        for i, quote in enumerate(quotes):
            if inside or begins[i] or quote == closed + 1:
                inside = not inside
                toggles.append(i)
                closed = closed if inside else quote
        return toggles
