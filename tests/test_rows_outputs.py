from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
from foretell.errors import OutputError, ShapeMismatch
from foretell.outputs import keep_outputs, select, to_host, to_outputs

MASK = np.array([True, False, True])


def named(predictions):
    return to_outputs(select(to_host(predictions), MASK))


def test_every_kind_of_nest_is_named_and_cut_to_its_real_rows():
    Pair = namedtuple("Pair", "mean spread")

    @dataclass
    class Result:
        label: list[str]
        head: dict[str, object]

    column = np.arange(3)
    assert named(column)["output"].tolist() == [0, 2]
    assert {k: v.tolist() for k, v in named({"a": {"b": column}}).items()} == {"a/b": [0, 2]}
    assert list(named((column, column))) == ["output_0", "output_1"]
    assert list(named(Pair(column, column))) == ["mean", "spread"]
    assert named(Result(["x", "y", "z"], {"p": column}))["label"] == ["x", "z"]
    assert named(["x", "y", "z"]) == {"output": ["x", "z"]}
    ragged = [[1], [2, 3], []]
    assert named(ragged) == {"output": [[1], []]}


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_a_list_of_arrays_is_outputs_or_rows_and_never_guessed(n):
    full = np.ones(n, bool)
    parts = [np.full((n, 3), part) for part in range(3)]
    rows_of_two = [np.full((2, 5), row) for row in range(n)]
    if n == 3:
        with pytest.raises(ShapeMismatch, match="can be read in two ways") as caught:
            select({"a": parts}, full)
        assert ("where", "output.a") in caught.value.facts
        assert list(to_outputs(select(parts, full, lists="outputs"))) == [
            "output_0",
            "output_1",
            "output_2",
        ]
        assert np.shape(to_outputs(select(parts, full, lists="rows"))["output"]) == (3, 3, 3)
    else:
        assert [v.shape for v in to_outputs(select(parts, full)).values()] == [(n, 3)] * 3
    if n == 2:
        with pytest.raises(ShapeMismatch, match="can be read in two ways"):
            select(rows_of_two, full)
    else:
        assert to_outputs(select(rows_of_two, full)) == {"output": rows_of_two}
    assert to_outputs(select(parts[:1], full)).keys() == {"output_0"}
    # Not every item has as many rows as there are items, so they are the rows.
    ragged = [np.zeros((row + 2, 5)) for row in range(n)]
    assert to_outputs(select(ragged, full)) == {"output": ragged}
    assert to_outputs(select(tuple(parts), full)).keys() == {"output_0", "output_1", "output_2"}


def test_records_become_columns_and_nested_records_nested_names():
    records = [{"label": i, "box": (i, i), "score": {"top": i / 2}} for i in range(3)]
    assert named(records) == {
        "label": [0, 2],
        "box": [(0, 0), (2, 2)],
        "score/top": [0.0, 1.0],
    }
    with pytest.raises(ShapeMismatch, match="different keys"):
        to_outputs([{"a": 1}, {"b": 1}])


def test_outputs_can_be_kept_by_name_or_group():
    outputs = {"label": 1, "head/logits": 2, "head/mask": 3, "headless": 4}
    assert keep_outputs(outputs, None) == outputs
    assert keep_outputs(outputs, ["head"]) == {"head/logits": 2, "head/mask": 3}
    assert list(keep_outputs(outputs, ["headless", "label"])) == ["label", "headless"]


def test_an_unknown_output_names_the_known_ones():
    with pytest.raises(OutputError) as caught:
        keep_outputs({"label": 1, "probability": 2}, ["lable"])
    assert str(caught.value).splitlines() == [
        "error[output-unknown]: the model has no output 'lable'",
        "  asked for   predictor.outputs = 'lable'",
        "  outputs     label, probability",
        "  try         outputs = ['label']",
    ]


def test_tensors_come_to_the_host_detached():
    torch = pytest.importorskip("torch")
    weight = torch.ones(3, requires_grad=True)
    host = to_host({"a": weight * 2, "b": [weight, "text"], "c": (weight.sum(), None)})
    assert isinstance(host["a"], np.ndarray)
    assert host["a"].tolist() == [2, 2, 2]
    assert isinstance(host["b"][0], np.ndarray)
    assert host["c"][0] == 3


def test_a_type_numpy_does_not_have_is_refused_by_name():
    torch = pytest.importorskip("torch")
    with pytest.raises(ShapeMismatch) as caught:
        to_host({"logits": torch.zeros(3, dtype=torch.bfloat16)})
    assert ("where", "output.logits") in caught.value.facts
    assert "torch.bfloat16" in str(caught.value)


@pytest.mark.parametrize("wrong", [np.arange(2), ["x"], 3.0, "abc", {"a": np.arange(4)}, None])
def test_another_number_of_rows_is_refused(wrong):
    with pytest.raises(ShapeMismatch):
        named(wrong)
