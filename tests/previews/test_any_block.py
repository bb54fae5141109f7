"""Blocks of every dtype, rank and content: a preview is never an exception and never raw text."""

import unicodedata

import numpy as np
import pytest
from foretell.plugins.manager import load_plugins
from foretell.plugins.previewing import Previewer
from foretell.previews import VIEWS, BlockMeta, Image, Line
from foretell.previews.cells import half_blocks, ramp
from foretell.previews.drawing import lines_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

NUMBERS = st.one_of(
    arrays.boolean_dtypes(),
    arrays.integer_dtypes(),
    arrays.unsigned_integer_dtypes(),
    arrays.floating_dtypes(),
    arrays.complex_number_dtypes(),
)
OTHERS = st.one_of(
    arrays.datetime64_dtypes(max_period="D", min_period="D"),
    arrays.timedelta64_dtypes(max_period="D", min_period="D"),
    arrays.byte_string_dtypes(min_len=1, max_len=6),
    arrays.unicode_string_dtypes(min_len=1, max_len=6),
    arrays.array_dtypes(max_size=3),
)
SHAPES = arrays.array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=5)
ANY_TEXT = st.text(st.characters(codec=None), max_size=12)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), ANY_TEXT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
ATTRS = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"class_names": st.lists(ANY_TEXT, max_size=6)}),
    st.fixed_dictionaries({"class_names": VALUES}),
)


@st.composite
def boxed(draw):
    """Arrays of objects: text, or anything a row of dtype ``json`` may hold."""
    values = draw(st.lists(draw(st.sampled_from([VALUES, ANY_TEXT])), max_size=6))
    block = np.empty(len(values), dtype=object)
    block[:] = values
    return block


BLOCKS = st.one_of(
    arrays.arrays(NUMBERS, SHAPES),
    arrays.arrays(NUMBERS, SHAPES),
    arrays.arrays(OTHERS, SHAPES),
    boxed(),
)


@pytest.fixture(scope="module")
def previewer():
    trouble: list[str] = []
    asked = Previewer(load_plugins({"FORETELL_DISABLE_PLUGINS": "1"}), trouble.append)
    yield asked
    assert trouble == []


def harmless(text):
    bad = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return not any(unicodedata.category(char) in bad for char in text)


@settings(max_examples=700)
@given(
    block=BLOCKS,
    view=st.sampled_from(VIEWS),
    attrs=ATTRS,
    name=ANY_TEXT,
    place=st.tuples(st.integers(1, 90), st.integers(1, 30)),
    index=st.integers(0, 10**6),
    previous=st.none() | BLOCKS,
)
def test_any_block_has_a_preview(previewer, block, view, attrs, name, place, index, previous):
    width, height = place
    kept = block.copy()
    rows = np.arange(len(block)) + 7
    meta = BlockMeta(
        name, str(block.dtype), (name,), attrs, 3, rows, len(block), view, index, previous
    )
    found = previewer.ask(meta, block, width, height)
    for ascii_only in (False, True):
        lines = lines_of(found, width, ascii_only=ascii_only)
        assert all(len(line) <= width for line in lines)
        assert all(harmless(line) for line in lines)
    if isinstance(found, Image):
        cells = half_blocks(found)
        assert 1 <= len(cells) <= max(1, height)
        assert all(1 <= len(row) <= width for row in cells)
        assert len({len(row) for row in cells}) == 1
        assert len(ramp(found)) == len(cells)
    if isinstance(found, Line):
        assert len(found.values) <= max(1, width)
    assert block.dtype == kept.dtype
    assert repr(block) == repr(kept), "a preview changed what it was shown"


@given(st.integers(0, 2**63), st.sampled_from(["f2", "f4", "f8"]))
def test_extreme_numbers_have_figures(previewer, seed, dtype):
    """The largest and smallest numbers side by side overflow nothing."""
    info = np.finfo(dtype)
    pool = [info.max, info.min, info.tiny, -info.tiny, 0.0, np.inf, -np.inf, np.nan, 1.0]
    block = np.random.default_rng(seed).choice(np.array(pool, dtype=dtype), (4, 6, 6))
    for view in VIEWS:
        found = previewer.ask(BlockMeta("x", dtype, view=view), block, 40, 10)
        assert lines_of(found, 60)
