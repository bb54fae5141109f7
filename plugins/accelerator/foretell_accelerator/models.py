"""A user's model as a function of positional arrays that returns a tuple."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from foretell_accelerator.errors import CompileError
from foretell_accelerator.schema import ArraySpec, as_array
from foretell_accelerator.targets.base import Traceable, framework


def framework_of(model: Any) -> str:
    """``torch`` for a module, ``jax`` for any other callable.

    Raises:
        CompileError: it is neither.
    """
    torch = sys.modules.get("torch.nn")
    if torch is not None and isinstance(model, torch.Module):
        return "torch"
    if callable(model):
        return "jax"
    raise CompileError(
        "the model is neither a torch.nn.Module nor a function",
        facts=[("got", type(model).__name__)],
        slug="compile-model",
    )


@dataclass(frozen=True, slots=True)
class Traced:
    """A model with what one call of it taught.

    Attributes:
        traceable: For targets.
        outputs: Their specs.
        values: What the model returned for the example inputs, float32 and eager.
        structure: ``array``, ``tuple`` or ``mapping``.
    """

    traceable: Traceable
    outputs: tuple[ArraySpec, ...]
    values: tuple[np.ndarray, ...]
    structure: str


def trace(model: Any, inputs: Mapping[str, np.ndarray], own: Any = None) -> Traced:
    """Call a model once, eagerly, and learn what it returns.

    Args:
        model: A module in evaluation mode, or a JAX function; called with the inputs by name.
        inputs: Name to example array.
        own: The user's own model where ``model`` wraps it.

    Raises:
        CompileError: it fails on the inputs, or returns something else than arrays.
    """
    kind = framework_of(model)
    try:
        found = _torch_call(model, inputs) if kind == "torch" else model(**inputs)
    except Exception as error:
        raise CompileError(
            "the model fails on the example inputs",
            facts=[
                ("inputs", ", ".join(ArraySpec.of(n, a).describe() for n, a in inputs.items())),
                ("cause", f"{type(error).__name__}: {str(error).partition(chr(10))[0][:300]}"),
            ],
            slug="compile-example",
        ) from error
    parts, structure = flatten(found)
    values = tuple(_host(name, value) for name, value in parts.items())
    names = tuple(parts)
    wrap = _positional if kind == "torch" else _function
    call = wrap(model, list(inputs), names)
    traceable = Traceable(call, model if own is None else own, dict(inputs), names)
    specs = tuple(ArraySpec.of(n, value) for n, value in zip(names, values, strict=True))
    return Traced(traceable, specs, values, structure)


def _host(name: str, value: Any) -> np.ndarray:
    try:
        return as_array(value)
    except TypeError as error:
        raise CompileError(
            "the model returns a dtype that NumPy does not have",
            facts=[("output", name), ("got", str(value.dtype))],
            tries=[("return float32", "and let precision decide how it is computed")],
            slug="compile-output",
        ) from error


def _torch_call(model: Any, inputs: Mapping[str, np.ndarray]) -> Any:
    torch = framework("torch")
    with torch.no_grad():
        return model(**{name: torch.from_numpy(array.copy()) for name, array in inputs.items()})


def flatten(value: Any) -> tuple[dict[str, Any], str]:
    """The arrays a model returned, by name, and what held them.

    Raises:
        CompileError: something in it is no array.
    """
    named = _named(value)
    if named is not None:
        parts = {str(key): item for key, item in named.items() if item is not None}
        structure = "mapping"
    elif isinstance(value, tuple | list):
        parts = {f"output_{i}": item for i, item in enumerate(value)}
        structure = "tuple"
    else:
        parts, structure = {"output": value}, "array"
    for name, item in parts.items():
        if not hasattr(item, "shape") or not hasattr(item, "dtype"):
            raise CompileError(
                "the model returns something that is no array",
                facts=[("output", name), ("got", type(item).__name__)],
                tries=[("return a dict of tensors", "one for each output")],
                slug="compile-output",
            )
    return parts, structure


def _named(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return dict(zip(value._fields, value, strict=True))
    return None


def unflatten(values: Mapping[str, Any], structure: str) -> Any:
    """The outputs in the container the model itself returned."""
    if structure == "mapping":
        return dict(values)
    return tuple(values.values()) if structure == "tuple" else next(iter(values.values()))


def _positional(model: Any, names: Sequence[str], outputs: Sequence[str]) -> Any:
    torch: Any = framework("torch")

    class Positional(torch.nn.Module):  # type: ignore[misc]
        """The user's module, its inputs by position and its outputs in a tuple."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: Any) -> Any:
            found = self.model(**dict(zip(names, tensors, strict=True)))
            parts = flatten(found)[0]
            return tuple(parts[name] for name in outputs)

    return Positional().eval()


def _function(model: Any, names: Sequence[str], outputs: Sequence[str]) -> Any:
    def call(*arrays: Any) -> Any:
        parts = flatten(model(**dict(zip(names, arrays, strict=True))))[0]
        return tuple(parts[name] for name in outputs)

    return call


def by_name(model: Any, inputs: Any) -> dict[str, Any]:
    """The inputs of a collated batch under the names of the model's parameters.

    A mapping keeps its names; a tuple, or the one array, takes those of ``forward``.
    """
    if isinstance(inputs, Mapping):
        return dict(inputs)
    values = list(inputs) if isinstance(inputs, tuple) else [inputs]
    function = getattr(model, "forward", model)
    try:
        known = [
            name
            for name, p in inspect.signature(function).parameters.items()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        known = []
    names = known if len(known) >= len(values) else [f"input_{i}" for i in range(len(values))]
    return dict(zip(names, values, strict=False))
