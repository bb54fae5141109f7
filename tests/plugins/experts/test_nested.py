"""Nests of values, and what one row of a tensor looks like."""

from __future__ import annotations

from collections import namedtuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from foretell_experts import (
    DUMMY_BATCH_SIZE,
    BatchTensorDescriptor,
    BatchTensorProto,
    nested_compare,
    nested_flatten,
    nested_map,
    nested_pack,
)

LEAVES = st.integers()
NESTS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)
Pair = namedtuple("Pair", "first second")


@given(NESTS)
def test_flattening_and_packing_are_each_others_inverse(nest):
    assert nested_pack(nested_flatten(nest), nest) == nest


@given(NESTS)
def test_packing_other_leaves_keeps_the_structure(nest):
    count = len(list(nested_flatten(nest)))
    other = nested_pack(range(count), nest)
    assert nested_compare(nest, other)
    assert list(nested_flatten(other)) == list(range(count))


@given(NESTS)
def test_mapping_is_flattening_and_packing(nest):
    expected = nested_pack([leaf + 1 for leaf in nested_flatten(nest)], nest)
    assert nested_map(lambda leaf: leaf + 1, nest) == expected
    assert nested_map(lambda a, b: a + b, nest, expected) == nested_pack(
        [2 * leaf + 1 for leaf in nested_flatten(nest)], nest
    )


@given(NESTS, NESTS)
def test_comparing_says_whether_leaves_can_change_places(first, second):
    if nested_compare(first, second):
        assert nested_compare(nested_pack(nested_flatten(second), first), first)
    assert nested_compare(first, second) == nested_compare(second, first)


def test_mappings_are_walked_by_sorted_key_and_keep_their_own_order():
    nest = {"b": 1, "a": (2, [3])}
    assert list(nested_flatten(nest)) == [2, 3, 1]
    assert list(nested_pack([2, 3, 1], nest)) == ["b", "a"]


def test_named_tuples_stay_what_they_are():
    packed = nested_pack([1, 2], Pair("x", "y"))
    assert isinstance(packed, Pair)
    assert packed.second == 2


def test_a_wrong_number_of_leaves_is_refused():
    with pytest.raises(ValueError, match="2 leaves, got 3"):
        nested_pack([1, 2, 3], (0, 0))
    with pytest.raises(ValueError, match="differ in structure"):
        nested_map(max, (1, 2), (1, 2, 3))
    with pytest.raises(ValueError, match="at least one"):
        nested_map(max)


@pytest.mark.parametrize(
    ("first", "second"), [({"a": 1}, {"b": 1}), ((1,), {"a": 1}), (1, (1,)), ((1, 2), (1,))]
)
def test_structures_that_differ(first, second):
    assert not nested_compare(first, second)


def test_a_descriptor_makes_batches():
    descriptor = BatchTensorDescriptor(3, 4, dtype=torch.float64, requires_grad=True)
    zeros = descriptor.make_zeros(DUMMY_BATCH_SIZE)
    assert zeros.shape == (DUMMY_BATCH_SIZE, 3, 4)
    assert zeros.requires_grad
    assert not zeros.detach().any()
    assert descriptor.make_empty(2).dtype == torch.float64
    assert descriptor.shape == (None, 3, 4)
    assert BatchTensorProto is BatchTensorDescriptor


def test_a_descriptor_describes_a_tensor():
    tensor = torch.zeros(5, 2, dtype=torch.int32)
    descriptor = BatchTensorDescriptor.from_tensor(tensor)
    assert descriptor.describe() == "int32 (rows, 2)"
    assert descriptor.fits(torch.ones(1, 2, dtype=torch.int32))
    assert not descriptor.fits(torch.ones(1, 2))
    assert not descriptor.fits(torch.ones(1, 3, dtype=torch.int32))
    assert descriptor == BatchTensorDescriptor(2, dtype=torch.int32, device="cpu")
    with pytest.raises(ValueError, match="no rows"):
        BatchTensorDescriptor.from_tensor(torch.tensor(1))
