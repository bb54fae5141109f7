"""What every pane has, and what every list of a pane shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from foretell_tui.desk import Desk, Effect
from foretell_tui.line import Line, Span, cut, fit, safe, width_of


class Pane(ABC):
    """A part of a screen.

    Args:
        desk: What the panes share.

    Attributes:
        name: Of the pane, unique.
        framed: Whether it stands in a border with its title.
        focusable: Whether keys can go to it.
        acts: Names of the actions it answers, see ``foretell_tui.keys``.
        focused: Whether keys went to it when it was painted last.
    """

    name: ClassVar[str]
    framed: ClassVar[bool] = True
    focusable: ClassVar[bool] = True
    acts: ClassVar[tuple[str, ...]] = ()

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.width = self.height = 0
        self.focused = False

    @property
    def title(self) -> str:
        """What stands in the border."""
        return self.name.capitalize()

    @property
    def hint(self) -> str:
        """Keys worth naming, for the border's lower edge."""
        return ""

    @abstractmethod
    def body(self, width: int, height: int) -> Sequence[Line]:
        """The lines inside, at most ``height``; longer ones are cut."""

    def paint(self, width: int, height: int, *, focused: bool = False) -> list[Line]:
        """Exactly ``height`` lines of ``width`` cells, border included."""
        self.focused = focused
        if not self.framed:
            return filled(self._body(width, height), width, height)
        if width < 4 or height < 2:
            return filled([], width, height)
        inside = filled(self._body(width - 4, height - 2), width - 4, height - 2)
        return boxed(inside, self.title, self.hint if focused else "", width, self.desk, focused)

    def _body(self, width: int, height: int) -> Sequence[Line]:
        self.width, self.height = max(0, width), max(0, height)
        return self.body(self.width, self.height) if width > 0 and height > 0 else []

    def records(self) -> list[dict[str, Any]]:
        """What the pane lists as plain data, for an export; empty where it lists nothing."""
        return []

    def do(self, action: str) -> bool:
        """Answer an action; whether it was taken."""
        handler: Callable[[], object] | None = getattr(self, f"do_{action}", None)
        if handler is None:
            return False
        return handler() is not False

    def click(self, x: int, y: int, *, double: bool = False) -> None:  # noqa: B027
        """The mouse, counted inside the border; most panes take the focus and no more."""

    def wheel(self, step: int) -> None:
        """The mouse wheel: -1 up, 1 down."""
        self.do("up" if step < 0 else "down")


def filled(lines: Sequence[Line], width: int, height: int) -> list[Line]:
    """Exactly ``height`` lines of exactly ``width`` cells, everything safe."""
    shown = [fit(line, width) for line in lines[:height]]
    return shown + [[(" " * width, "")] for _ in range(height - len(shown))]


def boxed(
    inside: Sequence[Line], title: str, hint: str, width: int, desk: Desk, focused: bool
) -> list[Line]:
    """Lines in a border."""
    signs = desk.look.border
    role = "focus" if focused else "frame"
    top = _edge(signs[0], signs[1], signs[4], title, width, role, "title", desk.look.dots)
    bottom = _edge(signs[2], signs[3], signs[4], hint, width, role, "dim", desk.look.dots)
    side: Span = (signs[5], role)
    lines = [[side, (" ", ""), *line, (" ", ""), side] for line in inside]
    return [top, *lines, bottom]


def _edge(
    start: str, end: str, across: str, text: str, width: int, role: str, kind: str, dots: str
) -> Line:
    shown = in_parts(text, max(0, width - 6), dots)
    if not shown:
        return [(start + across * (width - 2) + end, role)]
    rest = width - 5 - width_of(shown)
    return [(start + across, role), (f" {shown} ", kind), (across * rest + end, role)]


def in_parts(text: str, width: int, dots: str) -> str:
    """A safe text of parts, two or more blanks between them: whole parts, as many as fit."""
    shown = safe(text)
    while width_of(shown) > width and "  " in shown:
        shown = shown.rpartition("  ")[0].rstrip()
    return cut(shown, width, dots)


class ListPane(Pane):
    """A pane that is a list: one line is selected, and stays in sight."""

    acts: ClassVar[tuple[str, ...]] = (
        "up", "down", "page_up", "page_down", "home", "end", "export",
    )  # fmt: skip

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.at = 0
        self.top = 0

    @abstractmethod
    def count(self) -> int:
        """Lines of the list."""

    @abstractmethod
    def row(self, number: int, width: int) -> Line:
        """One line of the list."""

    def head(self, width: int) -> list[Line]:
        """Lines above the list."""
        return []

    def empty(self) -> str:
        """What is said when the list is empty."""
        return "nothing here"

    def selected(self) -> None:
        """Another line was selected."""

    def body(self, width: int, height: int) -> list[Line]:
        lines = self.head(width)[: max(0, height - 1)]
        if self.count() == 0:
            return [*lines, *([(text, "dim")] for text in _words(self.empty(), width))]
        room = max(1, height - len(lines))
        self._keep_in_sight(room)
        for number in range(self.top, min(self.count(), self.top + room)):
            line = self.row(number, width - 2)
            chosen = number == self.at and self.focusable
            mark = self.desk.look.pointer if chosen else " "
            role = "pointer" if self.focused else "frame"
            lines.append([(mark, role), (" ", ""), *self._marked(line, chosen, width - 2)])
        return lines

    def _marked(self, line: Line, chosen: bool, width: int) -> Line:
        """The line that is selected stands out where the keys go to this pane."""
        if not (chosen and self.focused):
            return line
        return [(text, f"{role} selected") for text, role in fit(line, width)]

    def _keep_in_sight(self, room: int) -> None:
        self.at = max(0, min(self.at, self.count() - 1))
        self.top = max(0, min(self.top, self.count() - room))
        if self.at < self.top:
            self.top = self.at
        elif self.at >= self.top + room:
            self.top = self.at - room + 1

    def move(self, by: int) -> None:
        """Select another line."""
        before = self.at
        self.at = max(0, min(self.count() - 1, self.at + by))
        if self.at != before:
            self.selected()

    def do_export(self) -> bool:
        if not self.records():
            return False
        self.desk.emit(Effect("save", self.name))
        return True

    def do_up(self) -> None:
        self.move(-1)

    def do_down(self) -> None:
        self.move(1)

    def do_page_up(self) -> None:
        self.move(-max(1, self.height - 2))

    def do_page_down(self) -> None:
        self.move(max(1, self.height - 2))

    def do_home(self) -> None:
        self.move(-self.count())

    def do_end(self) -> None:
        self.move(self.count())

    def click(self, x: int, y: int, *, double: bool = False) -> None:
        line = y - len(self.head(self.width)) + self.top
        if 0 <= line < self.count():
            self.move(line - self.at)
            if double:
                self.do("open")


def _words(text: str, width: int) -> list[str]:
    lines: list[str] = []
    for part in text.split("\n"):
        line = ""
        for word in safe(part).split(" "):
            if line and width_of(line) + 1 + width_of(word) > width:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}" if line else word
        lines.append(line)
    return lines


def part_of(top: int, height: int, count: int) -> str:
    """``lines 1 to 18 of 52`` where not all of a text is in sight, else nothing."""
    return f"lines {top + 1} to {min(count, top + height)} of {count}" if height < count else ""


paragraph = _words
"""Text in lines of at most so many cells, broken between words."""
