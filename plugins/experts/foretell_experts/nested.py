"""Nests of values: mappings, lists and tuples of anything else. Mappings are walked by sorted key.

The leaves of one structure always come in one order, so that a nest can travel as a flat sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any


def nested_flatten(nest: Any) -> Iterator[Any]:
    """The leaves of a nest, depth first."""
    if isinstance(nest, Mapping):
        for key in sorted(nest):
            yield from nested_flatten(nest[key])
    elif isinstance(nest, list | tuple):
        for item in nest:
            yield from nested_flatten(item)
    else:
        yield nest


def nested_pack(flat: Iterable[Any], structure: Any) -> Any:
    """The nest of a structure with other leaves.

    Args:
        flat: As many leaves as the structure has, in the order of :func:`nested_flatten`.
        structure: A nest; its leaves are not looked at.

    Raises:
        ValueError: there are more or fewer leaves, with both counts.
    """
    leaves = list(flat)
    expected = sum(1 for _ in nested_flatten(structure))
    if len(leaves) != expected:
        raise ValueError(f"the structure has {expected} leaves, got {len(leaves)}")
    return _pack(iter(leaves), structure)


def _pack(leaves: Iterator[Any], structure: Any) -> Any:
    if isinstance(structure, Mapping):
        packed = {key: _pack(leaves, structure[key]) for key in sorted(structure)}
        return {key: packed[key] for key in structure}
    if isinstance(structure, list | tuple):
        return _like(structure, [_pack(leaves, item) for item in structure])
    return next(leaves)


def _like(structure: Any, items: list[Any]) -> Any:
    if hasattr(structure, "_fields"):
        return type(structure)(*items)
    return items if isinstance(structure, list) else tuple(items)


def nested_compare(first: Any, second: Any) -> bool:
    """Whether two nests have the same structure, whatever their leaves are."""
    if isinstance(first, Mapping) or isinstance(second, Mapping):
        if not (isinstance(first, Mapping) and isinstance(second, Mapping)):
            return False
        return first.keys() == second.keys() and all(
            nested_compare(first[key], second[key]) for key in first
        )
    if isinstance(first, list | tuple) or isinstance(second, list | tuple):
        if not (isinstance(first, list | tuple) and isinstance(second, list | tuple)):
            return False
        return len(first) == len(second) and all(map(nested_compare, first, second))
    return True


def nested_map(function: Callable[..., Any], *nests: Any) -> Any:
    """The nest of the first argument's structure with ``function`` of the leaves at each place.

    Raises:
        ValueError: the nests differ in structure, or there is none.
    """
    if not nests:
        raise ValueError("nested_map needs at least one nest")
    if not all(nested_compare(nests[0], other) for other in nests[1:]):
        raise ValueError("the nests differ in structure")
    flat = (function(*leaves) for leaves in zip(*map(nested_flatten, nests), strict=True))
    return nested_pack(flat, nests[0])
