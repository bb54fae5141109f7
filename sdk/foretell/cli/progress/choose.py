"""Which way of showing progress this invocation wants."""

from __future__ import annotations

import os
from typing import Protocol

from foretell.cli.progress.lines import JsonProgress, QuietProgress
from foretell.cli.progress.plain import PlainProgress
from foretell.cli.session import Session
from foretell.store.head import Head
from foretell.text import word


class Sink(Protocol):
    """Shows a run while it goes on. What the engine is given, and a way to end it."""

    def head(self, head: Head) -> None:
        """A heartbeat: about once a second, and once at the end."""
        ...

    def note(self, level: str, text: str) -> None:
        """A message: ``INFO``, ``WARN`` or ``ERROR``."""
        ...

    def close(self) -> None:
        """Leave the screen as it should be. Called on every way out."""
        ...


def choose(session: Session, url: str) -> Sink:
    """The sink for ``--progress``: live on a terminal and plain lines elsewhere by default."""
    messages = session.messages
    mode = session.progress
    if session.quiet or mode == "quiet":
        return QuietProgress(messages.note)
    if mode == "json":
        return JsonProgress(messages.line, url)
    if mode == "live" or (mode == "auto" and messages.is_terminal and not os.environ.get("CI")):
        from foretell.cli.progress.live import LiveProgress

        return LiveProgress(messages, url, watch_command(url))
    return PlainProgress(messages.line, messages.note, url, watch_command(url))


def watch_command(url: str) -> str:
    """How to look at the run: the dashboard where it is installed, ``sdk status`` otherwise."""
    from foretell.cli.parts import plugins

    names = {entry.name for entry in plugins().commands()}
    return f"sdk watch {word(url)}" if "watch" in names else f"sdk status {word(url)}"
