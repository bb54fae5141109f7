"""The JSON-lines writer: standard JSON, exact, null and NaN kept apart."""

import json

import numpy as np
import pytest
from foretell.builtin.writers import json_text
from foretell.builtin.writers.jsonl import JsonlOptions, JsonlWriter
from foretell.errors import OutputError
from foretell.testing.recorded import RecordedRun, make_plan
from foretell.types import OutputSpec
from hypothesis import given
from hypothesis import strategies as st


def make_writer(objects):
    return JsonlWriter(JsonlOptions(), objects)


def written(objects, specs, arrays, valid=None):
    run = RecordedRun(objects, make_plan(specs, rows=len(next(iter(arrays.values())))), make_writer)
    chunk = run.plan.chunk(0)
    flags = np.ones(len(chunk), np.uint8) if valid is None else valid
    run.writer.write(chunk, arrays, flags)
    return objects.get("part-000000.jsonl").decode(), run.writer.read(chunk)[0]


def strict(text):
    def refuse(name):
        raise AssertionError(f"not JSON: {name}")

    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def test_one_object_a_row(objects):
    specs = [OutputSpec("label", (), "int64"), OutputSpec("head/box", (2,), "float32")]
    arrays = {
        "label": np.array([7, 0, 3]),
        "head/box": np.array([[0.5, 1], [np.nan, np.nan], [np.inf, -np.inf]], dtype="float32"),
    }
    text, _ = written(objects, specs, arrays, np.array([1, 2, 1], np.uint8))
    assert text == (
        '{"row":0,"valid":1,"label":7,"head/box":[0.5,1.0]}\n'
        '{"row":1,"valid":2,"label":null,"head/box":null}\n'
        '{"row":2,"valid":1,"label":3,"head/box":["Infinity","-Infinity"]}\n'
    )


def test_text_stays_readable_and_on_one_line(objects):
    values = np.array(["日本", "a\nb", "\u2028", "\ud800", '"'], dtype=object)
    text, back = written(objects, [OutputSpec("t", (), "str")], {"t": values})
    assert "日本" in text
    assert text.count("\n") == 5
    assert [record["t"] for record in strict(text)] == values.tolist()
    assert back["t"].tolist() == values.tolist()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_number_reads_back_exactly(objects, dtype):
    rng = np.random.default_rng(1)
    size = np.dtype(dtype).itemsize
    values = np.frombuffer(rng.bytes(8 * size), dtype=dtype)
    _, back = written(objects, [OutputSpec("x", (), dtype)], {"x": values})
    np.testing.assert_array_equal(back["x"], values)


json_keys = st.text(max_size=3) | st.sampled_from(["$float", "$object"])
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["$float", "$object", "NaN"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(json_keys, inner, max_size=3),
)


@given(json_values)
def test_free_form_values_read_back_exactly(value):
    text = json_text.dumps(json_text.pack(value, "x", 0))
    (loaded,) = strict(text)
    assert repr(json_text.unpack(loaded)) == repr(value)


def test_numpy_inside_free_form_values_becomes_plain():
    value = {"box": np.array([1.5, np.nan]), "n": np.int64(3), "t": (1, np.bool_(True))}
    packed = json_text.pack(value, "x", 0)
    assert packed == {"box": [1.5, {"$float": "NaN"}], "n": 3, "t": [1, True]}


@pytest.mark.parametrize("value", [{1: 2}, {1, 2}, b"bytes", object(), 1j, [{"a": b""}]])
def test_what_json_has_no_word_for_is_refused(value):
    with pytest.raises(OutputError, match="'boxes'") as caught:
        json_text.pack(value, "boxes", 12)
    assert ("row", "12") in caught.value.facts


@pytest.mark.parametrize("value", [{"$date": 1}, {"$float": 1}, {"$object": []}])
def test_an_unknown_tag_is_an_error(value):
    with pytest.raises(ValueError):
        json_text.unpack(value)
