"""This run beside another one: what ``sdk compare`` says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from foretell_tui.desk import Desk, Effect
from foretell_tui.line import Line, wrap
from foretell_tui.panes.base import Pane, paragraph, part_of

Comparer = Callable[[str, str, int | None], Callable[[int], list[str]]]
"""Two runs, and how many chunks' values to compare (None for none), to lines of some width."""

VALUES = 8
"""Chunks whose values are compared when that is asked for."""


class Compare(Pane):
    """Settings, data, versions, totals, speed, failures and values of two runs."""

    name: ClassVar[str] = "compare"
    acts: ClassVar[tuple[str, ...]] = (
        "up", "down", "page_up", "page_down", "home", "end", "open", "filter", "view_as", "command",
    )  # fmt: skip

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.other = ""
        self.lines: list[str] | None = None
        self._told: Callable[[int], list[str]] | None = None
        self._top = 0
        self._working = False
        self._seen = ""

    @property
    def title(self) -> str:
        if not self.other:
            return "Compare"
        return f"Compare  A this run  B {self.other}  {self._seen}".rstrip()

    @property
    def hint(self) -> str:
        return "enter another run  v values of some chunks  c copy sdk compare"

    def body(self, width: int, height: int) -> Sequence[Line]:
        if self._told is None:
            text = (
                f"comparing with {self.other}" if self._working else
                "Enter asks for another run to compare this one with: its path or URL. "
                "On the screen of runs (9), c compares with the run that is selected."
            )  # fmt: skip
            return [[(part, "dim")] for part in paragraph(text, width)]
        self.lines = [part for line in self._told(width) for part in wrap(line, width)]
        self._top = max(0, min(self._top, len(self.lines) - height))
        shown = self.lines[self._top : self._top + height]
        self._seen = part_of(self._top, len(shown), len(self.lines))
        return [[(line, self._role(line, self._top + at))] for at, line in enumerate(shown)]

    @staticmethod
    def _role(line: str, number: int) -> str:
        if number == 0:
            return "good bold" if line == "equal" else "warn bold"
        return "title" if line[:1] not in ("", " ") else ""

    def start(self, other: str, values: int | None = None) -> None:
        """Compare with another run; beside the screen's thread."""
        if not other:
            return
        self.other, self.lines, self._told, self._top = other, None, None, 0
        self._working = True
        self.desk.emit(Effect("compare", other, self._show, lambda compare: compare(
            self.desk.run, other, values)))  # fmt: skip

    def _show(self, answer: object) -> None:
        self._working = False
        if callable(answer):
            self._told = answer
        else:
            self.desk.say(f"cannot be compared: {answer}")

    def do_open(self) -> None:
        self.desk.emit(Effect("ask", "Compare this run with (path or URL)", self.start))

    def do_filter(self) -> None:
        self.do_open()

    def do_view_as(self) -> None:
        if self.other:
            self.start(self.other, VALUES)
        else:
            self.do_open()

    def do_command(self) -> None:
        self.desk.copy(f"sdk compare {self.desk.run} {self.other or 'OTHER'}", "command")

    def do_up(self) -> None:
        self._top = max(0, self._top - 1)

    def do_down(self) -> None:
        self._top += 1

    def do_page_up(self) -> None:
        self._top = max(0, self._top - max(1, self.height - 2))

    def do_page_down(self) -> None:
        self._top += max(1, self.height - 2)

    def do_home(self) -> None:
        self._top = 0

    def do_end(self) -> None:
        self._top = len(self.lines or ())
