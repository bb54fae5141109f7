"""Draws the chunk map: cells as signs, as half blocks, or as a line for each chunk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foretell_tui import words
from foretell_tui.line import Line, runs, width_of
from foretell_tui.look import NAMES, PARTLY, PRIORITY, Look, state_role, told
from foretell_tui.mapmodel import CellMap
from foretell_tui.state import View

NOTHING = 255
"""Stands for a place of the picture that is no cell."""

_LEGEND = (
    "done", "running", "partly", "retrying", "failed", "quarantined", "damaged", "holes", "pending",
)  # fmt: skip
_MARKED = frozenset({2, 4, 5, 6, 7})
_NAMES = (*NAMES, "partly-more", "partly-most")


def sign_rows(cells: CellMap, width: int, height: int, look: Look) -> list[Line]:
    """One sign a cell, one row of cells a line."""
    signs = [" " if code == NOTHING else look.signs[code] for code in cells.state.tolist()]
    shades = look.shades
    if len(shades) > 1:
        for at in np.flatnonzero(cells.state == PARTLY).tolist():
            signs[at] = shades[min(len(shades) - 1, int(cells.share[at]) * len(shades) // 100)]
    roles = ["" if code == NOTHING else state_role(code) for code in cells.state.tolist()]
    rows = range(min(height, -(-len(signs) // width)))
    return [
        runs(signs[row * width : (row + 1) * width], roles[row * width : (row + 1) * width])
        for row in rows
    ]


def half_block_rows(cells: CellMap, width: int, height: int, look: Look) -> list[Line]:
    """Two rows of cells a line: the upper half in front, the lower one behind.

    Where something was lost its sign stands instead, so that colour is not all there is.
    """
    shown = cells.state.copy()
    partly = cells.state == PARTLY
    shown[partly] += np.minimum(cells.share[partly] // 34, 2)
    padded = np.full(2 * width * height, NOTHING, dtype=np.uint8)
    padded[: len(shown)] = shown[: len(padded)]
    grid = padded.reshape(height, 2, width)
    used = min(height, -(-len(shown) // (2 * width)))
    return [_half_blocks(grid[row, 0].tolist(), grid[row, 1].tolist(), look) for row in range(used)]


def _half_blocks(upper: Sequence[int], lower: Sequence[int], look: Look) -> Line:
    pairs = [_pair(top, bottom, look) for top, bottom in zip(upper, lower, strict=True)]
    return runs([sign for sign, _ in pairs], [role for _, role in pairs])


def _pair(top: int, bottom: int, look: Look) -> tuple[str, str]:
    worst = top if _rank(top) >= _rank(bottom) else bottom
    if worst in _MARKED:
        return look.signs[worst], f"{state_role(worst)} marked"
    if top == NOTHING:
        return " ", ""
    if top == bottom or (top == 0 and bottom == NOTHING):
        return ("█" if top else look.signs[0]), f"state-{_NAMES[top]}"
    if top == 0:
        # Not begun is dark, in either half.
        return "▄", f"state-{_NAMES[bottom]} on-{_NAMES[top]}"
    behind = "" if bottom == NOTHING else f" on-{_NAMES[bottom]}"
    return "▀", f"state-{_NAMES[top]}{behind}"


def _rank(code: int) -> int:
    if code == NOTHING:
        return -1
    return PRIORITY[code] if code < PARTLY else 2


def chunk_rows(view: View, selected: int, look: Look) -> list[Line]:
    """One line for each chunk: id, state, rows, and how long it takes against the usual."""
    codes, manifest = view.reading.codes, view.reading.manifest
    assert codes is not None
    assert manifest is not None
    hands = {c[0]: (s.name, c) for s in view.reading.samples for c in s.chunks}
    p95 = view.head.rates.chunk_p95 if view.head is not None else None
    lines: list[Line] = []
    for chunk, code in enumerate(codes.tolist()):
        start = chunk * manifest.plan["chunk_rows"]
        stop = min(manifest.plan["n_rows"], start + manifest.plan["chunk_rows"])
        line: Line = [
            (look.pointer if chunk == selected else " ", "pointer"), (f" {chunk:>3}  ", ""),
            (f"{look.signs[code]} {told(code):<12}", state_role(code)),
            (f"{view.unit} {start:,}..{stop - 1:,}".ljust(24), "dim"),
        ]  # fmt: skip
        if chunk in hands and code in (1, 2):
            name, (_, attempt, phase, took) = hands[chunk]
            line += [(f"{name} attempt {attempt} {phase} ", "")]
            usual = f" of about {words.seconds(p95)}" if p95 else ""
            line += [("" if took is None else f"{words.seconds(took)}{usual}", "")]
        lines.append(line)
    return lines


def legend(seen: set[int], width: int, look: Look) -> Line:
    """Signs with their names: those on the map, then the others as far as there is room."""
    names = [n for n in _LEGEND if NAMES.index(n) in seen]
    names += [n for n in _LEGEND if n not in names and n not in ("damaged", "holes")]
    for gap in ("  ", " "):
        spans = _signs_of(names, gap, look)
        if _cells(spans) <= width:
            return spans
    while len(names) > 1 and _cells(spans) > width:
        names.pop()
        spans = _signs_of(names, " ", look)
    return spans


def _cells(spans: Line) -> int:
    return sum(width_of(text) for text, _ in spans)


def _signs_of(names: Sequence[str], gap: str, look: Look) -> Line:
    spans: Line = []
    for name in sorted(names, key=_LEGEND.index):
        code = NAMES.index(name)
        sign = look.shades[-1] if code == PARTLY else look.signs[code]
        spans += [(sign, state_role(code)), (f" {told(code)}{gap}", "dim")]
    return [*spans[:-1], (spans[-1][0].rstrip(), "dim")]
