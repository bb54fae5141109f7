"""All panes of a dashboard, which of them are on the screen, and where keys and mouse go.

Knows no terminal: the same deck paints the frame of ``--once`` and what Textual shows.
"""

from __future__ import annotations

from collections.abc import Sequence

from foretell_tui.desk import Desk
from foretell_tui.keys import ACTIONS, SCREEN_NAMES, Action
from foretell_tui.line import Line, fit, in_ascii, plain
from foretell_tui.panes.base import Pane
from foretell_tui.panes.chunkmap import ChunkMap
from foretell_tui.panes.chunks import ChunkDetail, Chunks
from foretell_tui.panes.compare import Compare
from foretell_tui.panes.failures import Brief as BriefFailures
from foretell_tui.panes.failures import FailureDetail, Failures
from foretell_tui.panes.failures import OneLine as LineFailures
from foretell_tui.panes.footer import Keys, Notice
from foretell_tui.panes.header import Header
from foretell_tui.panes.help import Help
from foretell_tui.panes.line import OneLine
from foretell_tui.panes.log import Bare, Log, Tail
from foretell_tui.panes.progress import Brief, Progress
from foretell_tui.panes.results import Preview, Results
from foretell_tui.panes.runs import Runs
from foretell_tui.panes.tabs import Tabs
from foretell_tui.panes.throughput import Throughput
from foretell_tui.panes.timeline import Timeline
from foretell_tui.panes.workers import WorkerDetail, Workers, Worst
from foretell_tui.reader import Wants
from foretell_tui.screens import Place, arrange


class Deck:
    """The panes and what is in front.

    Args:
        desk: What the panes share.
        actions: Keys and what they do.

    Attributes:
        panes: Every pane by name.
        focus: Name of the pane the keys go to.
        places: Where panes stand on the screen in front.
    """

    def __init__(self, desk: Desk, actions: Sequence[Action] = ACTIONS) -> None:
        self.desk = desk
        self.actions = actions
        self.panes: dict[str, Pane] = {}
        for pane in _panes(desk, actions):
            self.panes[pane.name] = pane
        self.focus = "map"
        self.places: list[Place] = []
        self.size = (0, 0)
        self._before = ["overview"]
        self._kept: dict[str, str] = {}
        self.inline = False
        self._painted: dict[Place, list[Line]] = {}

    # --- painting -----------------------------------------------------------------------------

    def lay_out(self, width: int, height: int) -> None:
        """Find the places of the screen in front; the focus stays where it can."""
        self.size = (width, height)
        self._painted.clear()
        places = inline(width) if self.inline else arrange(self.desk.screen, width, height)
        self.places = [place for place in places if place.pane in self.panes and place.height > 0]
        for place in self.places:
            pane = self.panes[place.pane]
            pane.width = max(0, place.width - 4) if pane.framed else place.width
            pane.height = max(0, place.height - 2) if pane.framed else place.height
        if self.focus not in self._focusable():
            self.focus = self._kept.get(self.desk.screen, "")
        if self.focus not in self._focusable():
            self.focus = next(iter(self._focusable()), "")

    def frame(self, width: int, height: int, *, ticked: bool = False) -> list[Line]:
        """The whole screen as lines of exactly ``width`` cells.

        Args:
            width, height: Of the terminal.
            ticked: Whether only the clock went on: what does not tell the time stays as it was.
        """
        if self.size != (width, height) or not self.places:
            self.lay_out(width, height)
        return self.paint(ticked=ticked)

    def paint(self, *, ticked: bool = False) -> list[Line]:
        """The screen in front."""
        width, height = self.size
        rows: list[list[tuple[int, int, Line]]] = [[] for _ in range(height)]
        for place in self.places:
            lines = self._painted.get(place) if ticked and place.pane not in _CLOCKS else None
            if lines is None:
                pane = self.panes[place.pane]
                lines = pane.paint(place.width, place.height, focused=place.pane == self.focus)
                self._painted[place] = lines
            for number, line in enumerate(lines[: max(0, height - place.y)]):
                rows[place.y + number].append((place.x, place.width, line))
        lines = [_joined(row, width) for row in rows]
        if self.desk.look.ascii:
            return [[(in_ascii(text), role) for text, role in line] for line in lines]
        return lines

    # --- keys and mouse -----------------------------------------------------------------------

    def press(self, action: str) -> bool:
        """Do an action; whether anybody took it."""
        if action.startswith("screen_"):
            self.show(action.removeprefix("screen_"))
            return True
        if action == "help":
            self.help()
            return True
        if action == "back":
            self.back()
            return True
        if action in ("next_pane", "previous_pane"):
            self._turn(1 if action == "next_pane" else -1)
            return True
        if self.focus and self.panes[self.focus].do(action):
            return True
        return self._others(action)

    def _others(self, action: str) -> bool:
        """A pane beside the one in front takes what that one does not: scrolling stays."""
        if action in _OWN:
            return False
        for place in self.places:
            pane = self.panes[place.pane]
            if place.pane != self.focus and action in pane.acts and pane.do(action):
                return True
        return False

    def show(self, screen: str) -> None:
        """Put a screen in front."""
        if screen not in SCREEN_NAMES and screen != "help":
            return
        self._kept[self.desk.screen] = self.focus
        if screen != self.desk.screen:
            self._before = [*self._before[-20:], self.desk.screen]
        self.desk.screen = screen
        self.lay_out(*self.size)

    def help(self) -> None:
        """The help for the pane in front; again, and it is gone."""
        if self.desk.screen == "help":
            self.back()
            return
        pane = self.panes["help"]
        assert isinstance(pane, Help)
        pane.of = self.panes.get(self.focus)
        pane.others = [self.panes[p.pane] for p in self.places if p.pane != self.focus]
        self.show("help")

    def back(self) -> None:
        """The screen before; the first one stays."""
        if len(self._before) > 1:
            screen = self._before.pop()
            self._kept[self.desk.screen] = self.focus
            self.desk.screen = screen
            self.lay_out(*self.size)

    def focus_on(self, pane: str) -> None:
        """Give the keys to a pane of the screen in front."""
        if pane in self._focusable():
            self.focus = pane

    def click(self, x: int, y: int, *, double: bool = False) -> None:
        """The mouse on the screen: the pane there gets the keys, and the click."""
        place = self._at(x, y)
        if place is None:
            return
        pane = self.panes[place.pane]
        if pane.focusable:
            self.focus = place.pane
        inset = (2, 1) if pane.framed else (0, 0)
        inner = (x - place.x - inset[0], y - place.y - inset[1])
        if 0 <= inner[0] < pane.width and inner[1] >= 0:
            pane.click(*inner, double=double)

    def wheel(self, x: int, y: int, step: int) -> None:
        """The wheel turns what is under it."""
        place = self._at(x, y)
        if place is not None:
            self.panes[place.pane].wheel(step)

    # --- asking -------------------------------------------------------------------------------

    def wants(self) -> Wants:
        """What the screen in front wants to know."""
        names = {place.pane for place in self.places}
        timeline = self.panes["timeline"]
        assert isinstance(timeline, Timeline)
        return Wants(
            chunks=self.desk.query if "chunks" in names else None,
            chunk=self.desk.chunk if "chunk" in names else None,
            stream=timeline.wanted if "timeline" in names else None,
            order=self.desk.order,
        )

    def acts(self) -> set[str]:
        """Names of the actions the panes on the screen answer."""
        return {act for place in self.places for act in self.panes[place.pane].acts}

    def _at(self, x: int, y: int) -> Place | None:
        for place in self.places:
            if place.x <= x < place.x + place.width and place.y <= y < place.y + place.height:
                return place
        return None

    def _focusable(self) -> list[str]:
        return [place.pane for place in self.places if self.panes[place.pane].focusable]

    def _turn(self, step: int) -> None:
        names = self._focusable()
        if names:
            at = names.index(self.focus) if self.focus in names else 0
            self.focus = names[(at + step) % len(names)]


_CLOCKS = frozenset({"header", "notice", "line"})
"""Panes that tell how long ago something was."""

_OWN = frozenset(
    {"up", "down", "left", "right", "page_up", "page_down", "home", "end", "open", "copy",
     "sort", "follow", "view_as", "export", "command"}
)  # fmt: skip
"""Actions that mean the pane in front and nobody else."""


def _panes(desk: Desk, actions: Sequence[Action]) -> list[Pane]:
    failures = Failures(desk)
    preview = Preview(desk)
    return [
        Header(desk), Tabs(desk), Progress(desk), Brief(desk), ChunkMap(desk), Throughput(desk),
        Worst(desk), Workers(desk), WorkerDetail(desk), BriefFailures(desk), LineFailures(desk),
        failures, FailureDetail(desk, failures), Tail(desk), Bare(desk), Log(desk),
        Chunks(desk), ChunkDetail(desk), Timeline(desk), Runs(desk), Help(desk, actions),
        Notice(desk), Keys(desk), OneLine(desk), preview, Results(desk, preview), Compare(desk),
    ]  # fmt: skip


def inline(width: int) -> list[Place]:
    """The few lines under the prompt."""
    return [
        Place("header", 0, 0, width, 1),
        Place("brief", 0, 1, width, 3),
        Place("notice", 0, 4, width, 1),
        Place("bare-tail", 0, 5, width, 1),
    ]


INLINE_LINES = 6


def text_of(lines: Sequence[Line]) -> str:
    """A frame as plain text, without blanks at the ends of lines."""
    return "\n".join(plain(line).rstrip() for line in lines)


def _joined(parts: list[tuple[int, int, Line]], width: int) -> Line:
    line: Line = []
    at = 0
    for x, cells, spans in sorted(parts, key=lambda part: part[0]):
        if x > at:
            line.append((" " * (x - at), ""))
        line += spans
        at = x + cells
    return line if at == width else fit(line, width)
