"""The second line: the screens, and which one is in front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from foretell_tui.desk import Effect
from foretell_tui.line import Line, Span, fit, width_of
from foretell_tui.panes.base import Pane

TABS = (
    ("overview", "Overview", "Over"),
    ("chunks", "Chunks", "Chunks"),
    ("workers", "Workers", "Work"),
    ("failures", "Failures", "Fail"),
    ("results", "Results", "Res"),
    ("log", "Log", "Log"),
    ("timeline", "Timeline", "Time"),
    ("compare", "Compare", "Cmp"),
    ("runs", "Runs", "Runs"),
)
"""Screens in the order of their keys: name, title, and the title where room is short."""


class Tabs(Pane):
    """The row of screens."""

    name: ClassVar[str] = "tabs"
    framed: ClassVar[bool] = False
    focusable: ClassVar[bool] = False

    def body(self, width: int, height: int) -> Sequence[Line]:
        line = self._tabs(width)
        end: Span = ("^p palette  ", "dim")
        if sum(width_of(text) for text, _ in line) + width_of(end[0]) < width:
            room = width - width_of(end[0])
            return [[*fit(line, room), end]]
        return [line]

    def _tabs(self, width: int) -> Line:
        lost = self._lost()
        line: Line = [(" ", "")]
        gap = "  " if width >= 110 else " "
        for number, (name, title, short) in enumerate(TABS, start=1):
            text = f"{number} {title if width >= 110 else short}"
            if name == "failures" and lost:
                text += f"({lost:,})" if width >= 110 or lost < 1000 else "(!)"
            if name == self.desk.screen:
                line += [(f"[{text}]", "tab-on")]
            else:
                line += [(text, "bad" if name == "failures" and lost else "tab")]
            line += [(gap, "")]
        return line

    def _lost(self) -> int:
        """Chunks that are lost; the rows, where all chunks are done."""
        totals = self.desk.view.totals
        chunks = totals.failed + totals.quarantined + totals.damaged
        return chunks or totals.rows_quarantined + totals.rows_failed

    def click(self, x: int, y: int, *, double: bool = False) -> None:
        at = 0
        shown = -1
        for text, role in self._tabs(self.width):
            if role in ("tab", "tab-on", "bad"):
                shown += 1
                if at <= x < at + width_of(text):
                    self.desk.emit(Effect("screen", TABS[shown][0]))
                    return
            at += width_of(text)
