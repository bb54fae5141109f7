"""Charts as SVG: shapes of one colour are one path, so that a million chunks stay small."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from foretell.report.chunk_map import ChunkMap, Mark
from foretell.report.timeline import Timeline

WIDTH = 960
SHADES = 4
"""Steps of how much of a cell is done."""
FEW = 1000
"""Cells up to which each is drawn apart from its neighbours."""


def svg(width: float, height: float, label: str, parts: Iterable[str]) -> str:
    """A drawing that scales with the page."""
    body = "".join(parts)
    text = html.escape(label)
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{text}">'
        f"<title>{text}</title>{body}</svg>"
    )


def chunk_map(cells: ChunkMap, *, columns: int = 120, width: int = WIDTH) -> str:
    """The map: cells in reading order, as large as they fit."""
    count = len(cells.marks)
    columns = max(1, min(columns, count))
    side = min(width / columns, 24.0)
    rows = -(-count // columns)
    keys = cells.marks.astype(np.int64) * (SHADES + 1)
    partly = cells.marks == Mark.PARTLY
    keys[partly] += np.clip(np.ceil(cells.done[partly] * SHADES), 1, SHADES).astype(np.int64)
    parts = []
    for key in np.unique(keys).tolist():
        mark, shade = Mark(key // (SHADES + 1)), key % (SHADES + 1)
        name = f"s-{mark.name.lower()}" + (f" p{shade}" if shade else "")
        parts.append(_path(name, _cells(keys == key, columns, side)))
    return svg(width, max(side, rows * side), f"chunk map, {cells.chunks:,} chunks", parts)


def _cells(chosen: np.ndarray, columns: int, side: float) -> Iterator[str]:
    """Rectangles of the chosen cells, neighbours in a line as one."""
    padded = np.zeros(-(-len(chosen) // columns) * columns, bool)
    padded[: len(chosen)] = chosen
    gap = min(1.0, side / 8)
    for row, line in enumerate(padded.reshape(-1, columns)):
        for first, last in runs(line) if len(chosen) > FEW else singles(line):
            length = (last - first) * side - gap
            yield _box(first * side, row * side, length, side - gap)


def singles(line: np.ndarray) -> list[tuple[int, int]]:
    """Half-open ranges of one, where a bool array is True."""
    return [(at, at + 1) for at in np.flatnonzero(line).tolist()]


def runs(line: np.ndarray) -> list[tuple[int, int]]:
    """Half-open ranges where a bool array is True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], line.astype(np.int8), [0]))))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def timeline(shown: Timeline, names: Sequence[str], *, width: int = WIDTH) -> str:
    """One line a worker: when it had chunks in hand."""
    left, height = 90.0, 16.0
    scale = (width - left) / max(1, shown.busy.shape[1])
    parts = []
    for name, filled in (("s-done", shown.busy), ("s-retrying", shown.again)):
        boxes = [
            _box(left + first * scale, row * height + 2, (last - first) * scale, height - 4)
            for row, line in enumerate(filled)
            for first, last in runs(line)
        ]
        parts.append(_path(name, boxes))
    bottom = max(1, len(shown.workers)) * height
    parts += [
        f'<path class="pause" d="M{left + column * scale:.1f} 0v{bottom:g}"/>'
        for column in shown.pauses
    ]
    parts += [
        f'<text x="0" y="{row * height + 12:g}">{html.escape(name)}</text>'
        for row, name in enumerate(names)
    ]
    return svg(width, bottom, "which worker had chunks in hand when", parts)


def line(values: np.ndarray, label: str, *, width: int = WIDTH, height: int = 120) -> str:
    """Values over time as an area from zero."""
    if not len(values):
        return ""
    top = float(values.max()) or 1.0
    x = np.linspace(0, width, len(values)) if len(values) > 1 else np.array([0.0, width])
    y = height - np.clip(values / top, 0, 1) * (height - 4)
    y = y if len(values) > 1 else np.repeat(y, 2)
    points = " ".join(f"{px:.1f} {py:.1f}" for px, py in zip(x, y, strict=True))
    area = f'<path class="area" d="M0 {height}L{points}L{width} {height}Z"/>'
    return svg(width, height, label, [area, f'<path class="line" d="M{points}"/>'])


def bars(counts: np.ndarray, label: str, *, width: int = WIDTH, height: int = 90) -> str:
    """Counts as bars."""
    top = float(counts.max(initial=0)) or 1.0
    step = width / max(1, len(counts))
    boxes = [
        _box(
            i * step,
            height - max(1.0, count / top * height),
            step * 0.9,
            max(1.0, count / top * height),
        )
        for i, count in enumerate(counts.tolist())
        if count
    ]
    return svg(width, height, label, [_path("bar", boxes)])


def _box(x: float, y: float, width: float, height: float) -> str:
    return f"M{_n(x)} {_n(y)}h{_n(width)}v{_n(height)}h{_n(-width)}z"


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _path(name: str, shapes: Iterable[str]) -> str:
    drawn = "".join(shapes)
    return f'<path class="{name}" d="{drawn}"/>' if drawn else ""
