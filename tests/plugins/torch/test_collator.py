from collections import namedtuple

import pytest
from foretell.errors import ShapeMismatch
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")
import torch
from foretell_torch import batch_collator


@given(sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 5)), min_size=1, max_size=5))
def test_nothing_is_lost_and_lengths_tell_what_is_padding(sizes):
    generator = torch.Generator().manual_seed(0)
    batches = [{"x": torch.randn(rows, length, 2, generator=generator)} for rows, length in sizes]
    joined = batch_collator(batches)
    every = [row for batch in batches for row in batch["x"]]
    lengths = [len(row) for row in every]
    assert ("x_lengths" in joined) == (len({length for _, length in sizes}) > 1)
    assert joined["x"].shape == (len(every), max(lengths), 2)
    for got, row in zip(joined["x"], every, strict=True):
        assert torch.equal(got[: len(row)], row)
        assert not got[len(row) :].any()
    if "x_lengths" in joined:
        assert joined["x_lengths"].tolist() == lengths


def test_nests_keep_their_shape():
    Pair = namedtuple("Pair", "a b")
    one = {"t": (torch.ones(2, 1), [torch.zeros(2)]), "p": Pair(torch.ones(2), torch.ones(2, 3))}
    joined = batch_collator([one, None, one])
    assert joined["t"][0].shape == (4, 1)
    assert joined["t"][1][0].shape == (4,)
    assert isinstance(joined["p"], Pair)
    assert joined["p"].b.shape == (4, 3)


def test_dimensions_by_key():
    batches = [{"token_logits": torch.ones(n, 2, 7), "y": torch.ones(2)} for n in (3, 5)]
    joined = batch_collator(
        batches,
        batch_dim_key_defaults={"token_logits": 1},
        seq_dim_key_defaults={"token_logits": 0},
    )
    assert joined["token_logits"].shape == (5, 4, 7)
    assert joined["token_logits_lengths"].tolist() == [3, 3, 5, 5]
    assert joined["y"].shape == (4,)


def test_padding_outside_a_dict_brings_its_lengths_too():
    joined = batch_collator([(torch.ones(1, 2),), (torch.ones(1, 3),)], padding_value=-1)
    assert joined[0]["values"].tolist() == [[1, 1, -1], [1, 1, 1]]
    assert joined[0]["lengths"].tolist() == [2, 3]
    bare = batch_collator([torch.ones(1, 1), torch.ones(1, 2)])
    assert bare["lengths"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("batches", "where"),
    [
        ([{"a": torch.ones(1)}, {"b": torch.ones(1)}], "batch"),
        ([{"a": torch.ones(1)}, {"a": torch.ones(1), "b": torch.ones(1)}], "batch"),
        ([{"a": torch.ones(1)}, {"a": torch.tensor(1.0)}], "batch['a']"),
        ([{"a": torch.ones(1)}, {"a": torch.ones(1).int()}], "batch['a']"),
        ([{"a": (torch.ones(1, 2, 3),)}, {"a": (torch.ones(1, 2, 4),)}], "batch['a'][0]"),
        ([{"a": "text"}, {"a": "text"}], "batch['a']"),
        ([(torch.ones(1),), (torch.ones(1), torch.ones(1))], "batch"),
        ([{"a": torch.ones(1)}, (torch.ones(1),)], "batch"),
        (
            [{"a": torch.ones(1, n), "a_lengths": torch.ones(1)} for n in (1, 2)],
            "batch",
        ),
    ],
)
def test_batches_that_differ_are_refused_where_they_do(batches, where):
    with pytest.raises(ShapeMismatch, match="cannot be joined") as caught:
        batch_collator(batches)
    assert ("where", where) in caught.value.facts


def test_without_a_batch_there_is_nothing_to_join():
    with pytest.raises(ShapeMismatch, match="no batch to join"):
        batch_collator([None, None])
