"""The log: its end, or all that is known of it."""

from __future__ import annotations

from typing import Any, ClassVar

from foretell.store.rings import LogLine

from foretell_tui import words
from foretell_tui.desk import Desk, Effect
from foretell_tui.line import Line, cut, left
from foretell_tui.panes.base import ListPane
from foretell_tui.panes.failures import matches

LEVELS = ("debug", "info", "warning", "error")
_SHORT = {"debug": "DEBUG", "info": "INFO", "warning": "WARN", "warn": "WARN", "error": "ERROR"}
_ROLES = {"WARN": "warn", "ERROR": "bad", "DEBUG": "dim"}


def rank(level: str) -> int:
    """How grave a level is; an unknown one counts as information."""
    name = {"warn": "warning", "critical": "error"}.get(level.lower(), level.lower())
    return LEVELS.index(name) if name in LEVELS else 1


def log_line(line: LogLine, width: int, dots: str) -> Line:
    """One line: when, who, level, what."""
    level = _SHORT.get(line.level.lower(), line.level.upper()[:5])
    role = _ROLES.get(level, "")
    return [
        (f"{words.clock(line.time)} ", "dim"),
        (left(line.worker, 4) + " ", "id"),
        (left(level, 5) + " ", role),
        (cut(line.message.replace("\n", " "), max(0, width - 20), dots), role),
    ]


class _Log(ListPane):
    """What both logs share."""

    acts: ClassVar[tuple[str, ...]] = (
        *ListPane.acts, "follow", "filter", "sort", "next_hit", "previous_hit", "open", "pager",
        "copy",
    )  # fmt: skip

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.pattern = ""
        self._source: object = None
        self._lines: list[LogLine] = []

    def lines(self) -> list[LogLine]:
        """Those that pass level and filter, oldest first."""
        source = (self.desk.view.reading.log, self.desk.level, self.pattern)
        if self._source != source:
            least = rank(self.desk.level)
            self._lines = [
                line
                for line in self.desk.view.reading.log
                if rank(line.level) >= least
                and matches(self.pattern, f"{line.worker} {line.message}")
            ]
            self._source = source
        return self._lines

    def count(self) -> int:
        return len(self.lines())

    def row(self, number: int, width: int) -> Line:
        return log_line(self.lines()[number], width, self.desk.look.dots)

    def empty(self) -> str:
        if self.desk.view.reading.log:
            return "no line passes level and filter: s changes the level, / the filter"
        return "the log is empty"

    def body(self, width: int, height: int) -> list[Line]:
        if self.desk.follow:
            self.at = max(0, self.count() - 1)
        return super().body(width, height)

    def move(self, by: int) -> None:
        self.desk.follow = False
        super().move(by)

    def do_follow(self) -> None:
        self.desk.follow = not self.desk.follow
        self.desk.say("following the log" if self.desk.follow else "the log stands still")

    def do_filter(self) -> None:
        self.desk.emit(
            Effect("ask", "Show lines that match (worker or text; regex, ! inverts)", self._set)
        )

    def _set(self, text: str) -> None:
        self.pattern = text

    def do_sort(self) -> None:
        self.desk.level = LEVELS[(LEVELS.index(self.desk.level) + 1) % len(LEVELS)]
        self.desk.say(f"log level {self.desk.level} and above")

    def _grave(self, step: int) -> None:
        lines = self.lines()
        numbers = range(self.at + step, len(lines) if step > 0 else -1, step)
        for number in numbers:
            if rank(lines[number].level) >= 2:
                self.move(number - self.at)
                return
        self.desk.say("no warning or error further on")

    def do_next_hit(self) -> None:
        self._grave(1)

    def do_previous_hit(self) -> None:
        self._grave(-1)

    def do_pager(self) -> None:
        text = "\n".join(
            f"{words.clock(x.time)} {x.worker} {_SHORT.get(x.level.lower(), x.level)} {x.message}"
            for x in self.lines()
        )
        self.desk.emit(Effect("pager", text))

    def do_copy(self) -> None:
        if self.lines():
            self.desk.copy(self.lines()[min(self.at, self.count() - 1)].message, "line")

    def records(self) -> list[dict[str, Any]]:
        return [
            {"time": x.time, "worker": x.worker, "level": x.level, "message": x.message}
            for x in self.lines()
        ]

    def do_open(self) -> None:
        self.desk.emit(Effect("screen", "log"))


class Tail(_Log):
    """The end of the log, for the overview."""

    name: ClassVar[str] = "tail"

    @property
    def title(self) -> str:
        return f"Log  all workers  level >= {self.desk.level.upper()}"

    @property
    def hint(self) -> str:
        return "6 the whole log"


class Bare(Tail):
    """The same without a border, for small terminals."""

    name: ClassVar[str] = "bare-tail"
    framed: ClassVar[bool] = False
    focusable: ClassVar[bool] = False


class Log(_Log):
    """All that is known of the log."""

    name: ClassVar[str] = "log"

    @property
    def title(self) -> str:
        follow = "following" if self.desk.follow else "standing still (f follows)"
        filtered = f"   / {self.pattern}" if self.pattern else ""
        return (
            f"Log {self.count():,} lines   level >= {self.desk.level.upper()}   {follow}{filtered}"
        )

    @property
    def hint(self) -> str:
        return "f follow  s level  / filter  n next warning  e pager  enter its failure"

    def do_open(self) -> None:
        self.desk.emit(Effect("screen", "failures"))

    def do_home(self) -> None:
        self.move(-self.count())
        self.desk.emit(Effect("job", "older log", work=lambda reader: reader.older_log()))
