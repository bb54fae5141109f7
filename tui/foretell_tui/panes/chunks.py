"""The list of chunks, filtered and sorted, and one of them in detail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, ClassVar

from foretell.store.failures import FailureGroup

from foretell_tui import words
from foretell_tui.derive import LIST_LIMIT, ChunkList, ChunkRow
from foretell_tui.desk import Effect
from foretell_tui.line import Line, left, right, wrap
from foretell_tui.look import HOLES, MEANINGS, NAMES, state_role, told
from foretell_tui.panes.base import ListPane, Pane
from foretell_tui.query import SORTS, BadQuery, Query, parse


class Chunks(ListPane):
    """The chunks a filter names."""

    name: ClassVar[str] = "chunks"
    acts: ClassVar[tuple[str, ...]] = (
        *ListPane.acts, "filter", "sort", "next_hit", "previous_hit", "open", "copy", "command",
    )  # fmt: skip

    @property
    def found(self) -> ChunkList | None:
        """What was found, None before that."""
        found = self.desk.view.reading.extra.get("chunks")
        return found if isinstance(found, ChunkList) else None

    @property
    def title(self) -> str:
        found = self.found
        query = self.desk.query
        text = f"/ {query.text}" if query.text else "all"
        if found is None:
            return f"Chunks  {text}"
        more = f", first {LIST_LIMIT:,} shown" if found.total > LIST_LIMIT else ""
        return f"Chunks {found.total:,}  {text}  by {query.sort}{more}"

    @property
    def hint(self) -> str:
        return "/ filter  s sort  y copy ids  c retry command  enter on the map"

    def count(self) -> int:
        return len(self.found.rows) if self.found is not None else 0

    def empty(self) -> str:
        if self.found is None:
            return "reading the ledger"
        if self.desk.query.text:
            return f"no chunk matches {self.desk.query.text}: / changes the filter, empty shows all"
        return "the run has no chunks"

    def head(self, width: int) -> list[Line]:
        if not self.count():
            return []
        return [[("  " + self._cells(width - 2, "chunk", "state", "rows", "worker", "tries",
                                     "took", "when"), "dim")]]  # fmt: skip

    def row(self, number: int, width: int) -> Line:
        found = self.found
        assert found is not None
        row = found.rows[number]
        sign = self.desk.look.signs[row.code]
        text = self._cells(
            width,
            f"{row.chunk:,}",
            f"{sign} {told(row.code)}",
            f"{row.start:,}..{row.stop - 1:,}",
            f"w{row.worker:02d}" if row.worker >= 0 else "",
            str(row.attempt or ""),
            "" if row.seconds is None else words.seconds(row.seconds),
            "" if row.started is None else words.clock(row.started),
        )
        role = state_role(row.code)
        rest = role if row.code not in (0, 3) else ""
        # The sign stands behind the id, nine cells wide.
        return [(text[:10], rest), (text[10:11], role), (text[11:], rest)]

    def _cells(
        self, width: int, chunk: str, state: str, rows: str, worker: str, tries: str, took: str,
        when: str,
    ) -> str:  # fmt: skip
        parts = [right(chunk, 9), left(state, 13)]
        spare = width - 23
        for cell, size, side in (
            (took, 8, right), (worker, 6, left), (tries, 5, right), (when, 8, left),
            (rows, 21, left),
        ):  # fmt: skip
            if spare > size:
                parts.append(side(cell, size))
                spare -= size + 1
        return " ".join(parts)

    def selected(self) -> None:
        if self.found is not None and self.found.rows:
            self.desk.chunk = self.found.rows[min(self.at, self.count() - 1)].chunk
            self.desk.changed()

    def do_filter(self) -> None:
        self.desk.emit(
            Effect("ask", "Filter: failed, bad, open, w03, >5s, 100-200, !done, slowest, newest",
                   self._filtered)
        )  # fmt: skip

    def _filtered(self, text: str) -> None:
        try:
            self.desk.query = parse(text)
        except BadQuery as error:
            self.desk.say(str(error))
            return
        self.at = 0
        self.desk.changed()

    def do_sort(self) -> None:
        query = self.desk.query
        sort = SORTS[(SORTS.index(query.sort) + 1) % len(SORTS)]
        self.desk.query = Query(query.text, query.tests, sort)
        self.desk.say(f"chunks by {sort}")
        self.desk.changed()

    def _bad(self, step: int) -> None:
        rows = self.found.rows if self.found is not None else ()
        for number in range(self.at + step, len(rows) if step > 0 else -1, step):
            if rows[number].code in (2, 4, 5, 6, HOLES):
                self.move(number - self.at)
                return
        self.desk.say("no failed chunk further on")

    def do_next_hit(self) -> None:
        self._bad(1)

    def do_previous_hit(self) -> None:
        self._bad(-1)

    def do_open(self) -> None:
        self.selected()
        self.desk.emit(Effect("focus", "map"))

    def do_copy(self) -> None:
        if self.found is not None and self.found.rows:
            ids = sorted(row.chunk for row in self.found.rows)
            self.desk.copy(words.typed_ranges(ids) or str(self.desk.chunk), "chunk ids")

    def do_command(self) -> None:
        self.desk.copy(f"sdk retry {self.desk.run} --chunks {self.desk.chunk}", "command")

    def records(self) -> list[dict[str, Any]]:
        if self.found is None:
            return []
        return [asdict(row) | {"state": told(row.code)} for row in self.found.rows]


class ChunkDetail(Pane):
    """The selected chunk: its rows, attempts, worker, times, and why it failed."""

    name: ClassVar[str] = "chunk"
    acts: ClassVar[tuple[str, ...]] = ("previous_chunk", "next_chunk", "copy", "command", "open")

    @property
    def title(self) -> str:
        return f"Chunk {self.desk.chunk:,}"

    @property
    def hint(self) -> str:
        return "[ ] previous, next  c copy retry command"

    @property
    def row(self) -> ChunkRow | None:
        """What is known of it."""
        found = self.desk.view.reading.extra.get("chunk")
        return found if isinstance(found, ChunkRow) and found.chunk == self.desk.chunk else None

    def body(self, width: int, height: int) -> Sequence[Line]:
        row = self.row
        if row is None:
            return [[("reading the ledger", "dim")]]
        view, look = self.desk.view, self.desk.look
        lines: list[Line] = [
            [("state   ", "dim"), (f"{look.signs[row.code]} {told(row.code)}",
              state_role(row.code)), (f"  {MEANINGS[NAMES[row.code]]}", "dim")],
            [("rows    ", "dim"), (f"{row.start:,}..{row.stop - 1:,}", ""),
             (f"  ({row.stop - row.start:,} {view.unit})", "dim")],
            [("tries   ", "dim"), (str(row.attempt or "none yet"), "")],
        ]  # fmt: skip
        lines += self._times(row)
        for text, value, why in (
            ("lost    ", row.quarantined, f"{view.unit} without a prediction"),
            ("NaN     ", row.nan, f"{view.unit} hold a NaN or an infinity"),
            ("splits  ", row.splits, "times the device had too little memory"),
        ):
            if value:
                lines.append([(text, "dim"), (f"{value:,}", "warn"), (f" {why}", "dim")])
        if row.suspect:
            lines.append([("suspect ", "dim"), ("in hand when a driver or worker died", "warn")])
        return [*lines, *self._failure(row, width)][:height]

    def _times(self, row: ChunkRow) -> list[Line]:
        view = self.desk.view
        lines: list[Line] = []
        for sample in view.reading.samples:
            for chunk, attempt, phase, took in sample.chunks:
                if chunk == row.chunk and row.code in (1, 2):
                    long = "" if took is None else f" for {words.seconds(took)}"
                    text = f"{sample.name} attempt {attempt}: {phase}{long}"
                    lines.append([("now     ", "dim"), (text, "")])
        if row.seconds is not None and row.started is not None:
            began = words.day_clock(row.started, view.reading.wall)
            lines.append([("took    ", "dim"), (words.seconds(row.seconds), ""),
                          (f"  from {began}", "dim")])  # fmt: skip
            lines.append([("worker  ", "dim"), (f"w{row.worker:02d}", "")])
        return lines

    def _failure(self, row: ChunkRow, width: int) -> list[Line]:
        lines: list[Line] = []
        for group in self._groups(row.chunk)[:3]:
            example = group.example
            lines += [
                [],
                [("failed  ", "dim"), (example.kind, "bad"), (f"  {example.frame}", "dim")],
            ]
            lines += [[(f"        {part}", "")] for part in wrap(example.message, width - 8)[:3]]
        return lines

    def _groups(self, chunk: int) -> list[FailureGroup]:
        return [group for group in self.desk.view.reading.groups if chunk in group.chunks]

    def _step(self, by: int) -> None:
        self.desk.chunk = max(0, min(self.desk.view.n_chunks - 1, self.desk.chunk + by))
        self.desk.changed()

    def do_previous_chunk(self) -> None:
        self._step(-1)

    def do_next_chunk(self) -> None:
        self._step(1)

    def do_copy(self) -> None:
        self.desk.copy(str(self.desk.chunk), "chunk")

    def do_command(self) -> None:
        self.desk.copy(f"sdk retry {self.desk.run} --chunks {self.desk.chunk}", "command")

    def do_open(self) -> None:
        self.desk.emit(Effect("screen", "failures"))
