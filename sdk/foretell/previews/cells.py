"""Previews as plain cells and lines, for whoever has a grid of characters to fill."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretell.previews import palettes
from foretell.previews.palettes import Colour
from foretell.previews.values import Image

HALF = "▀"
RAMP = " .:-=+*#%@"
CLASSES = ".#o+x*%@=-"
NONE = "?"
_BARS = "▁▂▃▄▅▆▇█"
_BARS_ASCII = "_.-:=+*#"


@dataclass(frozen=True, slots=True)
class Cell:
    """One character and its two colours.

    Attributes:
        char: One character of width one.
        ink: Colour of the character, red, green and blue, 0..255; None for the terminal's own.
        paper: Colour behind it.
    """

    char: str
    ink: Colour | None = None
    paper: Colour | None = None


def colours(image: Image) -> np.ndarray:
    """uint8 ``(h, w, 3)``: the colour of every pixel."""
    levels = image.levels
    if levels.ndim == 2:
        table = palettes.categories() if image.categories else palettes.scale()
        levels = table[levels]
    return np.where(image.missing[..., None], np.array(palettes.MISSING, np.uint8), levels)


def half_blocks(image: Image) -> list[list[Cell]]:
    """Rows of cells with two pixels each: the upper one is the ink, the lower one the paper."""
    pixels = colours(image)
    rows = []
    for top in range(0, len(pixels), 2):
        upper = _tuples(pixels[top])
        if top + 1 < len(pixels):
            pairs = zip(upper, _tuples(pixels[top + 1]), strict=True)
            rows.append([Cell(HALF, ink, paper) for ink, paper in pairs])
        else:
            rows.append([Cell(HALF, ink) for ink in upper])
    return rows


def ramp(image: Image) -> list[str]:
    """Lines of characters for terminals without colours: one for every second row of pixels."""
    levels, missing = image.levels, image.missing
    if levels.ndim == 3:
        levels = (levels.astype(np.float64) @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    signs = np.array(list(CLASSES if image.categories else RAMP))
    if image.categories:
        chosen = levels.astype(np.int64) % len(signs)
    else:
        chosen = levels.astype(np.int64) * (len(signs) - 1) // 255
    drawn = np.where(missing, NONE, signs[chosen])[::2]
    return ["".join(row) for row in drawn]


def bars(values: np.ndarray, width: int, *, ascii_only: bool = False) -> str:
    """One line of bars as high as the values; a blank where there is none.

    Args:
        values: ``(n,)`` numbers; NaN where there is none.
        width: Characters; each stands for the greatest of its values.
        ascii_only: Use signs every terminal has.
    """
    signs = _BARS_ASCII if ascii_only else _BARS
    values = np.asarray(values, dtype=np.float64).reshape(-1)
    if not len(values) or width < 1:
        return ""
    width = min(width, len(values))
    edges = np.arange(width) * len(values) // width
    with np.errstate(all="ignore"):
        peaks = np.fmax.reduceat(values, edges)
    finite = peaks[np.isfinite(peaks)]
    if not len(finite):
        return " " * width
    low, high = float(finite.min()), float(finite.max())
    place = (peaks / 2 - low / 2) / (high / 2 - low / 2) if high > low else peaks * 0.0
    place = np.clip(np.nan_to_num(place, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0)
    level = np.rint(place * (len(signs) - 1)).astype(np.int64)
    return "".join(
        signs[i] if known else " " for i, known in zip(level, np.isfinite(peaks), strict=True)
    )


def _tuples(row: np.ndarray) -> list[Colour]:
    return [(red, green, blue) for red, green, blue in row.tolist()]
