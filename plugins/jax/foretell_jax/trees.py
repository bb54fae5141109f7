"""Trees of parameters as lists of named leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax

from foretell_jax.rules import Path


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree taken apart.

    Attributes:
        paths: Of the leaves, in order.
        leaves: Arrays, or shapes and dtypes.
        structure: What puts leaves together again.
    """

    paths: list[Path]
    leaves: list[Any]
    structure: Any

    def shapes(self) -> dict[Path, tuple[int, ...]]:
        """Path to shape."""
        pairs = zip(self.paths, self.leaves, strict=True)
        return {path: tuple(leaf.shape) for path, leaf in pairs}

    def rebuild(self, leaves: Sequence[Any]) -> Any:
        """The tree with other leaves."""
        return jax.tree.unflatten(self.structure, leaves)


def take_apart(tree: Any) -> Tree:
    """The leaves of any pytree with their paths, every key as text."""
    pairs, structure = jax.tree_util.tree_flatten_with_path(tree)
    paths = [tuple(_component(key) for key in keys) for keys, _ in pairs]
    return Tree(paths, [leaf for _, leaf in pairs], structure)


def _component(key: Any) -> str:
    for attribute in ("key", "idx", "name"):
        value = getattr(key, attribute, None)
        if value is not None:
            return str(value)
    return str(key)


def structs(tree: Any) -> Any:
    """The same tree with a shape and dtype for every array."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)
