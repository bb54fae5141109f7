"""All of a run on one line: where there is room for nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from foretell_tui import words
from foretell_tui.line import Line
from foretell_tui.panes.base import Pane


class OneLine(Pane):
    """State, per cent, ETA, failures."""

    name: ClassVar[str] = "line"
    framed: ClassVar[bool] = False
    focusable: ClassVar[bool] = False

    def body(self, width: int, height: int) -> Sequence[Line]:
        view = self.desk.view
        totals = view.totals
        lost = totals.failed + totals.quarantined + totals.damaged
        line: Line = [
            (f"{self.desk.look.live} {view.word} ", f"{view.tone} bold"),
            (f"{words.share(view):.1f} %", "bold"),
        ]
        if ending := words.eta(view, self.desk.look):
            line.append((f"  ETA {ending.partition(' (')[0]}", ""))
        if lost:
            line.append((f"  {lost:,} failed", "bad"))
        lines: list[Line] = [line]
        if height > 1:
            lines.append([("make the terminal larger, at least 60 x 15, to see more", "dim")])
        return lines
