"""Plain lines: for logs, pipes and batch systems. Few, and never more than a bound."""

from __future__ import annotations

from collections.abc import Callable

from foretell.cli.progress import words
from foretell.store.head import Head
from foretell.text import word
from foretell.types import RunState

MOST_LINES = 200
RESERVED = 12
"""Lines kept for the summary."""
STEP_PERCENT = 10.0
STEP_SECONDS = 60.0


class Milestones:
    """Decides which heads are worth a line: the first, one every 10 % or 60 s whichever is later,
    each new kind of failure, the last. Knows no clock but the heads' own.
    """

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None
        self._kinds: set[str] = set()
        self._over = False

    def reached(self, head: Head) -> list[str]:
        """Names of what this head marks: ``start``, ``progress``, ``failure``, ``end``."""
        marks: list[str] = []
        if self._over:
            return marks
        first = self._last is None
        if first:
            marks.append("start")
            self._last = (words.percent(head), head.time)
        if self._new_kinds(head):
            marks.append("failure")
        if ended(head):
            marks.append("end")
            self._over = True
        elif not first and self._is_step(head):
            marks.append("progress")
            self._last = (words.percent(head), head.time)
        return marks

    def _new_kinds(self, head: Head) -> bool:
        new = set(head.failure_kinds) - self._kinds
        self._kinds |= new
        return bool(new)

    def _is_step(self, head: Head) -> bool:
        assert self._last is not None
        share, then = self._last
        grown = words.percent(head) - share
        return grown >= STEP_PERCENT and head.time - then >= STEP_SECONDS


def ended(head: Head) -> bool:
    """Whether this head is a session's last."""
    try:
        return RunState(head.state).ended
    except ValueError:
        return False


class PlainProgress:
    """Writes milestones as lines.

    Args:
        write: Takes one line.
        note: Takes (level, text).
        url: The run store.
        watch: The command that shows the run.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        note: Callable[[str, str], None],
        url: str,
        watch: str,
    ) -> None:
        self._write = write
        self._note = note
        self._url = url
        self._watch = watch
        self._milestones = Milestones()
        self._lines = 0
        self._told: set[str] = set()
        self._seen_kinds: set[str] = set()

    def head(self, head: Head) -> None:
        """A heartbeat."""
        for mark in self._milestones.reached(head):
            if mark == "start":
                self._line(words.start_line(head, self._url))
                self._line(f"watch it with: {self._watch}")
            elif mark == "failure":
                self._failure(head)
            elif mark == "progress":
                self._line(words.progress_line(head))
            else:
                for text in words.end_lines(head, self._url):
                    self._line(text, reserved=True)

    def note(self, level: str, text: str) -> None:
        """A message; the same one is told once."""
        if text not in self._told and self._has_room():
            self._told.add(text)
            self._note(level, text)
            self._lines += 1 + text.count("\n")
            self._warn_when_full()

    def close(self) -> None:
        """Nothing to clean up."""

    def _failure(self, head: Head) -> None:
        for kind in head.failure_kinds:
            if kind not in self._seen_kinds:
                self._seen_kinds.add(kind)
                if any(f"{kind}: " in told for told in self._told):
                    continue  # a message has said it, and better
                self._line(f"new kind of failure: {kind}      sdk failures {word(self._url)}")

    def _line(self, text: str, reserved: bool = False) -> None:
        if self._lines >= MOST_LINES or not (reserved or self._has_room()):
            return
        self._write(text)
        self._lines += 1
        if not reserved:
            self._warn_when_full()

    def _has_room(self) -> bool:
        return self._lines < MOST_LINES - RESERVED

    def _warn_when_full(self) -> None:
        if self._lines >= MOST_LINES - RESERVED and "full" not in self._told:
            self._told.add("full")
            self._write(f"further messages are in the log: sdk logs {word(self._url)}")
            self._lines += 1
