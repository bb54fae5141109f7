"""The law of sharding rules, and the rules that are made."""

from __future__ import annotations

import re
from typing import TypeAlias

import numpy as np
import pytest
from foretell.errors import ConfigError
from foretell_jax import explain_sharding
from foretell_jax.autorules import automatic_rules
from foretell_jax.layout import lay_out
from foretell_jax.rules import Rule, as_rules, assign, check_spec, first_match
from hypothesis import given
from hypothesis import strategies as st

LAYERS = 2
Shapes: TypeAlias = "dict[tuple[str, ...], tuple[int, ...]]"
LLAMA = {
    "embed_tokens": {"embedding": (512, 64)},
    "layers": {
        str(layer): {
            "self_attn": {f"{name}_proj": {"kernel": (64, 64)} for name in "qkvo"},
            "mlp": {
                "gate_proj": {"kernel": (64, 256)},
                "up_proj": {"kernel": (64, 256)},
                "down_proj": {"kernel": (256, 64)},
            },
            "input_layernorm": {"weight": (64,)},
            "post_attention_layernorm": {"weight": (64,)},
        }
        for layer in range(LAYERS)
    },
    "norm": {"weight": (64,)},
    "lm_head": {"kernel": (64, 512)},
}
TABLE = {
    "embedding": ("mp", None),
    "q_proj": (None, "mp"),
    "k_proj": (None, "mp"),
    "v_proj": (None, "mp"),
    "gate_proj": (None, "mp"),
    "up_proj": (None, "mp"),
    "lm_head": (None, "mp"),
    "o_proj": ("mp", None),
    "down_proj": ("mp", None),
    "weight": (),
}


def flat(tree, path=()):
    if isinstance(tree, tuple):
        return {path: tree}
    return {k: v for key, value in tree.items() for k, v in flat(value, (*path, key)).items()}


def structs(tree):
    import jax

    return jax.tree.map(
        lambda shape: jax.ShapeDtypeStruct(shape, np.float32),
        tree,
        is_leaf=lambda node: isinstance(node, tuple),
    )


COMPONENTS = st.lists(st.sampled_from(["a", "b", "ab", "kernel", "layers", "0"]), max_size=5)
EXPRESSIONS = st.lists(
    st.sampled_from(["a", "b", "a|b", "a.*", ".*", "(kernel|0)", "ab|a", "[ab]"]),
    min_size=1,
    max_size=3,
)


def _matches(parts, window):
    pairs = zip(parts, window, strict=True)
    return all(re.compile(f"(?:{part})\\Z").match(name) for part, name in pairs)


@given(COMPONENTS, st.lists(EXPRESSIONS, max_size=4))
def test_the_first_rule_with_a_window_of_whole_components_wins(path, expressions):
    rules = [Rule(tuple(parts), ()) for parts in expressions]

    def takes(parts):
        starts = range(len(path) - len(parts) + 1)
        return any(_matches(parts, path[at : at + len(parts)]) for at in starts)

    law = next((at for at, parts in enumerate(expressions) if takes(parts)), None)
    assert first_match(tuple(path), rules) == law


def test_an_alternative_means_one_or_the_other_as_a_whole():
    rule = as_rules([(("x|b",), ("mp",))])[0]
    assert rule.takes(("x",))
    assert rule.takes(("b", "deep"))
    assert not rule.takes(("xylophone",))
    assert not rule.takes(("crab",))


@pytest.mark.parametrize("shards", [1, 2, 4, 8])
def test_a_llama_gets_the_specs_of_the_table(shards):
    shapes = flat(LLAMA)
    rules = automatic_rules(shapes, shards)
    for path, at in zip(shapes, assign(shapes, rules), strict=True):
        key = path[-2] if path[-1] == "kernel" else path[-1]
        assert rules[at].spec == TABLE[key], path


def test_a_dimension_counts_only_where_every_parameter_of_the_key_divides():
    shapes: Shapes = {("a", "up", "kernel"): (8, 8), ("b", "up", "kernel"): (8, 6)}
    rules = automatic_rules(shapes, 4)
    assert [rules[at].spec for at in assign(shapes, rules)] == [("mp", None), ("mp", None)]
    shapes[("c", "up", "kernel")] = (6, 6)
    assert [automatic_rules(shapes, 4)[0].spec] == [()]


def test_kernels_without_a_role_take_turns():
    shapes: Shapes = {(f"d{at}", "kernel"): (8, 8) for at in range(4)}
    rules = automatic_rules(shapes, 2)
    specs = [rules[at].spec for at in assign(shapes, rules)]
    assert specs == [(None, "mp"), ("mp", None), (None, "mp"), ("mp", None)]


NAMES = st.sampled_from(["attn", "q", "o", "up", "down", "head", "dense", "scale", "bias"])
PATHS = st.builds(
    lambda above, last: (*above, last),
    st.lists(NAMES, max_size=3).map(tuple),
    st.sampled_from(["kernel", "embedding", "bias", "scale", "down"]),
)
TREES = st.dictionaries(
    PATHS, st.lists(st.sampled_from([1, 2, 4, 6, 8]), max_size=3).map(tuple), max_size=8
)


@given(TREES, st.sampled_from([1, 2, 4, 8]))
def test_automatic_rules_always_fit_their_own_parameters(shapes, shards):
    rules = automatic_rules(shapes, shards)
    for path, at in zip(shapes, assign(shapes, rules), strict=True):
        check_spec(path, shapes[path], rules[at].spec, {"dp": 1, "mp": shards})
        if path[-1] not in ("kernel", "embedding"):
            assert rules[at].spec == ()


def test_a_parameter_without_a_rule_is_named():
    with pytest.raises(ConfigError) as caught:
        lay_out(structs(LLAMA), [(("kernel",), (None,)), (("embedding",), None)], {"mp": 2})
    assert caught.value.slug == "sharding-unmatched"
    assert "layers/0/input_layernorm/weight" in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "slug"),
    [
        ((None, "mp"), "sharding-divide"),
        (("mp", "mp"), "sharding-axis"),
        (("tp",), "sharding-axis"),
        ((None, None, None), "sharding-spec"),
    ],
)
def test_a_spec_that_does_not_fit_is_named_with_its_parameter(spec, slug):
    with pytest.raises(ConfigError) as caught:
        check_spec(("head", "kernel"), (8, 10), spec, {"dp": 2, "mp": 4})
    assert caught.value.slug == slug
    assert "head/kernel (8, 10)" in str(caught.value)


@pytest.mark.parametrize("rule", [("kernel",), ((), ("mp",)), (("(",), ()), 3, (("a", 1), ())])
def test_what_is_no_rule_is_refused(rule):
    with pytest.raises(ConfigError) as caught:
        as_rules([rule])
    assert caught.value.slug == "sharding-rule"


def test_sub_models_have_rules_of_their_own():
    tree = structs({"b": {"kernel": (8, 8)}, "a": {"kernel": (8, 8)}})
    rules = {"a": [(("kernel",), ("mp",))], "b": None}
    found = lay_out(tree, rules, {"mp": 2})
    assert [spec for _, spec in found] == [("mp",), ()]  # JAX sorts the keys of a mapping
    with pytest.raises(ConfigError, match="other sub-models"):
        lay_out(tree, {"a": None}, {"mp": 2})


def test_sharding_is_explained(capsys):
    rules = [(("(q|k|v)_proj", "kernel"), (None, "mp")), ((".*",), None)]
    found = explain_sharding(structs(LLAMA), rules, {"dp": 2, "mp": 4})
    text = capsys.readouterr().out
    by_path = {"/".join(item.path): item for item in found}
    q, o = (by_path[f"layers/0/self_attn/{name}_proj/kernel"] for name in "qo")
    assert (q.bytes_per_device, o.bytes_per_device) == (64 * 64 * 4 // 4, 64 * 64 * 4)
    assert re.search(r"layers/0/self_attn/q_proj/kernel +\(64, 64\) +float32 +\(q\|k\|v\)", text)
    assert "per device on a mesh of dp 2 x mp 4" in text
    assert sum(item.bytes_per_device for item in found) < 4 * sum(
        int(np.prod(shape)) for shape in flat(LLAMA).values()
    )
