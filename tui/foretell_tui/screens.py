"""Which panes a screen has, and where: whole numbers, for any size of terminal."""

from __future__ import annotations

from dataclasses import dataclass

SIDE = 44
"""Cells of the column beside the map."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pane stands: columns and lines, counted from the top left."""

    pane: str
    x: int
    y: int
    width: int
    height: int


def arrange(screen: str, width: int, height: int) -> list[Place]:
    """The panes of a screen; no cell is left out, none is shared."""
    if height < 15 or width < 60:
        return [Place("line", 0, 0, width, height)]
    if height < 24 or width < 80:
        return _small(screen, width, height)
    if screen == "overview":
        return _overview(width, height)
    return _beside(screen, width, height)


def _frame(width: int, height: int) -> tuple[list[Place], int, int]:
    """Header and tabs above, notice and keys below; first line between them, and how many."""
    places = [Place("header", 0, 0, width, 1), Place("tabs", 0, 1, width, 1)]
    places += [Place("notice", 0, height - 2, width, 1), Place("keys", 0, height - 1, width, 1)]
    return places, 2, height - 4


def _small(screen: str, width: int, height: int) -> list[Place]:
    if screen != "overview":
        places, top, room = _frame(width, height)
        return places + _stack(_PANES[screen], 0, top, width, room)
    return [
        Place("header", 0, 0, width, 1),
        Place("brief", 0, 1, width, 3),
        Place("line-failures", 0, 4, width, 1),
        Place("map", 0, 5, width, height - 7),
        Place("notice", 0, height - 2, width, 1),
        Place("keys", 0, height - 1, width, 1),
    ]


def _overview(width: int, height: int) -> list[Place]:
    if width < 110:
        return _narrow(width, height)
    places, top, room = _frame(width, height)
    places.append(Place("progress", 0, top, width, 4))
    top, room = top + 4, room - 4
    if width >= 160:
        return places + _wide(width, top, room)
    low = min(7, max(4, room // 4))
    side = SIDE
    places.append(Place("map", 0, top, width - side, room - low))
    speed = min(9, (room - low) // 2)
    places.append(Place("throughput", width - side, top, side, speed))
    places.append(Place("worst", width - side, top + speed, side, room - low - speed))
    places.append(Place("brief-failures", 0, top + room - low, width, low))
    return places


def _narrow(width: int, height: int) -> list[Place]:
    """80 x 24 and a little more: one column; what is left over goes to the map."""
    spare = height - 24
    rows = 9 + spare * 2 // 3
    workers = 4 + (spare - spare * 2 // 3) // 2
    failures = 3 + (spare - spare * 2 // 3) - (spare - spare * 2 // 3) // 2
    y = 5
    return [
        Place("header", 0, 0, width, 1),
        Place("tabs", 0, 1, width, 1),
        Place("brief", 0, 2, width, 3),
        Place("map", 0, y, width, rows),
        Place("worst", 0, y + rows, width, workers),
        Place("brief-failures", 0, y + rows + workers, width, failures),
        Place("bare-tail", 0, height - 3, width, 1),
        Place("notice", 0, height - 2, width, 1),
        Place("keys", 0, height - 1, width, 1),
    ]


def _wide(width: int, top: int, room: int) -> list[Place]:
    """From 160 columns on failures and log have a column of their own."""
    last = 56 if width >= 170 else 50
    first = width - SIDE - last
    speed = min(10, room // 3)
    shown = room // 3 if room >= 36 else 0
    places = [
        Place("map", 0, top, first, room - shown),
        Place("throughput", first, top, SIDE, speed),
        Place("worst", first, top + speed, SIDE, room - speed),
        Place("brief-failures", first + SIDE, top, last, room // 2),
        Place("tail", first + SIDE, top + room // 2, last, room - room // 2),
    ]
    if shown:
        places.insert(1, Place("preview", 0, top + room - shown, first, shown))
    return places


_PANES: dict[str, tuple[str, ...]] = {
    "chunks": ("map", "chunks", "chunk"),
    "workers": ("workers", "worker"),
    "failures": ("failures", "failure"),
    "results": ("results", "preview"),
    "log": ("log",),
    "timeline": ("timeline",),
    "compare": ("compare",),
    "runs": ("runs",),
    "help": ("help",),
}
"""The panes of a screen; the first has the keys to begin with."""


def _beside(screen: str, width: int, height: int) -> list[Place]:
    """List at the left, detail at the right; one above the other where that is too narrow."""
    places, top, room = _frame(width, height)
    panes = _PANES[screen]
    if len(panes) == 1:
        return [*places, Place(panes[0], 0, top, width, room)]
    if screen == "chunks":
        return places + _chunks(width, top, room)
    if screen == "workers":
        low = min(12, room // 2)
        return [
            *places,
            Place(panes[0], 0, top, width, room - low),
            Place(panes[1], 0, top + room - low, width, low),
        ]
    if width < 110:
        return places + _stack(panes, 0, top, width, room)
    left = width * 2 // 5
    return [
        *places,
        Place(panes[0], 0, top, left, room),
        Place(panes[1], left, top, width - left, room),
    ]


def _chunks(width: int, top: int, room: int) -> list[Place]:
    if width < 110:
        map_rows = max(6, room // 2)
        rest = room - map_rows
        left = width // 2
        return [
            Place("map", 0, top, width, map_rows),
            Place("chunks", 0, top + map_rows, left, rest),
            Place("chunk", left, top + map_rows, width - left, rest),
        ]
    side = 52
    half = room // 2
    return [
        Place("map", 0, top, width - side, room),
        Place("chunks", width - side, top, side, half),
        Place("chunk", width - side, top + half, side, room - half),
    ]


def _stack(panes: tuple[str, ...], x: int, top: int, width: int, room: int) -> list[Place]:
    share = room // len(panes)
    places = []
    for number, pane in enumerate(panes):
        rows = share if number < len(panes) - 1 else room - share * (len(panes) - 1)
        places.append(Place(pane, x, top, width, rows))
        top += rows
    return places
