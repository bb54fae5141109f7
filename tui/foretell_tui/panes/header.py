"""The first line: which run, how it stands, how fresh that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from foretell_tui import words
from foretell_tui.line import Line, Span, cut_left, spread, width_of
from foretell_tui.panes.base import Pane


class Header(Pane):
    """Run, state, heartbeat, poll interval, clock."""

    name: ClassVar[str] = "header"
    framed: ClassVar[bool] = False
    focusable: ClassVar[bool] = False

    def body(self, width: int, height: int) -> Sequence[Line]:
        view = self.desk.view
        wide = width >= 110
        end: list[Span] = []
        if wide or width >= 70:
            end += [("READ-ONLY" if not self.desk.control else "CONTROL", "dim"), ("   ", "")]
            end += [(self._poll(), "dim"), ("   ", "")]
        end += [(words.clock(view.reading.wall), ""), (" ", "")]
        state = self._state(brief=not wide)
        name = words.job_name(view)
        start: list[Span] = [(" SDK ", "brand"), (" run ", "dim")] if wide else [(" ", "")]
        start += [(words.run_id(view), "id"), (" ", ""), (name, "bold"), ("  ", "")]
        if wide:
            room = width - sum(width_of(t) for t, _ in [*start, *state, *end]) - 4
            shown = view.reading.shown
            if room >= 12 and shown != name:
                start += [(cut_left(shown, room, self.desk.look.dots), "dim"), ("   ", "")]
        return [spread([*start, *state], end, width)]

    def _state(self, brief: bool) -> list[Span]:
        view, look = self.desk.view, self.desk.look
        sign = look.tick if view.word == "DONE" and view.tone == "good" else look.live
        spans: list[Span] = [(f"{sign} {view.word}", f"{view.tone} bold")]
        if pulse := words.pulse(view, brief=brief):
            spans += [("  ", ""), (pulse, view.tone if view.word != "RUNNING" else "")]
        if view.session > 1 and not brief:
            spans += [("  ", ""), (f"session {view.session}", "info")]
        return spans

    def _poll(self) -> str:
        if self.desk.once:
            return "one look"
        if self.desk.paused:
            return "paused"
        every = self.desk.every
        return "not polling" if every is None else f"poll {words.short(max(1, every))}"
