"""How a batch of inputs becomes the arguments of a module, and how they travel to a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from foretell.errors import ShapeMismatch
from foretell.types import Arrays

_POSITION = "a"
_KEYWORD = "k_"


def as_arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A mapping is keyword arguments, a tuple positional ones, anything else the only one."""
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    return (inputs if isinstance(inputs, tuple) else (inputs,)), {}


def to_arrays(inputs: Any, rows: int) -> Arrays:
    """The inputs of a batch as named arrays.

    Raises:
        ShapeMismatch: one is no array of numbers with a row for each row of the batch.
    """
    args, kwargs = as_arguments(inputs)
    named = {f"{_POSITION}{at}": value for at, value in enumerate(args)}
    named |= {f"{_KEYWORD}{name}": kwargs[name] for name in sorted(kwargs)}
    return {name: _array(name, value, rows) for name, value in named.items()}


def _array(name: str, value: Any, rows: int) -> np.ndarray:
    array = np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value)
    if array.dtype.kind not in "biufc" or array.ndim == 0 or len(array) != rows:
        label = f"argument {name[1:]}" if name[0] == _POSITION else name.removeprefix(_KEYWORD)
        raise ShapeMismatch(
            "the experts take arrays of numbers with one row for each row of the batch",
            facts=[
                ("input", label),
                ("expected", f"{rows} rows of numbers"),
                ("got", f"{array.dtype} {array.shape}"),
            ],
            tries=[("collate = …", "turn the examples into such arrays")],
            slug="experts-inputs",
        )
    return array


def from_arrays(
    arrays: Mapping[str, np.ndarray],
) -> tuple[tuple[torch.Tensor, ...], dict[str, torch.Tensor]]:
    """The other way round: positional and keyword tensors."""
    count = sum(name.startswith(_POSITION) for name in arrays)
    args = tuple(to_tensor(arrays[f"{_POSITION}{at}"]) for at in range(count))
    kwargs = {
        name.removeprefix(_KEYWORD): to_tensor(arrays[name])
        for name in sorted(arrays)
        if name.startswith(_KEYWORD)
    }
    return args, kwargs


def to_tensor(value: Any) -> torch.Tensor:
    """A tensor of an array's values, without a copy where the array may be written."""
    if isinstance(value, torch.Tensor):
        return value
    array = np.ascontiguousarray(value)
    native = array.astype(array.dtype.newbyteorder("="), copy=not array.flags.writeable)
    return torch.from_numpy(native)
