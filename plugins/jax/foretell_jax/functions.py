"""What the user hands over as a model, made into one call: ``call(rng, params, batch, mask)``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from foretell.errors import ConfigError

from foretell_jax.randomness import Call

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def is_flax(model: object) -> bool:
    """Whether something is a flax module, told without importing flax."""
    return any(
        cls.__name__ == "Module" and cls.__module__.startswith("flax.")
        for cls in type(model).__mro__
    )


def as_call(model: Any, name: str) -> Call:
    """One call from a ``pred_fn(rng, params, batch)``, a ``pred_fn(params, batch)`` or a module.

    Parameters called ``rng``, ``params`` and ``batch`` are given by name, others by position. A
    parameter called ``mask`` gets which rows of the batch are real.

    Raises:
        ConfigError: it takes other parameters.
    """
    if is_flax(model):
        return _module_call(model)
    if not callable(model):
        raise ConfigError(
            f"{name} is neither a function nor a flax module",
            facts=[("got", f"{type(model).__name__} {model!r:.60}")],
            slug="config-model",
        )
    return _function_call(model, name)


def _function_call(function: Callable[..., Any], name: str) -> Call:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    wants_mask = any(p.name == "mask" for p in parameters)
    required = [
        p
        for p in parameters
        if p.name != "mask"
        and p.kind in (*_POSITIONAL, inspect.Parameter.KEYWORD_ONLY)
        and p.default is inspect.Parameter.empty
    ]
    names = [p.name for p in required]
    extra: Callable[[Any], dict[str, Any]] = (
        (lambda mask: {"mask": mask}) if wants_mask else (lambda mask: {})
    )
    if set(names) == {"rng", "params", "batch"}:
        return lambda rng, params, batch, mask: (
            function(rng=rng, params=params, batch=batch, **extra(mask))
            if all(p.kind is not inspect.Parameter.POSITIONAL_ONLY for p in required)
            else function(rng, params, batch, **extra(mask))
        )
    if set(names) == {"params", "batch"} and all(
        p.kind is not inspect.Parameter.POSITIONAL_ONLY for p in required
    ):
        return lambda rng, params, batch, mask: function(params=params, batch=batch, **extra(mask))
    if len(required) == 3 or not parameters:
        return lambda rng, params, batch, mask: function(rng, params, batch, **extra(mask))
    if len(required) == 2:
        return lambda rng, params, batch, mask: function(params, batch, **extra(mask))
    raise ConfigError(
        f"{name} cannot be called with parameters and a batch",
        facts=[
            ("expected", "(rng, params, batch) or (params, batch)"),
            ("got", f"({', '.join(names)})"),
        ],
        tries=[("factory = true", "when it returns the function that takes the batch")],
        slug="config-model",
    )


def _module_call(module: Any) -> Call:
    if hasattr(module, "apply"):
        return _linen_call(module)
    return _nnx_call(module)


def _linen_call(module: Any) -> Call:
    takes = set(inspect.signature(type(module).__call__).parameters)

    def call(rng: Any, params: Any, batch: Any, mask: Any) -> Any:
        whole = isinstance(params, Mapping) and "params" in params
        variables = params if whole else {"params": params}
        if isinstance(batch, Mapping) and set(batch) <= takes:
            return module.apply(variables, **batch)
        return module.apply(variables, batch)

    return call


def _nnx_call(module: Any) -> Call:
    from flax import nnx

    graph, state, rest = nnx.split(module, nnx.Param, ...)
    takes = set(inspect.signature(type(module).__call__).parameters)

    def call(rng: Any, params: Any, batch: Any, mask: Any) -> Any:
        filled = nnx.clone(state)
        nnx.replace_by_pure_dict(filled, params)
        merged = nnx.merge(graph, filled, rest)
        if isinstance(batch, Mapping) and set(batch) <= takes:
            return merged(**batch)
        return merged(batch)

    return call


def own_parameters(model: Any) -> Any:
    """The parameters a model carries itself: those of an nnx module; None for any other."""
    if not is_flax(model) or hasattr(model, "apply"):
        return None
    from flax import nnx

    return nnx.to_pure_dict(nnx.split(model, nnx.Param, ...)[1])
