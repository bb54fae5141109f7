"""Colours for pictures: a scale that stays in order when it is printed grey, and distinct ones."""

from __future__ import annotations

import numpy as np

Colour = tuple[int, int, int]

_STOPS: tuple[tuple[float, Colour], ...] = (
    (0.0, (8, 10, 40)),
    (0.25, (58, 45, 124)),
    (0.5, (156, 55, 110)),
    (0.75, (232, 121, 62)),
    (1.0, (252, 240, 170)),
)

CATEGORIES: tuple[Colour, ...] = (
    (30, 34, 42),
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
    (200, 200, 200),
)
"""Distinct for colour-blind eyes too; class 0, mostly background, is dark.

Source: M. Okabe, K. Ito, "Color Universal Design", 2008.
"""

MISSING: Colour = (120, 20, 20)
"""Where there is no finite value."""


def scale() -> np.ndarray:
    """uint8 ``(256, 3)``: the colour of every level."""
    places, stops = zip(*_STOPS, strict=True)
    levels = np.linspace(0.0, 1.0, 256)
    channels = [np.interp(levels, places, [stop[i] for stop in stops]) for i in range(3)]
    colours: np.ndarray = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return colours


def categories() -> np.ndarray:
    """uint8 ``(256, 3)``: the colour of every class; they repeat, background excepted."""
    rest = len(CATEGORIES) - 1
    chosen = [CATEGORIES[0], *(CATEGORIES[1 + i % rest] for i in range(255))]
    return np.array(chosen, dtype=np.uint8)
