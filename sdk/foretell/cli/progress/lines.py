"""Progress as JSON lines on stderr, for programs that start ``sdk`` and follow it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from foretell.cli.output import json_text
from foretell.cli.progress.plain import MOST_LINES, Milestones
from foretell.store.head import Head


class JsonProgress:
    """Writes the same milestones as :class:`PlainProgress`, one JSON object a line.

    Args:
        write: Takes one line.
        url: The run store.
    """

    def __init__(self, write: Callable[[str], None], url: str) -> None:
        self._write = write
        self._url = url
        self._milestones = Milestones()
        self._lines = 0

    def head(self, head: Head) -> None:
        """A heartbeat."""
        marks = self._milestones.reached(head)
        for mark in marks:
            self._line({"event": mark, "run": self._url, "head": asdict(head)}, mark == "end")

    def note(self, level: str, text: str) -> None:
        """A message."""
        self._line({"event": "note", "run": self._url, "level": level, "text": text}, False)

    def close(self) -> None:
        """Nothing to clean up."""

    def _line(self, data: dict[str, object], last: bool) -> None:
        if last or self._lines < MOST_LINES - 1:
            self._lines += 1
            self._write(json_text(data))


class QuietProgress:
    """Says nothing but errors."""

    def __init__(self, note: Callable[[str, str], None]) -> None:
        self._note = note

    def head(self, head: Head) -> None:
        """Nothing."""

    def note(self, level: str, text: str) -> None:
        """Errors only."""
        if level.upper() == "ERROR":
            self._note(level, text)

    def close(self) -> None:
        """Nothing to clean up."""
