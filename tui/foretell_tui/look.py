"""Signs for states, borders, bars and curves: in Unicode, and in plain ASCII."""

from __future__ import annotations

from dataclasses import dataclass

from foretell.types import ChunkState

HOLES = 7
"""Shown as a state of its own: a chunk that is done, some of whose rows have no prediction."""

PARTLY = 8
"""A cell of the map whose chunks are partly done."""

NAMES = (
    "pending", "running", "retrying", "done", "failed", "quarantined", "damaged", "holes", "partly",
)  # fmt: skip
"""Names of the states as they are shown, by code; the first seven are ``ChunkState``'s."""

MEANINGS = {
    "done": "predicted and stored",
    "running": "in hand of a worker",
    "partly": "some chunks of the cell are done",
    "retrying": "an attempt failed, another follows",
    "failed": "all attempts used up, nothing stored",
    "quarantined": "all attempts used up, the chunk itself is to blame",
    "damaged": "verify found stored bytes changed",
    "holes": "done, but some rows have no prediction",
    "pending": "not begun",
}
"""What each state means, in the order of the legend."""

PRIORITY = (0, 3, 4, 1, 8, 6, 7, 5)
"""What wins in a cell, by code: failed, damaged, quarantined, holes, retrying, running, done."""

assert [state.name.lower() for state in ChunkState] == list(NAMES[:7])


@dataclass(frozen=True, slots=True)
class Look:
    """What signs may be used.

    Attributes:
        ascii: Only ASCII.
        colour: Whether colours tell states apart; without them only the signs do.
        shaded: Whether there are enough colours for pictures.
    """

    ascii: bool = False
    colour: bool = True
    shaded: bool = True

    @property
    def signs(self) -> tuple[str, ...]:
        """One character for each state, by code; ``partly`` is the last."""
        return tuple(".>~#xqdo:") if self.ascii else tuple("·▸~█✗◆!o▒")

    @property
    def shades(self) -> str:
        """Signs of ``partly`` from little to nearly all."""
        return ":" if self.ascii else "░▒▓"

    @property
    def halves(self) -> bool:
        """Whether one character shows two cells of the map, one above the other."""
        return self.colour and not self.ascii

    @property
    def border(self) -> str:
        """Corners and lines: top left, top right, bottom left, bottom right, across, down."""
        return "++++-|" if self.ascii else "╭╮╰╯─│"

    @property
    def levels(self) -> str:
        """Heights of a curve of one line, from nothing to full."""
        return "_.-~^" if self.ascii else "▁▂▃▄▅▆▇█"

    @property
    def bar(self) -> str:
        """Parts of the progress bar: resumed, done now, running, failed, left."""
        return "=#>x." if self.ascii else "▒█▸✗·"

    @property
    def dots(self) -> str:
        """What stands for text that was cut."""
        return "..." if self.ascii else "…"

    @property
    def live(self) -> str:
        """The dot before a state."""
        return "*" if self.ascii else "●"

    @property
    def tick(self) -> str:
        """Before a run that is done."""
        return "*" if self.ascii else "✓"

    @property
    def dash(self) -> str:
        """Between the ends of a range."""
        return "-" if self.ascii else "–"

    @property
    def tick_mark(self) -> str:
        """On an axis, before what a place is called."""
        return "|" if self.ascii else "╵"

    @property
    def pointer(self) -> str:
        """Before the selected line."""
        return ">" if self.ascii else "▌"


def told(code: int) -> str:
    """A state as people read it."""
    return "rows lost" if code == HOLES else NAMES[code]


def state_role(code: int) -> str:
    """The role that text of a state plays."""
    return f"state-{NAMES[code]}"
