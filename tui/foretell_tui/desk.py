"""What all panes share: the view, the signs they may use, what is selected, and whom to ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from foretell_tui.look import Look
from foretell_tui.query import Query
from foretell_tui.state import View


@dataclass(frozen=True, slots=True)
class Effect:
    """Something a pane cannot do itself.

    Attributes:
        kind: ``copy`` (to the clipboard), ``say`` (a short message), ``ask`` (a line of text),
            ``pager`` (show text at length), ``screen`` (go there), ``wants`` (read again),
            ``job`` (work for the reader's thread), ``save`` (export), ``run`` (a command).
        text: What.
        then: Called with the answer of an ``ask`` or ``job``.
        work: The ``job``.
    """

    kind: str
    text: str = ""
    then: Callable[[Any], None] | None = None
    work: Callable[[Any], Any] | None = None


@dataclass
class Desk:
    """Shared by the panes of one dashboard. The screen's thread alone touches it.

    Attributes:
        view: What is shown.
        look: Which signs.
        control: Whether retry and cancel may be started from here.
        chunk: The chunk that is selected.
        worker: Number of the worker that is selected, None for none.
        query: How the list of chunks is filtered and sorted.
        order: How the map is ordered.
        level: Least level of log lines shown.
        grouped: Whether workers are grouped by host.
        follow: Whether the log stays at its end.
        pattern: What log lines must match.
        history: Figures of each worker while watched, newest last: (seconds, cpu, rss).
        clock: Seconds since the epoch, as shown.
        paused: Whether looking is paused.
        once: Whether this is a single frame.
        every: Seconds between looks.
        screen: The one in front.
        taken: Views taken so far.
        emit: Where effects go.
    """

    view: View
    look: Look = field(default_factory=Look)
    control: bool = False
    chunk: int = 0
    worker: int | None = None
    query: Query = field(default_factory=Query)
    order: str = "linear"
    level: str = "info"
    grouped: bool = False
    follow: bool = True
    pattern: str = ""
    history: dict[int, list[tuple[float, float, float]]] = field(default_factory=dict)
    paused: bool = False
    once: bool = False
    every: float | None = None
    screen: str = "overview"
    taken: int = 0
    emit: Callable[[Effect], None] = lambda effect: None

    @property
    def run(self) -> str:
        """The run as it can be typed."""
        return self.view.reading.shown

    def say(self, text: str) -> None:
        """A short message."""
        self.emit(Effect("say", text))

    def copy(self, text: str, what: str) -> None:
        """Put text on the clipboard and say so."""
        self.emit(Effect("copy", text))
        self.say(f"copied {what}: {text}" if len(text) < 120 else f"copied {what}")

    def changed(self) -> None:
        """What the panes want to know has changed: read it."""
        self.emit(Effect("wants"))

    def take(self, view: View) -> None:
        """A new view; figures of the workers are kept for their curves."""
        self.view = view
        self.taken += 1
        for sample in view.reading.samples:
            kept = self.history.setdefault(sample.index, [])
            if not kept or kept[-1][0] != sample.time:
                kept.append((sample.time, sample.cpu or 0.0, float(sample.rss or 0)))
                del kept[:-240]
