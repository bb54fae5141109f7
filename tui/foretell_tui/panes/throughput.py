"""How fast it goes: the curve of this session's work, rates, the end as a range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from foretell_tui import words
from foretell_tui.line import Line
from foretell_tui.panes.base import Pane
from foretell_tui.panes.progress import nothing_yet
from foretell_tui.state import View

SMOOTH = 5
"""Seconds over which the peak is the mean."""


def recent_values(view: View, width: int) -> list[float]:
    """Rows a second over this session as at most ``width`` points, oldest first.

    The last second is left out while the run lives: it is not over.
    """
    curve = view.reading.curve
    if curve is None or not len(curve[1]):
        return []
    values = curve[1]
    if view.live and view.head is not None:
        length = max(1, int(view.head.time - curve[0]))
        if length > len(values):
            values = np.pad(values, (0, min(length - len(values), 86_400)))
        elif length < len(values):
            values = values[:length]
    if len(values) <= width:
        return [float(value) for value in values.repeat(min(8, width // len(values)))]
    edges = np.arange(width + 1) * len(values) // width
    sums = np.add.reduceat(values, edges[:-1])
    return [float(value) for value in sums / np.diff(edges)]


def peak_of(view: View) -> float:
    """The most rows a second over any few seconds of this session."""
    curve = view.reading.curve
    if curve is None or not len(curve[1]):
        return 0.0
    values = curve[1]
    span = min(SMOOTH, len(values))
    return float(np.convolve(values, np.ones(span), "valid").max() / span)


def plot(values: list[float], width: int, height: int, ascii_only: bool) -> list[str]:
    """A curve as ``height`` lines of blocks, the newest value at the right."""
    top = max(values, default=0.0)
    blocks = " _.-~^" if ascii_only else " ▁▂▃▄▅▆▇█"
    last = len(blocks) - 1
    lines = []
    for row in range(height - 1, -1, -1):
        text = ""
        for value in values:
            filled = (value / top * height - row) if top else 0.0
            text += blocks[min(last, max(0, round(filled * last)))]
        lines.append(text.rjust(width))
    return lines


class Throughput(Pane):
    """Curve, rates, ETA."""

    name: ClassVar[str] = "throughput"
    focusable: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"Throughput  {self.desk.view.unit}/s"

    def body(self, width: int, height: int) -> Sequence[Line]:
        view = self.desk.view
        facts = self._facts()
        values = recent_values(view, width)
        room = height - len(facts)
        lines: list[Line] = []
        if values and any(values) and room > 0:
            lines = [[(t, "curve")] for t in plot(values, width, room, self.desk.look.ascii)]
        elif room > 0:
            lines = [[(nothing_yet(view), "dim")], *[[] for _ in range(room - 1)]]
        return [*lines, *facts]

    def _facts(self) -> list[Line]:
        view, look = self.desk.view, self.desk.look
        head = view.head
        if head is None:
            return []
        rates = head.rates
        peak = peak_of(view)
        now = [
            ("1m ", "dim"), (words.rate(rates.rows_per_second), "bold"),
            ("  10m ", "dim"), (words.rate(rates.rows_per_second_10m), ""),
            ("  peak ", "dim"), (words.rate(peak), ""),
        ]  # fmt: skip
        lines: list[Line] = [now]
        if ending := words.eta(view, look):
            role = "warn" if ending.startswith("stalled") else "bold"
            lines.append([("ETA ", "dim"), (ending, role)])
        if wall := words.walltime(view):
            lines.append([(wall, "warn" if "before" in wall else "")])
        if rates.chunk_p50 is not None and rates.chunk_p95 is not None:
            lines.append(
                [
                    ("chunk p50 ", "dim"), (words.seconds(rates.chunk_p50), ""),
                    (" p95 ", "dim"), (words.seconds(rates.chunk_p95), ""),
                    ("  ", "dim"), (words.bytes_per_second(rates.bytes_per_second), ""),
                ]
            )  # fmt: skip
        return lines
