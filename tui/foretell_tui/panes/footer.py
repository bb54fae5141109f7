"""The last lines: what to know now, and which keys to press."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from foretell.text import plural, size

from foretell_tui.line import Line, Span, cut
from foretell_tui.panes.base import Pane
from foretell_tui.panes.workers import near_limit, troubled
from foretell_tui.state import View

_KEYS = (
    ("q", "quit"), ("?", "help"), ("1-9", "screens"), ("z/Z", "zoom"), ("arrows", "move"),
    ("enter", "open"), ("/", "filter"), ("p", "pause"), ("r", "refresh"), ("c", "copy cmd"),
    (":", "go to chunk"),
)  # fmt: skip
_SHORT = (
    ("q", "quit"), ("?", "help"), ("1-9", "screens"), ("z", "zoom"), ("enter", "open"),
    ("/", "filter"), ("p", "pause"), ("c", "copy"), (":", "goto"),
)  # fmt: skip


class Keys(Pane):
    """The keys worth naming."""

    name: ClassVar[str] = "keys"
    framed: ClassVar[bool] = False
    focusable: ClassVar[bool] = False

    def body(self, width: int, height: int) -> Sequence[Line]:
        keys = _KEYS if width >= 110 else _SHORT
        gap = "  " if sum(len(key) + len(text) + 3 for key, text in keys) <= width + 1 else " "
        line: Line = [(" ", "")]
        room = width - 1
        for key, text in keys:
            room -= len(key) + len(text) + 1 + len(gap)
            if room < -len(gap):
                break
            line += [(key, "key"), (f" {text}{gap}", "dim")]
        return [line]


class Notice(Pane):
    """What needs attention, most urgent first; else what the last look cost."""

    name: ClassVar[str] = "notice"
    framed: ClassVar[bool] = False
    focusable: ClassVar[bool] = False

    def body(self, width: int, height: int) -> Sequence[Line]:
        line = notice(self.desk.view, width, self.desk.look.dots)
        if line:
            return [line]
        cost = self.desk.view.reading.cost
        asked = plural(cost.requests, "request")
        return [[(f" the last look read {size(cost.bytes)} in {asked}", "dim")]]


def notice(view: View, width: int, dots: str = "…") -> Line:
    """One sentence on what to know, empty where all is well."""
    found = sentence(view)
    if found is None:
        return []
    text, role = found
    if len(text) > width - 4:
        # What the next command does goes first.
        text = text.partition("   (")[0]
    mark: Span = ("   " if role == "good" else " ! ", f"{role} bold")
    return [mark, (cut(text, max(0, width - 4), dots), role)]


def sentence(view: View) -> tuple[str, str] | None:
    """The most urgent thing, with its role."""
    reading = view.reading
    if reading.problem is not None:
        return reading.problem.text, "bad"
    if view.standing is None or (view.judgement is None and view.head is None):
        return _next(view)
    if view.word in ("LOST", "STALE"):
        told = view.judgement.text if view.judgement is not None else ""
        return _with_next(view, told, "bad" if view.word == "LOST" else "warn")
    if not view.live:
        return _ended(view)
    for sample in reading.samples:
        if troubled(view, sample):
            took = max(took for *_, took in sample.chunks if took is not None)
            return (f"{sample.name} on {sample.host}: no chunk finished for {took:.0f} s", "warn")
    for sample in reading.samples:
        if near_limit(sample):
            return f"{sample.name} on {sample.host}: memory near its limit", "warn"
    if view.head is not None and view.head.message:
        return view.head.message, "info"
    if view.news:
        return view.news[-1], "info"
    return None


def _ended(view: View) -> tuple[str, str] | None:
    head = view.head
    reason = head.reason if head is not None and head.reason else ""
    return _with_next(view, reason or view.word.lower(), view.tone)


def _with_next(view: View, told: str, role: str) -> tuple[str, str]:
    command, effect = view.standing.tries[0] if view.standing is not None else ("", "")
    return f"{told}   next: {command}   ({effect})", role


def _next(view: View) -> tuple[str, str] | None:
    if view.standing is None:
        return None
    command, effect = view.standing.tries[0]
    return f"not started   next: {command}   ({effect})", "info"
