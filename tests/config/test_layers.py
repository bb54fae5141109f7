import pytest
from foretell.config.layers import (
    Typed,
    Value,
    from_env,
    from_sets,
    join_key,
    merge,
    nest,
    parse_literal,
    split_key,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4),
        ("0.5", 0.5),
        ("true", True),
        ('"auto"', "auto"),
        ("[1, 2]", [1, 2]),
        ("{a = 1}", {"a": 1}),
        ("auto", "auto"),
        ("0:1000", "0:1000"),
        ("11:50:00", "11:50:00"),
        ("2024-01-01", "2024-01-01"),
        ("model.py:predict", "model.py:predict"),
        ("1\nother = 2", "1\nother = 2"),
        ("", ""),
        (" 4 ", 4),
    ],
)
def test_literals_are_read_as_toml_and_everything_else_is_text(text, value):
    assert parse_literal(text) == value


def test_keys_with_dots_are_quoted():
    assert split_key('a."b.c".d') == ("a", "b.c", "d")
    assert join_key(("a", "b.c", "d")) == 'a."b.c".d'


def test_environment_names_become_keys(tmp_path):
    layer, near = from_env(
        {
            "FORETELL_SCHEDULE__WORKERS": "3",
            "FORETELL_PREDICTOR__OPTIONS__WIDTH": "64",
            "FORETELL_SCHEDULE_CHUNK": "8",
            "FORETELL_CACHE_DIR": "/x",
            "FORETELL_DISABLE_PLUGINS": "1",
            "HOME": "/root",
        },
        tmp_path,
    )
    assert {key: value.value for key, value in layer.items()} == {
        ("schedule", "workers"): 3,
        ("predictor", "options", "width"): 64,
    }
    assert near == [("FORETELL_SCHEDULE_CHUNK", "8", "FORETELL_SCHEDULE__CHUNK")]


def test_sections_may_be_given_as_mappings(tmp_path):
    sets = {"schedule": {"workers": 2, "chunk": Typed("8")}, "source.path": Typed("7")}
    layer = from_sets(sets, {}, tmp_path)
    assert (layer[("schedule", "chunk")].value, layer[("schedule", "chunk")].raw) == (8, "8")
    assert layer[("schedule", "workers")].value == 2
    assert (layer[("source", "path")].value, layer[("source", "path")].raw) == (7, "7")


def test_text_may_spell_a_table(tmp_path):
    layer = from_sets({"predictor.options": Typed("{ width = 64 }")}, {}, tmp_path)
    assert layer[("predictor", "options", "width")].value == 64


def layer(**values):
    return {split_key(key.replace("__", ".")): Value(item, "x") for key, item in values.items()}


def test_tables_merge_and_anything_else_replaces():
    low = layer(a__options__w=1, a__options__h=2, a__list=[1, 2])
    high = layer(a__options__w=9, a__list=[3])
    assert nest(merge([high, low])) == {"a": {"options": {"w": 9, "h": 2}, "list": [3]}}


def test_a_scalar_over_a_table_replaces_it_and_the_other_way_round():
    assert nest(merge([layer(a__b=1), layer(a__b__c=2)])) == {"a": {"b": 1}}
    assert nest(merge([layer(a__b__c=2), layer(a__b=1)])) == {"a": {"b": {"c": 2}}}


def test_an_empty_table_takes_nothing_away():
    assert nest(merge([layer(a__b={}), layer(a__b__c=2)])) == {"a": {"b": {"c": 2}}}


KEYS = st.sampled_from([("a", "x"), ("a", "y"), ("b", "x"), ("b", "z", "w"), ("c",)])
LAYERS = st.lists(st.dictionaries(KEYS, st.integers(), max_size=5), max_size=5)


@given(LAYERS)
def test_the_first_layer_that_says_something_rules(layers):
    made = [{k: Value(v, f"{i}") for k, v in one.items()} for i, one in enumerate(layers)]
    merged = merge(made)
    for key in {key for one in layers for key in one}:
        first = next(i for i, one in enumerate(layers) if key in one)
        assert (merged[key].value, merged[key].origin) == (layers[first][key], str(first))
    assert set(merged) == {key for one in layers for key in one}
