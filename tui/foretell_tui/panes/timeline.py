"""The task stream: what every worker did, when; and the run at any moment before now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from foretell_tui import words
from foretell_tui.derive import Stream
from foretell_tui.desk import Desk
from foretell_tui.line import Line, left, runs
from foretell_tui.look import HOLES, state_role
from foretell_tui.panes.base import Pane

_LABEL = 5


class Timeline(Pane):
    """One row a worker, bars merged where a column holds many."""

    name: ClassVar[str] = "timeline"
    acts: ClassVar[tuple[str, ...]] = (
        "left", "right", "up", "down", "home", "end", "zoom_in", "zoom_out", "view_as", "follow",
    )  # fmt: skip

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.window: tuple[float, float] | None = None
        self.by_duration = False
        self._cursor: int | None = None
        self._top = 0

    @property
    def columns(self) -> int:
        """Cells of a row's bars."""
        return max(1, self.width - _LABEL)

    @property
    def wanted(self) -> tuple[float | None, float | None, int]:
        """What the reader is asked for."""
        start, stop = self.window or (None, None)
        return (start, stop, self.columns)

    @property
    def stream(self) -> Stream | None:
        """What it answered."""
        found = self.desk.view.reading.extra.get("stream")
        return found if isinstance(found, Stream) else None

    @property
    def title(self) -> str:
        kind = "duration" if self.by_duration else "state"
        stream = self.stream
        if stream is None:
            return "Timeline"
        wall = self.desk.view.reading.wall
        span = words.between(
            words.day_clock(stream.start, wall), words.day_clock(stream.stop, wall), self.desk.look
        )
        per = (stream.stop - stream.start) / max(1, stream.codes.shape[1])
        return f"Timeline  {span}  by {kind}  1 column = {words.seconds(per)}"

    @property
    def hint(self) -> str:
        return "z/Z zoom  arrows move the time cursor  v colour by duration  f back to now"

    def body(self, width: int, height: int) -> Sequence[Line]:
        stream = self.stream
        if stream is None:
            return [[(self._nothing(), "dim")]]
        lines = [self._told(stream)]
        count, room = len(stream.workers), max(1, height - 4)
        # Few workers have bars of two lines, with a gap between them.
        tall = 2 if count * 3 <= room else 1
        shown = room // 3 if tall == 2 else room
        self._top = max(0, min(self._top, count - shown))
        for row in range(self._top, min(count, self._top + shown)):
            name = left(f"w{stream.workers[row]:02d}", _LABEL)
            for number, bars in enumerate(self._bars(stream, row, tall)):
                lines.append([(name if number == 0 else " " * _LABEL, "id"), *bars])
            lines += [[]] * (tall - 1)
        if height >= 6:
            lines.append(self._axis(stream))
        lines += [[] for _ in range(height - 1 - len(lines))]
        return [*lines, self._legend()]

    def _axis(self, stream: Stream) -> Line:
        """The times of some columns, below the bars."""
        columns = stream.codes.shape[1]
        marks = max(1, min(6, columns // 20))
        wall, line = self.desk.view.reading.wall, " " * _LABEL
        for mark in range(marks):
            at = mark * columns // marks
            moment = stream.start + (stream.stop - stream.start) * at / columns
            text = f"{self.desk.look.tick_mark} {words.day_clock(moment, wall)}"
            # Where two marks would tell the same second, tenths tell them apart.
            text += f".{int(moment * 10) % 10}" if stream.stop - stream.start < 2 * marks else ""
            line += " " * (_LABEL + at - len(line)) + text
        return [(line, "dim")]

    def _nothing(self) -> str:
        view = self.desk.view
        if view.reading.codes is None:
            return "reading the ledger"
        return "nothing is finished yet: bars come with the first chunk"

    def _bars(self, stream: Stream, row: int, tall: int) -> list[Line]:
        """The bars of a worker, ``tall`` lines, the upper one first."""
        look = self.desk.look
        codes = stream.codes[row].tolist()
        if self.by_duration:
            heights, roles = self._durations(stream, row, tall)
            rows = [self._level_row(heights, tall - 1 - number) for number in range(tall)]
        else:
            roles = ["" if code == 255 else state_role(code) for code in codes]
            rows = [[" " if code == 255 else look.signs[code] for code in codes]] * tall
        if (at := self._cursor) is not None and at < len(roles):
            roles[at] = f"{roles[at]} cursor"
            rows = [[*signs[:at], "|", *signs[at + 1 :]] for signs in rows]
        return [runs(signs, roles) for signs in rows]

    def _durations(self, stream: Stream, row: int, tall: int) -> tuple[list[int | None], list[str]]:
        """Heights in levels, None for nothing: the longer, the higher, against the slowest."""
        steps = len(self.desk.look.levels) * tall
        most = float(np.nanmax(stream.seconds)) if np.isfinite(stream.seconds).any() else 1.0
        heights: list[int | None] = []
        roles = []
        for value in stream.seconds[row].tolist():
            if value != value:
                heights.append(None)
                roles.append("")
                continue
            share = value / most if most else 0.0
            heights.append(min(steps - 1, int(share * steps)))
            roles.append("warn" if share > 0.8 else "curve")
        return heights, roles

    def _level_row(self, heights: list[int | None], above: int) -> list[str]:
        """The signs of one line of bars, ``above`` others below it."""
        levels = self.desk.look.levels
        last, base = len(levels) - 1, above * len(levels)
        return [
            " " if height is None or height < base else levels[min(last, height - base)]
            for height in heights
        ]

    def _told(self, stream: Stream) -> Line:
        """The moment under the cursor, and how far the run was then."""
        if self._cursor is None:
            idle = 1 - float((stream.codes != 255).mean()) if stream.codes.size else 0.0
            return [(f"{len(stream.workers)} workers", "bold"), (f"   idle {idle * 100:.0f} %", ""),
                    ("   arrows move the time cursor", "dim")]  # fmt: skip
        per = (stream.stop - stream.start) / max(1, stream.codes.shape[1])
        moment = stream.start + (self._cursor + 0.5) * per
        column = min(self._cursor, stream.codes.shape[1] - 1)
        done, total = int(stream.done_by[column]), self.desk.view.n_chunks
        busy = int((stream.codes[:, column] != 255).sum())
        return [
            ("at ", "dim"), (words.day_clock(moment, self.desk.view.reading.wall), "bold"),
            (f"   {done:,} of {total:,} chunks done", ""),
            (f"   {busy} of {len(stream.workers)} workers busy", ""),
            (f"   {words.short(max(0.0, moment - stream.first))} after the first chunk", "dim"),
        ]  # fmt: skip

    def _legend(self) -> Line:
        look = self.desk.look
        if self.by_duration:
            return [
                (look.levels, "curve"),
                (" seconds a chunk, the slowest shown is highest", "dim"),
            ]
        return [
            (look.signs[3], state_role(3)), (" done  ", "dim"),
            (look.signs[2], state_role(2)), (" done after another attempt  ", "dim"),
            (look.signs[HOLES], state_role(HOLES)), (" done, rows lost", "dim"),
        ]  # fmt: skip

    # --- moving -------------------------------------------------------------------------------

    def _move(self, by: int) -> None:
        at = self.columns // 2 if self._cursor is None else self._cursor + by
        self._cursor = max(0, min(self.columns - 1, at))

    def do_left(self) -> None:
        self._move(-1)

    def do_right(self) -> None:
        self._move(1)

    def do_home(self) -> None:
        self._cursor = 0

    def do_end(self) -> None:
        self._cursor = self.columns - 1

    def do_up(self) -> None:
        self._top = max(0, self._top - 1)

    def do_down(self) -> None:
        self._top += 1

    def _zoom(self, factor: float) -> None:
        stream = self.stream
        if stream is None:
            return
        span = stream.stop - stream.start
        at = self.columns / 2 if self._cursor is None else self._cursor + 0.5
        middle = stream.start + span * at / self.columns
        span = max(0.05, span * factor)
        if span >= stream.last - stream.first:
            self.window = None
        else:
            start = max(stream.first, min(stream.last - span, middle - span / 2))
            self.window = (start, start + span)
        self._cursor = None if self.window is None else self.columns // 2
        self.desk.changed()

    def do_zoom_in(self) -> None:
        self._zoom(0.25)

    def do_zoom_out(self) -> None:
        self._zoom(4.0)

    def do_view_as(self) -> None:
        self.by_duration = not self.by_duration

    def do_follow(self) -> None:
        self.window = self._cursor = None
        self.desk.changed()

    def click(self, x: int, y: int, *, double: bool = False) -> None:
        self._cursor = max(0, min(self.columns - 1, x - _LABEL))
        if double:
            self.do_zoom_in()

    def wheel(self, step: int) -> None:
        self.do_zoom_in() if step < 0 else self.do_zoom_out()
