"""Rules applied to a tree of parameters: a spec for every leaf, checked against the mesh."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
from foretell.errors import ConfigError

from foretell_jax.rules import REPLICATED, Rule, Spec, as_rules, assign, check_spec
from foretell_jax.trees import Tree, take_apart


def lay_out(params: Any, rules: Any, mesh: Mapping[str, int]) -> list[tuple[Rule | None, Spec]]:
    """Rule and spec of every leaf, in the order of the tree's leaves.

    Args:
        params: Any pytree of arrays or of shapes and dtypes.
        rules: ``(expressions, spec)`` pairs; None for nothing split; or a mapping or tuple of
            these that follows the top of the tree, one for each sub-model, whose paths begin
            below it.
        mesh: Axis name to size.

    Raises:
        ConfigError: a parameter that no rule takes, a spec that does not fit its parameter or the
            mesh, or rules for a sub-model that is not there.
    """
    if isinstance(rules, Mapping) or _is_tuple_of_rules(rules):
        return _sub_models(params, rules, mesh)
    tree = take_apart(params)
    if rules is None:
        return [(None, REPLICATED)] * len(tree.leaves)
    listed = as_rules(rules)
    chosen = assign(tree.paths, listed)
    _check(tree, [listed[at].spec for at in chosen], mesh)
    return [(listed[at], listed[at].spec) for at in chosen]


def _check(tree: Tree, specs: list[Spec], mesh: Mapping[str, int]) -> None:
    for path, leaf, spec in zip(tree.paths, tree.leaves, specs, strict=True):
        check_spec(path, leaf.shape, spec, mesh)


def _is_tuple_of_rules(rules: Any) -> bool:
    return (
        isinstance(rules, tuple)
        and bool(rules)
        and all(part is None or isinstance(part, list | Mapping) for part in rules)
    )


def _sub_models(params: Any, rules: Any, mesh: Mapping[str, int]) -> list[tuple[Rule | None, Spec]]:
    named = dict(rules) if isinstance(rules, Mapping) else dict(enumerate(rules))
    there = dict(params) if isinstance(params, Mapping) else dict(enumerate(params))
    if named.keys() != there.keys():
        raise ConfigError(
            "the sharding rules name other sub-models than the parameters have",
            facts=[
                ("expected", ", ".join(map(str, there))),
                ("got", ", ".join(map(str, named))),
            ],
            slug="sharding-rule",
        )
    # The order of a mapping's leaves is the tree's business: ask it, do not guess.
    found = {key: lay_out(there[key], named[key], mesh) for key in there}
    order = jax.tree.structure(
        dict.fromkeys(there, 0) if isinstance(params, Mapping) else tuple(there)
    )
    keys = jax.tree.unflatten(order, range(order.num_leaves))
    ranks = keys.items() if isinstance(keys, Mapping) else enumerate(keys)
    ordered = [key for key, _ in sorted(ranks, key=lambda pair: pair[1])]
    return [leaf for key in ordered for leaf in found[key]]
