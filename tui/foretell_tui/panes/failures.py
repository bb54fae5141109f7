"""What failed, grouped by cause; and one failure with its traceback."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from foretell.store.failures import Failure, FailureGroup
from foretell.store.rings import LogLine
from foretell.text import plural

from foretell_tui import words
from foretell_tui.desk import Desk, Effect
from foretell_tui.line import Line, cut, left, right, wrap
from foretell_tui.panes.base import ListPane, Pane, paragraph, part_of


def retry_command(desk: Desk, group: FailureGroup) -> str:
    """What would predict a group again."""
    return f"sdk retry {desk.run} --kind {group.example.kind}"


def headline(group: FailureGroup) -> str:
    """Kind and message on one line."""
    example = group.example
    return f"{example.kind} {example.message}".replace("\n", " ")


class _Groups(ListPane):
    """What both lists of failures share."""

    acts: ClassVar[tuple[str, ...]] = (
        *ListPane.acts, "open", "command", "copy", "filter", "sort", "pager", "next_hit",
        "previous_hit",
    )  # fmt: skip
    sort = "count"

    def groups(self) -> list[FailureGroup]:
        """Those shown, in order."""
        pattern = self.desk.pattern
        found = [g for g in self.desk.view.reading.groups if _matches(pattern, headline(g))]
        return sorted(found, key=lambda g: -g.last) if self.sort == "last" else found

    def count(self) -> int:
        return len(self.groups())

    def empty(self) -> str:
        view = self.desk.view
        if self.desk.pattern and view.reading.groups:
            return f"no failure matches {self.desk.pattern}: / changes the filter"
        if view.head is not None and view.head.failure_kinds:
            return "reading the failures"
        return "nothing failed so far" if view.live else "nothing failed"

    def chosen(self) -> FailureGroup | None:
        """The group that is selected."""
        groups = self.groups()
        return groups[min(self.at, len(groups) - 1)] if groups else None

    @property
    def total(self) -> str:
        """``7 (2 kinds)``: failed attempts, those included that were made good."""
        groups = self.desk.view.reading.groups
        count = sum(group.count for group in groups)
        kinds = len({group.example.kind for group in groups})
        return f"{count:,} ({kinds} kind{'s' * (kinds != 1)})" if groups else "none"

    def selected(self) -> None:
        group = self.chosen()
        if group is not None and group.chunks:
            self.desk.chunk = group.chunks[0]
            self.desk.changed()

    def do_open(self) -> None:
        self.selected()
        self.desk.emit(Effect("screen", "failures"))

    def do_command(self) -> bool:
        group = self.chosen()
        if group is None:
            return False
        self.desk.copy(retry_command(self.desk, group), "command")
        return True

    def do_copy(self) -> None:
        group = self.chosen()
        if group is not None:
            self.desk.copy(words.typed_ranges(group.chunks) or "too many chunks", "chunks")

    def do_sort(self) -> None:
        self.sort = "last" if self.sort == "count" else "count"
        self.desk.say(f"failures by {self.sort}")

    def do_filter(self) -> None:
        self.desk.emit(Effect("ask", "Show failures that match (regex, ! turns it around)",
                              self._filtered))  # fmt: skip

    def _filtered(self, text: str) -> None:
        self.desk.pattern = text
        self.at = 0

    def do_next_hit(self) -> None:
        self.move(1)

    def do_previous_hit(self) -> None:
        self.move(-1)

    def do_pager(self) -> None:
        if (group := self.chosen()) is not None:
            self.desk.emit(Effect("pager", full_text(group, self.desk)))

    def records(self) -> list[dict[str, Any]]:
        return [
            {"kind": g.example.kind, "message": g.example.message, "count": g.count,
             "standing": g.standing, "rows": g.row_count, "first": g.first, "last": g.last,
             "worker": g.example.worker, "attempt": g.example.attempt, "at": g.example.frame,
             "chunks": list(g.chunks), "traceback": g.example.traceback}
            for g in self.groups()
        ]  # fmt: skip


class Brief(_Groups):
    """A few causes: for the overview."""

    name: ClassVar[str] = "brief-failures"

    @property
    def title(self) -> str:
        return f"Failures {self.total}"

    @property
    def hint(self) -> str:
        return "enter traceback  c copy retry command  y copy chunk ids"

    def body(self, width: int, height: int) -> list[Line]:
        if height > 1 or not self.groups():
            return super().body(width, height)
        return [in_a_row(self.groups(), width, self.desk)]

    def head(self, width: int) -> list[Line]:
        if self.height < 3 or not self.groups() or width < 70:
            return []
        text = _cells(width - 2, "count", "what", "chunks", "last", "tries", "worker")
        return [[("  " + text, "dim")]]

    def row(self, number: int, width: int) -> Line:
        group = self.groups()[number]
        role = "" if group.standing else "dim"
        if width < 68:
            where = words.ranges(group.chunks, self.desk.look, 2)
            room = max(8, width - len(where) - 8)
            what = left(headline(group), room, self.desk.look.dots)
            return [(f"{group.count:>4,}x ", "bad" if group.standing else "dim"),
                    (f"{what}  ", role), (where, "dim")]  # fmt: skip
        example = group.example
        text = _cells(
            width,
            f"{group.count:,}",
            headline(group),
            words.ranges(group.chunks, self.desk.look, 3),
            words.minute(group.last, self.desk.view.reading.wall),
            str(example.attempt or ""),
            example.worker,
            self.desk.look.dots,
        )
        return [(text, role)]


def in_a_row(groups: Sequence[FailureGroup], width: int, desk: Desk) -> Line:
    """Causes beside each other, as many as there is room for."""
    line: Line = []
    shown = groups[: max(1, min(len(groups), width // 36))]
    room = width // len(shown)
    for group in shown:
        where = cut(words.ranges(group.chunks, desk.look, 1), 14, desk.look.dots)
        count = f"{group.count:,}x "
        what = cut(headline(group), max(6, room - len(count) - len(where) - 5), desk.look.dots)
        line += [(count, "bad" if group.standing else "dim"), (what, ""), ("  ", ""),
                 (where, "dim"), ("   ", "")]  # fmt: skip
    return line


class OneLine(_Groups):
    """All causes on one line: for the smallest terminals."""

    name: ClassVar[str] = "line-failures"
    framed: ClassVar[bool] = False

    def body(self, width: int, height: int) -> list[Line]:
        groups = self.groups()
        if not groups:
            return [[(" ", ""), (self.empty(), "dim")]]
        return [[(" ", ""), *in_a_row(groups, width - 2, self.desk)]]

    def row(self, number: int, width: int) -> Line:
        return []


class Failures(_Groups):
    """All causes."""

    name: ClassVar[str] = "failures"

    @property
    def title(self) -> str:
        filtered = f"   / {self.desk.pattern}" if self.desk.pattern else ""
        order = f"  by {self.sort}" if self.count() else ""
        return f"Failures {self.total}{order}{filtered}"

    @property
    def hint(self) -> str:
        return "enter traceback  c retry command  y chunk ids  e pager  s sort  / filter"

    def row(self, number: int, width: int) -> Line:
        group = self.groups()[number]
        kind = left(headline(group), max(8, width - 14), self.desk.look.dots)
        when = right(words.minute(group.last, self.desk.view.reading.wall), 6)
        return [
            (f"{group.count:>5,} ", "bad" if group.standing else "dim"),
            (f"{kind} ", "" if group.standing else "dim"),
            (when, "dim"),
        ]

    def do_open(self) -> None:
        self.do_pager()


class FailureDetail(Pane):
    """The cause that is selected: where, which rows, why, and the log around it."""

    name: ClassVar[str] = "failure"
    acts: ClassVar[tuple[str, ...]] = (
        "up", "down", "page_up", "page_down", "home", "command", "copy", "pager",
    )  # fmt: skip

    def __init__(self, desk: Desk, groups: Failures) -> None:
        super().__init__(desk)
        self._groups = groups
        self._top = 0
        self._of: str = ""
        self._seen = ""

    @property
    def title(self) -> str:
        group = self._groups.chosen()
        return f"{group.example.kind}  {self._seen}".rstrip() if group is not None else "Failure"

    @property
    def hint(self) -> str:
        return "arrows scroll  e pager  c copy retry command"

    def body(self, width: int, height: int) -> Sequence[Line]:
        group = self._groups.chosen()
        if group is None:
            return [[(text, "dim")] for text in paragraph(self._advice(), width)]
        if group.example.cause != self._of:
            self._of, self._top = group.example.cause, 0
        lines = detail_lines(group, self.desk, width)
        self._top = max(0, min(self._top, len(lines) - height))
        self._seen = part_of(self._top, height, len(lines))
        return lines[self._top : self._top + height]

    def _advice(self) -> str:
        if self.desk.view.live:
            return "Nothing failed so far. A failure shows here with its traceback."
        return "Nothing failed in this run."

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

    def do_command(self) -> bool:
        return self._groups.do_command()

    def do_copy(self) -> None:
        if (group := self._groups.chosen()) is not None:
            self.desk.copy(group.example.traceback or group.example.message, "traceback")

    def do_pager(self) -> None:
        self._groups.do_pager()


def facts(group: FailureGroup, desk: Desk) -> list[tuple[str, str]]:
    """A cause in labelled texts."""
    example, view = group.example, desk.view
    unit = view.unit
    now = "" if group.standing else "made good: later attempts took their place"
    rows = [(f"row {row.row:,}", f"{row.locator}  {row.message}".strip()) for row in group.rows[:5]]
    if len(group.rows) > 5:
        rows.append(("", f"and {len(group.rows) - 5:,} more: sdk failures {desk.run} --json"))
    return [
        ("count", f"{plural(group.count, 'attempt')} in {plural(len(group.chunks), 'chunk')}"),
        ("message", example.message),
        ("chunks", words.ranges(group.chunks, desk.look)),
        ("lost", f"{group.row_count:,} {unit} without a prediction" if group.row_count else ""),
        ("now", now),
        *rows,
        ("at", example.frame),
        ("worker", f"{example.worker or 'the driver'}, attempt {example.attempt}"),
        ("first", words.day_clock(group.first, view.reading.wall)),
        ("last", words.day_clock(group.last, view.reading.wall)),
        ("try", retry_command(desk, group) if group.standing else ""),
    ]


def detail_lines(group: FailureGroup, desk: Desk, width: int) -> list[Line]:
    """A cause in full, ``width`` cells wide."""
    lines: list[Line] = []
    for label, text in facts(group, desk):
        if not text:
            continue
        parts = wrap(text, max(10, width - 12))
        lines.append([(left(label, 12), "dim"), (parts[0], "")])
        lines += [[(" " * 12, ""), (part, "")] for part in parts[1:6]]
    around = _around(desk.view.reading.log, group.example)
    if around:
        lines += [[], [("log around it", "title")]]
        lines += [[(words.clock(x.time) + " ", "dim"), (x.message, "")] for x in around]
    lines += [[], [("traceback", "title"), ("  (values of variables are never stored)", "dim")]]
    text = group.example.traceback.rstrip() or "none was stored"
    return lines + [[(part, "")] for part in wrap(text, width)]


def _around(log: Sequence[LogLine], example: Failure) -> list[LogLine]:
    """What its worker said just before and after a failure, oldest first."""
    near = [x for x in log if x.worker == example.worker and abs(x.time - example.time) < 30]
    nearest = sorted(near, key=lambda line: abs(line.time - example.time))[:5]
    return sorted(nearest, key=lambda line: line.time)


def full_text(group: FailureGroup, desk: Desk) -> str:
    """A cause as text for a pager; made safe line by line."""
    from foretell_tui.line import plain

    return "\n".join(plain(line).rstrip() for line in detail_lines(group, desk, 200))


def _cells(
    width: int, count: str, what: str, chunks: str, last: str, tries: str, worker: str,
    dots: str = "…",
) -> str:  # fmt: skip
    where = max(16, width // 4)
    room = max(10, width - 6 - where - 22)
    return (
        f"{right(count, 5)} {left(what, room, dots)} {left(chunks, where, dots)} "
        f"{left(last, 6)} {right(tries, 5)} {left(worker, 6)}"
    )


def _matches(pattern: str, text: str) -> bool:
    """Whether a filter holds: a regular expression, or just text; ``!`` turns it around."""
    inverse, pattern = pattern.startswith("!"), pattern.removeprefix("!")
    if not pattern:
        return True
    try:
        found = re.search(pattern, text, re.IGNORECASE) is not None
    except re.error:
        found = pattern.lower() in text.lower()
    return found is not inverse


matches = _matches
