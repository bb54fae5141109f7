"""Other runs: those below this folder and those started last; Enter goes to one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from foretell.text import size

from foretell_tui import words
from foretell_tui.desk import Desk, Effect
from foretell_tui.line import Line, cut_left, left, right
from foretell_tui.panes.base import ListPane
from foretell_tui.panes.failures import matches

_TONES = {
    "done": "good", "partial": "warn", "failed": "bad", "running": "state-running",
    "interrupted": "info", "lost": "bad", "stale": "warn",
}  # fmt: skip


class Runs(ListPane):
    """Runs with state, per cent, rate (its average where the run ended), age and size."""

    name: ClassVar[str] = "runs"
    acts: ClassVar[tuple[str, ...]] = (*ListPane.acts, "open", "filter", "copy", "sort", "command")

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.rows: list[Mapping[str, Any]] | None = None
        self.pattern = ""
        self.sort = "place"

    @property
    def title(self) -> str:
        filtered = f"   / {self.pattern}" if self.pattern else ""
        return f"Runs {len(self.rows or ())}   by {self.sort}{filtered}"

    @property
    def hint(self) -> str:
        return "enter goes there  c compare with it  / filter  y copy its path  r look again"

    def shown(self) -> list[Mapping[str, Any]]:
        """Those that pass the filter, in order."""
        found = [row for row in self.rows or () if matches(self.pattern, row["run"])]
        if self.sort == "age":
            return sorted(found, key=lambda row: row["age_seconds"] or 0.0)
        return found

    def count(self) -> int:
        return len(self.shown())

    def empty(self) -> str:
        if self.rows is None:
            return "looking for runs"
        if self.rows:
            return "no run matches: / changes the filter"
        return "no runs below this folder and none started lately: sdk demo makes one"

    def head(self, width: int) -> list[Line]:
        if not self.count():
            return []
        return [
            [("  " + _cells(width - 2, "run", "state", "done", "rate", "age", "stored"), "dim")]
        ]

    def row(self, number: int, width: int) -> Line:
        row = self.shown()[number]
        lost = row["pulse"] in ("lost", "stale")
        state = row["pulse"] if lost else row["state"]
        rate = row["rows_per_second"] or row["average_rows_per_second"]
        text = _cells(
            width,
            row["run"],
            state.upper() if lost else state,
            "" if row["percent"] is None else f"{row['percent']:.1f} %",
            "" if rate is None else f"{words.rate(rate)} {row['unit']}/s",
            "" if row["age_seconds"] is None else words.short(row["age_seconds"]),
            "" if row["bytes"] is None else size(row["bytes"]),
            self.desk.look.dots,
        )
        if row["problem"]:
            # There are no figures where the reason stands.
            text = f"{text.rstrip()}  {row['problem']}"
        here = row["run"] == self.desk.run
        return [(text, "bold" if here else _TONES.get(state, ""))]

    def chosen(self) -> str | None:
        """The run that is selected."""
        shown = self.shown()
        return str(shown[min(self.at, len(shown) - 1)]["run"]) if shown else None

    def records(self) -> list[dict[str, Any]]:
        return [dict(row) for row in self.shown()]

    def do_open(self) -> None:
        if (run := self.chosen()) is not None:
            self.desk.emit(Effect("attach", run))

    def do_copy(self) -> None:
        if (run := self.chosen()) is not None:
            self.desk.copy(run, "path")

    def do_command(self) -> None:
        """Compare this run with the one that is selected."""
        if (run := self.chosen()) is not None:
            self.desk.emit(Effect("compare-with", run))

    def do_sort(self) -> None:
        self.sort = "age" if self.sort == "place" else "place"

    def do_filter(self) -> None:
        self.desk.emit(Effect("ask", "Show runs whose path matches (regex, ! inverts)", self._set))

    def _set(self, text: str) -> None:
        self.pattern = text


def _cells(
    width: int, run: str, state: str, done: str, rate: str, age: str, stored: str, dots: str = "…"
) -> str:
    parts = [left(state, 11), right(done, 8)]
    spare = width - 21 - 20
    for cell, cells in ((age, 6), (stored, 9), (rate, 14)):
        if spare > cells:
            parts.append(right(cell, cells))
            spare -= cells + 1
    room = max(8, width - sum(map(len, parts)) - len(parts))
    return " ".join([left(cut_left(run, room, dots), room), *parts])
