"""The one owner of stderr: errors, warnings and messages, in one style, safe to show."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import IO

from foretell.cli.reports import store_report, traceback_text
from foretell.errors import ForetellError, render
from foretell.redact import redact_text
from foretell.text import visible

_COLOURS = {"error": "1;31", "warning": "33", "good": "32", "info": "36"}
_LEVELS = {"ERROR": "error", "WARN": "warning", "WARNING": "warning"}


class Messages:
    """Writes to stderr.

    Args:
        stream: Where to; stderr at the time of writing by default.
        debug: Whether tracebacks are shown.
    """

    def __init__(self, stream: IO[str] | None = None, debug: bool = False) -> None:
        self._stream = stream
        self.debug = debug
        self.quiet = False
        self.above: Callable[[str], None] | None = None
        """Takes lines instead of the stream while a live block is on the screen."""

    @property
    def stream(self) -> IO[str]:
        """The stream written to."""
        return self._stream if self._stream is not None else sys.stderr

    @property
    def is_terminal(self) -> bool:
        """Whether somebody looks at it on a terminal that can move its cursor."""
        return self.stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    @property
    def colours(self) -> bool:
        """Whether to colour: a terminal, and nobody said no (https://no-color.org)."""
        return self.is_terminal and not os.environ.get("NO_COLOR")

    def line(self, text: str = "") -> None:
        """One line, made safe."""
        shown = visible(text)
        if self.above is not None:
            self.above(shown)
            return
        self.stream.write(shown + "\n")
        self.stream.flush()

    def say(self, text: str) -> None:
        """A message that ``--quiet`` keeps back."""
        if not self.quiet:
            self.line(text)

    def note(self, level: str, text: str) -> None:
        """A message with a level: ``INFO``, ``WARN`` or ``ERROR``. Errors ignore ``--quiet``."""
        word = _LEVELS.get(level.upper())
        if word is None:
            self.say(redact_text(text))
        elif word == "error" or not self.quiet:
            self._head(f"{word}: {redact_text(text)}", word)

    def error(self, error: ForetellError) -> None:
        """An error in the one style; its traceback after it with ``--debug``."""
        headline, *rest = safe_lines(error)
        self._head(headline, "error")
        for text in rest:
            self.line(text)
        if self.debug:
            self.traceback(error)

    def bug(self, error: BaseException, arguments: Sequence[str]) -> None:
        """An exception nobody meant to be seen."""
        self.error_of_bug(error, store_report(error, arguments))

    def error_of_bug(self, error: BaseException, report: object) -> None:
        """Render an unexpected exception whose report is stored at ``report``."""
        shown = bug_of(error, report)
        headline, *rest = safe_lines(shown)
        self._head(headline, "error")
        for text in rest:
            self.line(text)
        if self.debug:
            self.traceback(error)

    def traceback(self, error: BaseException) -> None:
        """A traceback, line by line."""
        for text in traceback_text(error).splitlines():
            self.line(f"  {text}")

    def _head(self, text: str, kind: str) -> None:
        word, colon, rest = visible(text).partition(":")
        if self.colours and self.above is None and colon:
            self.stream.write(f"\x1b[{_COLOURS[kind]}m{word}:\x1b[0m{rest}\n")
            self.stream.flush()
        else:
            self.line(text)


def safe_lines(error: ForetellError) -> list[str]:
    """:func:`foretell.errors.render` of an error whose every text was made safe."""

    def safe(text: str) -> str:
        return visible(redact_text(text), keep="\n")

    def line(text: str) -> str:
        return visible(redact_text(text))

    shown = ForetellError(
        line(error.message),
        facts=[(line(label), safe(text)) for label, text in error.facts],
        tries=[(line(action), line(effect)) for action, effect in error.tries],
        slug=error.slug,
    )
    return render(shown)


def bug_of(error: BaseException, report: object) -> ForetellError:
    """An unexpected exception as an error that says where its report is."""
    first = str(error).strip().partition("\n")[0]
    text = f"unexpected {type(error).__name__}" + (f": {first}" if first else "")
    stored = str(report) if report is not None else "could not be stored"
    return ForetellError(
        text,
        facts=[("report", stored)],
        tries=[("--debug", "shows the traceback")],
        slug="bug",
    )
