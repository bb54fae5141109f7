"""The keys of what was in front, then those that work everywhere, then what the signs mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from foretell_tui.desk import Desk
from foretell_tui.keys import ACTIONS, Action, shown
from foretell_tui.line import Line, left
from foretell_tui.look import MEANINGS, NAMES, PARTLY, state_role
from foretell_tui.panes.base import Pane, part_of

STATES = (
    ("RUNNING", "good", "its heartbeat moves"),
    ("STALE", "warn", "no heartbeat for more than 30 s or three beats"),
    ("LOST", "bad", "none for 10 minutes or ten beats, or its process is gone: resume it"),
    ("INTERRUPTED", "info", "stopped in order; resume goes on"),
    ("DONE", "good", "every chunk done; green only when no row was lost"),
    ("PARTIAL", "warn", "ended, some rows or chunks have no prediction"),
    ("CHECKING", "quiet", "the head tells of an end that the ledger does not yet"),
)


class Help(Pane):
    """Keys and signs."""

    name: ClassVar[str] = "help"
    acts: ClassVar[tuple[str, ...]] = ("up", "down", "page_up", "page_down", "home")

    def __init__(self, desk: Desk, actions: Sequence[Action] = ACTIONS) -> None:
        super().__init__(desk)
        self.actions = actions
        self.of: Pane | None = None
        self.others: Sequence[Pane] = ()
        self._top = 0
        self._seen = ""

    @property
    def title(self) -> str:
        return f"Help  {self._seen}".rstrip()

    @property
    def hint(self) -> str:
        return "arrows scroll  Esc back"

    def body(self, width: int, height: int) -> Sequence[Line]:
        lines = self.lines(width)
        self._top = max(0, min(self._top, len(lines) - height))
        self._seen = part_of(self._top, height, len(lines))
        return lines[self._top : self._top + height]

    def lines(self, width: int) -> list[Line]:
        """All of it."""
        lines: list[Line] = []
        if self.of is not None:
            lines += self._section(
                f"This pane: {self.of.title.split('  ')[0]}", self.of.acts, width
            )
        rest = [name for pane in self.others for name in pane.acts]
        here = set(self.of.acts) if self.of is not None else set()
        lines += self._section("This screen", [name for name in rest if name not in here], width)
        everywhere = [action.name for action in self.actions if action.everywhere]
        lines += self._section("Everywhere", everywhere, width)
        return lines + self._signs()

    def _section(self, title: str, names: Sequence[str], width: int) -> list[Line]:
        chosen = [a for a in self.actions if a.name in names and self._usable(a)]
        if not chosen:
            return []
        cells = [f"{left(' '.join(map(shown, a.keys)), 12)} {a.text}" for a in chosen]
        columns = 2 if max(map(len, cells)) + 4 <= width // 2 else 1
        room = width // columns
        rows = -(-len(cells) // columns)
        lines: list[Line] = [[(title, "title")]]
        for row in range(rows):
            parts = cells[row::rows]
            lines.append([(left(f"  {part}", room), "") for part in parts])
        return [*lines, []]

    def _usable(self, action: Action) -> bool:
        return self.desk.control or not action.control

    def _signs(self) -> list[Line]:
        look = self.desk.look
        lines: list[Line] = [[("Chunks", "title")]]
        for name, meaning in MEANINGS.items():
            code = NAMES.index(name)
            sign = look.shades if code == PARTLY else look.signs[code]
            label = "rows lost" if name == "holes" else name
            lines.append([(left(f"  {sign}", 6), state_role(code)), (left(label, 14), ""),
                          (meaning, "dim")])  # fmt: skip
        lines += [[], [("Runs", "title")]]
        for word, role, meaning in STATES:
            lines.append([(left(f"  {word}", 20), role), (meaning, "dim")])
        return lines

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
