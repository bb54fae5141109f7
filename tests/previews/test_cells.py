"""Pictures as cells, values as bars."""

import numpy as np
from foretell.previews import Image
from foretell.previews.cells import HALF, Cell, bars, colours, half_blocks, ramp
from foretell.previews.palettes import CATEGORIES, MISSING, categories, scale


def image(levels, **changes):
    levels = np.asarray(levels, np.uint8)
    missing = np.zeros(levels.shape[:2], bool)
    return Image(**{"levels": levels, "missing": missing, **changes})


def test_two_pixels_a_cell():
    levels = np.array([[[255, 0, 0]], [[0, 0, 255]], [[9, 9, 9]]], np.uint8)
    assert half_blocks(image(levels)) == [
        [Cell(HALF, (255, 0, 0), (0, 0, 255))],
        [Cell(HALF, (9, 9, 9), None)],
    ]


def test_the_scale_gets_lighter_with_every_step():
    light = scale().astype(float) @ (0.299, 0.587, 0.114)
    assert (np.diff(light) >= 0).all()
    assert len(set(CATEGORIES)) == len(CATEGORIES)
    assert (categories()[0] == CATEGORIES[0]).all()
    assert not (categories()[1:] == CATEGORIES[0]).all(axis=1).any()


def test_missing_pixels_have_their_own_colour():
    found = image([[0, 255]], missing=np.array([[True, False]]))
    assert colours(found)[0, 0].tolist() == list(MISSING)
    assert ramp(found) == ["?@"]


def test_classes_have_signs_of_their_own():
    assert ramp(image([[0, 1, 2]], categories=True)) == [".#o"]


def test_bars_keep_peaks_and_holes():
    values = np.array([0.0] * 50 + [1.0] + [0.0] * 49)
    drawn = bars(values, 10)
    assert len(drawn) == 10
    assert drawn.count("█") == 1
    assert bars(np.array([1.0, np.nan, 2.0]), 3) == "▁ █"
    assert bars(np.array([1.0, np.nan, 2.0]), 3, ascii_only=True) == "_ #"
    assert bars(np.zeros(0), 5) == ""
    assert bars(np.full(4, np.nan), 4) == "    "
