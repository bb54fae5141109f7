"""The first look, taken while the framework is imported."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from foretell_tui.reader import Reader
from foretell_tui.reading import Reading
from foretell_tui.state import View, reduce

PATIENCE = 2.0
"""Seconds the first look is waited for; after that the dashboard opens and says so."""


@dataclass
class First:
    """A first look under way."""

    reader: Reader
    view: View | None = None
    error: Exception | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look; in a thread of its own."""
        try:
            self.view = reduce(None, self.reader.look())
        except Exception as error:  # told by whoever waits
            self.error = error
        finally:
            self.done.set()

    def wait(self) -> View | None:
        """The view, None where the store does not answer yet.

        Raises:
            ForetellError: there is no run.
        """
        self.done.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        return self.view


def first_view(reader: Reader) -> First:
    """Begin the first look."""
    first = First(reader)
    threading.Thread(target=first.run, name="foretell-first-look", daemon=True).start()
    return first


def opening(reader: Reader, monotonic: float, wall: float) -> View:
    """What is shown before anything was read."""
    return View(Reading(monotonic, wall, shown=reader.shown))
