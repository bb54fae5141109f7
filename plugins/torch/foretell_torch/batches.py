"""Batches between NumPy and PyTorch: collating examples, and moving nests of arrays and tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from foretell.errors import ConfigError
from foretell.types import Examples


def default_collate(examples: Examples) -> Any:
    """Arrays and columns as they are; records of arrays or numbers stacked key by key.

    Raises:
        ConfigError: the records hold something that cannot be stacked, such as text.
    """
    if not isinstance(examples, list):
        return examples
    return _stack(examples, "record")


def _stack(values: list[Any], where: str) -> Any:
    first = values[0]
    if isinstance(first, Mapping):
        return {key: _stack([v[key] for v in values], f"{where}[{key!r}]") for key in first}
    if isinstance(first, tuple | list) and not _is_numbers(first):
        width = {len(value) for value in values}
        if len(width) == 1:
            columns = (
                _stack(list(c), f"{where}[{i}]") for i, c in enumerate(zip(*values, strict=True))
            )
            return tuple(columns)
    if hasattr(first, "detach"):
        values = [value.detach().cpu().numpy() for value in values]
    try:
        stacked = np.stack([np.asarray(value) for value in values])
    except ValueError as error:
        raise _cannot_stack(where, str(error)) from error
    if stacked.dtype.kind not in "biufc":
        raise _cannot_stack(where, f"it holds {type(first).__name__}")
    return stacked


def _is_numbers(values: Any) -> bool:
    return all(isinstance(value, bool | int | float | np.generic) for value in values)


def _cannot_stack(where: str, why: str) -> ConfigError:
    return ConfigError(
        "the examples cannot be stacked into a batch",
        facts=[("where", where), ("because", why)],
        tries=[('collate = "module:function"', "your own: a list of examples to inputs")],
        slug="config-collate",
    )


def map_leaves(tree: Any, function: Callable[[Any], Any]) -> Any:
    """Apply ``function`` to every leaf of a nest of mappings, tuples, lists and dataclasses.

    Mappings and dataclasses become plain dicts, without the entries that are None; named tuples and
    tuples become tuples.
    """
    if isinstance(tree, Mapping):
        return {k: map_leaves(v, function) for k, v in tree.items() if v is not None}
    if is_dataclass(tree) and not isinstance(tree, type):
        parts = {f.name: getattr(tree, f.name) for f in fields(tree)}
        return {k: map_leaves(v, function) for k, v in parts.items() if v is not None}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        parts = dict(zip(tree._fields, tree, strict=True))
        return {k: map_leaves(v, function) for k, v in parts.items() if v is not None}
    if isinstance(tree, tuple):
        return tuple(map_leaves(value, function) for value in tree)
    if isinstance(tree, list):
        return [map_leaves(value, function) for value in tree]
    return function(tree)


def to_array(torch: Any, value: Any) -> Any:
    """A tensor as a NumPy array on the host; bfloat16, which NumPy lacks, as float32."""
    if not torch.is_tensor(value):
        return value
    value = value.detach()
    if value.is_sparse:
        value = value.to_dense()
    if value.dtype == torch.bfloat16:
        value = value.float()
    return value.cpu().resolve_conj().resolve_neg().numpy()
