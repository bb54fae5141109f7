"""Picking rows out of chunks does what NumPy does on the whole array."""

from typing import Any

import numpy as np
import pytest
from foretell.store.selection import select
from hypothesis import given
from hypothesis import strategies as st

LENGTH = 23


def gather(array, key, chunk_rows):
    selection = select(key, len(array), array.ndim)
    out = np.full((selection.length, *array.shape[1:]), -1)
    pieces = list(selection.pieces(chunk_rows))
    for piece in pieces:
        start = piece.chunk * chunk_rows
        out[piece.target] = array[start : start + chunk_rows][piece.local]
    assert len({piece.chunk for piece in pieces}) == len(pieces), "a chunk is read twice"
    return selection.finish(out), pieces


bounds = st.one_of(st.none(), st.integers(-30, 30))
steps = st.one_of(st.none(), st.integers(-7, 7).filter(bool))
slices = st.builds(slice, bounds, bounds, steps)
rows = st.integers(-LENGTH, LENGTH - 1)
keys = st.one_of(
    rows,
    slices,
    st.lists(rows, max_size=30).map(lambda found: np.array(found, dtype=np.int64)),
    st.lists(rows, min_size=1, max_size=5),
    st.lists(st.booleans(), min_size=LENGTH, max_size=LENGTH).map(np.array),
)


@given(keys, st.integers(1, 30))
def test_rows_are_numpys(key, chunk_rows):
    array = np.arange(LENGTH * 2).reshape(LENGTH, 2)
    got, pieces = gather(array, key, chunk_rows)
    np.testing.assert_array_equal(got, array[key], strict=True)
    needed = np.atleast_2d(array[key])[..., 0].reshape(-1) // 2 // chunk_rows
    assert [piece.chunk for piece in pieces] == sorted(set(needed.tolist()))


@given(st.one_of(rows, slices), st.one_of(st.integers(-3, 2), slices), st.integers(1, 30))
def test_other_axes_are_numpys(key, rest, chunk_rows):
    array = np.arange(LENGTH * 6).reshape(LENGTH, 3, 2)
    for index in ((key, rest), (key, ..., 1), (..., 1), (key, rest, slice(None)), (key, None)):
        np.testing.assert_array_equal(gather(array, index, chunk_rows)[0], array[index])


@pytest.mark.parametrize(
    "key",
    [
        LENGTH,
        -LENGTH - 1,
        [0, LENGTH],
        1.5,
        "a",
        np.array([0.5]),
        np.zeros((2, 2), dtype=int),
        np.ones(LENGTH + 1, dtype=bool),
        (0, 0, 0),
        (..., ...),
        (np.array([0, 1]), np.array([0, 1])),
        None,
    ],
    ids=str,
)
def test_everything_else_is_an_index_error(key):
    with pytest.raises(IndexError):
        select(key, LENGTH, 2)


def test_an_array_without_rows():
    keys: list[Any] = [slice(None), [], np.zeros(0, dtype=bool), ...]
    for key in keys:
        selection = select(key, 0, 1)
        assert selection.length == 0
        assert list(selection.pieces(4)) == []
