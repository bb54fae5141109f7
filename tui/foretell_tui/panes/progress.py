"""How far it is: the bar in parts, and counts that add up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from foretell_tui import words
from foretell_tui.line import Line, Span, fit, width_of
from foretell_tui.look import Look
from foretell_tui.panes.base import Pane
from foretell_tui.state import Bar, View

_ROLES = ("state-resumed", "state-done", "state-running", "state-failed", "state-pending")


def bar_line(bar: Bar, total: int, width: int, look: Look) -> Line:
    """The bar in ``width`` cells; whatever is not nothing has a cell, as long as there is room."""
    if total <= 0:
        return [(look.bar[1] * width, _ROLES[1])]
    cells = [part * width // total for part in bar.parts]
    for at, part in enumerate(bar.parts[:4]):
        if part and not cells[at]:
            cells[at] = 1
    cells[4] = 0
    while sum(cells) > width:
        cells[cells.index(max(cells))] -= 1
    cells[4] = width - sum(cells)
    if not bar.parts[4]:
        # Nothing is left: rounding must not look like it.
        widest = max(range(4), key=lambda at: bar.parts[at])
        cells[widest] += cells[4]
        cells[4] = 0
    return [(look.bar[at] * count, _ROLES[at]) for at, count in enumerate(cells) if count]


def whole_bar(view: View, width: int, look: Look) -> Line:
    """The bar with its per cent beside it."""
    tail = f"]  {words.share(view):5.1f} %"
    inner = max(4, width - width_of(tail) - 1)
    return [("[", "dim"), *bar_line(view.bar, view.totals.chunks, inner, look), (tail, "bold")]


def counts(view: View, *, brief: bool = False) -> Line:
    """Chunks by state; they add up to the run's."""
    totals = view.totals
    lost = totals.failed + totals.quarantined + totals.damaged
    run, retry, left = ("run", "retry", "left") if brief else ("running", "retrying", "left")
    line: Line = [
        ("done ", "dim"), _count(totals.done, "state-done"),
        (f"  {run} ", "dim"), _count(totals.running, "state-running"),
        (f"  {retry} ", "dim"), _count(totals.retrying, "state-retrying"),
        ("  fail " if brief else "  failed ", "dim"), _count(lost, "state-failed"),
        (f"  {left} ", "dim"), (f"{totals.pending:,}", ""),
        ("  of ", "dim"), (f"{totals.chunks:,}", ""), (" chunks", "dim"),
    ]  # fmt: skip
    rows = totals.rows_quarantined + totals.rows_failed
    if rows and not lost:
        line += [("   ", ""), (f"{rows:,} {view.unit} lost", "warn")]
    return line


def _count(number: int, role: str) -> Span:
    """A number in its colour, unless it is zero."""
    return (f"{number:,}", role if number else "")


def sessions(view: View) -> Span:
    """Work of this session apart from what was resumed."""
    bar = view.bar
    if not bar.resumed:
        return ("", "")
    return (f"   this session {bar.done:,}  resumed {bar.resumed:,}", "dim")


class Progress(Pane):
    """The bar and the counts, in a border."""

    name: ClassVar[str] = "progress"
    focusable: ClassVar[bool] = False

    def body(self, width: int, height: int) -> Sequence[Line]:
        view, look = self.desk.view, self.desk.look
        line = [*counts(view), sessions(view)]
        if sum(width_of(text) for text, _ in line) > width:
            line = [*counts(view, brief=True), sessions(view)]
        return [whole_bar(view, width, look), line]


class Brief(Pane):
    """The same without a border, with the rate and the ETA: for small terminals."""

    name: ClassVar[str] = "brief"
    framed: ClassVar[bool] = False
    focusable: ClassVar[bool] = False

    def body(self, width: int, height: int) -> Sequence[Line]:
        view, look = self.desk.view, self.desk.look
        lines: list[Line] = [
            [(" ", ""), *whole_bar(view, width - 2, look)],
            [(" ", ""), *counts(view, brief=width < 90)],
            [(" ", ""), *pace_line(view, look, width - 2)],
        ]
        return lines


def pace_line(view: View, look: Look, width: int) -> Line:
    """Rate, ETA and slow chunks on one line, the curve in what is left of it."""
    head = view.head
    rates = head.rates if head is not None else None
    line: Line = []
    if rates is not None and rates.rows_per_second is not None:
        line += [] if view.live else [("was ", "dim")]
        line += [(f"{words.rate(rates.rows_per_second)} {view.unit}/s", "bold")]
    if ending := words.eta(view, look):
        role = "warn" if ending.startswith("stalled") else ""
        line += [("   ETA ", "dim"), (ending, role)]
    if rates is not None and rates.chunk_p95 is not None:
        line += [("   p95 ", "dim"), (words.seconds(rates.chunk_p95), "")]
    if not line:
        line = [(nothing_yet(view), "dim")]
    taken = sum(width_of(text) for text, _ in line)
    room = width - taken - 3
    if room >= 8 and view.reading.curve is not None and len(view.reading.curve[1]):
        from foretell_tui.panes.throughput import recent_values

        shown = words.curve(recent_values(view, room), look)
        line = [*fit(line, width - width_of(shown)), (shown, "curve")]
    return line


def nothing_yet(view: View) -> str:
    """Why there are no figures."""
    if view.head is None:
        return "not started: sdk resume starts it" if view.standing else "opening the run"
    return "nothing finished in this session yet" if view.live else view.head.reason
