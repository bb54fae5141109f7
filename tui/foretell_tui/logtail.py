"""The newest lines of a run's log, read without reading anything twice."""

from __future__ import annotations

import json
from collections import deque
from contextlib import suppress

from foretell.store.head import Head
from foretell.store.layout import LOG, numbered_key
from foretell.store.objects import ObjectStore
from foretell.store.rings import LogLine

KEPT = 4000
"""Lines kept."""

AT_ONCE = 32 * 1024
"""Bytes read in one look."""

_ALL_READ = 1 << 40


class LogTail:
    """Follows the log by the numbers in the head.

    Args:
        objects: The run store.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._lines: deque[LogLine] = deque(maxlen=KEPT)
        self._segment = 0
        self._at = 0
        self._rest = b""
        self._older = 0

    @property
    def lines(self) -> tuple[LogLine, ...]:
        """Oldest first."""
        return tuple(self._lines)

    def look(self, head: Head) -> bool:
        """Read what was added; whether there was anything."""
        if head.last_log == 0:
            return False
        if self._segment == 0:
            return self._begin(head)
        grown = False
        if head.last_log > self._segment:
            # What the old one got after we last looked, then the new one from its begin.
            grown = self._read(self._at, AT_ONCE)
            self._segment, self._at, self._rest = head.last_log, 0, b""
        if head.log_bytes > self._at:
            grown = self._read(self._at, min(AT_ONCE, head.log_bytes - self._at)) or grown
        return grown

    def older(self) -> bool:
        """Read the segment before the oldest one known; whether there was one."""
        if self._older <= 1:
            return False
        self._older -= 1
        try:
            data = self._objects.get(numbered_key(LOG, self._older))
        except FileNotFoundError:
            self._older = 1
            return False
        lines = [line for line in map(_parsed, data.splitlines()) if line is not None]
        self._lines.extendleft(reversed(lines[-(KEPT - len(self._lines)) :] if lines else []))
        return bool(lines)

    def _begin(self, head: Head) -> bool:
        self._segment = self._older = head.last_log
        if head.log_bytes == 0:
            # It is full, or a head of an older release does not say: its end is enough.
            return self._read(-AT_ONCE, AT_ONCE, cut=True)
        start = max(0, head.log_bytes - AT_ONCE)
        return self._read(start, head.log_bytes - start, cut=start > 0)

    def _read(self, start: int, length: int, cut: bool = False) -> bool:
        try:
            data = self._objects.get_range(numbered_key(LOG, self._segment), start, length)
        except FileNotFoundError:
            return False
        if start >= 0:
            self._at = start + len(data)
        else:
            self._at = _ALL_READ
        *whole, self._rest = (self._rest + data).split(b"\n")
        if cut and len(data) >= length:
            whole = whole[1:]
        lines = [line for line in map(_parsed, whole) if line is not None]
        self._lines.extend(lines)
        return bool(lines)


def _parsed(text: bytes) -> LogLine | None:
    with suppress(ValueError, KeyError, TypeError):
        line = json.loads(text)
        return LogLine(float(line["t"]), str(line["l"]), str(line["w"]), str(line["m"]))
    return None
