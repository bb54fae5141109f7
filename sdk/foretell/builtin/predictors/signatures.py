"""What a user's callable can be called with, found from its signature before it is called."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from foretell.errors import ConfigError, Fact, LoadError

OF_THE_BATCH = ("rows", "mask", "keys")
"""Names of parameters that are given parts of the batch."""

_BY_POSITION = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def check_callable(found: Any, name: str) -> None:
    """Refuse what cannot be called.

    Raises:
        LoadError: naming the type that was found.
    """
    if not callable(found):
        raise LoadError(
            f"{name} is not callable",
            facts=[
                ("expected", "a function, a class or an object with __call__"),
                ("got", f"{type(found).__name__} {found!r:.60}"),
            ],
        )


def arguments(
    target: Callable[..., Any],
    name: str,
    options: Mapping[str, Any],
    checkpoint: str | None,
    once: bool,
) -> dict[str, Any]:
    """Keyword arguments for a class, factory or function: the options and the checkpoint.

    Args:
        target: What is going to be called.
        name: What to call it in an error.
        options: ``predictor.options``.
        checkpoint: Absolute path of the weights, or None.
        once: Whether the call makes the model, so that it gets no batch.

    Raises:
        ConfigError: they do not fit its parameters.
    """
    signature = _signature(target)
    given = dict(options)
    if checkpoint is not None:
        if not _takes(signature, "checkpoint"):
            raise _no_checkpoint(name, signature, checkpoint)
        given.setdefault("checkpoint", checkpoint)
    if signature is not None:
        _check_fit(signature, name, given, once)
    return given


def wants(call: Callable[..., Any], name: str) -> tuple[str, ...]:
    """Which parts of the batch a callable takes beside its inputs.

    Raises:
        ConfigError: it has no parameter for the inputs.
    """
    signature = _signature(call)
    if signature is None:
        return ()
    parameters = list(signature.parameters.values())
    if not parameters or parameters[0].kind not in _BY_POSITION:
        raise _no_batch(name, signature)
    return tuple(p.name for p in parameters[1:] if p.name in OF_THE_BATCH and p.kind in _BY_NAME)


def _signature(target: Callable[..., Any]) -> inspect.Signature | None:
    """The signature, None for compiled functions that do not tell theirs."""
    try:
        return inspect.signature(target)
    except (TypeError, ValueError):
        return None


def parameters_of(target: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """The parameters of a class or function by name; none where it does not tell."""
    signature = _signature(target)
    return {} if signature is None else signature.parameters


def _takes(signature: inspect.Signature | None, name: str) -> bool:
    if signature is None:
        return True
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    named = signature.parameters.get(name)
    return inspect.Parameter.VAR_KEYWORD in kinds or (named is not None and named.kind in _BY_NAME)


def _check_fit(
    signature: inspect.Signature, name: str, given: Mapping[str, Any], once: bool
) -> None:
    try:
        if once:
            signature.bind(**given)
            return
        asked = [part for part in wants_of(signature) if part not in given]
        signature.bind(None, **given, **dict.fromkeys(asked))
    except TypeError as error:
        raise _misfit(signature, name, given, once, error) from None


def wants_of(signature: inspect.Signature) -> list[str]:
    """Parameters after the first that carry the name of a part of the batch."""
    names = list(signature.parameters)[1:]
    return [part for part in OF_THE_BATCH if part in names]


def _misfit(
    signature: inspect.Signature,
    name: str,
    given: Mapping[str, Any],
    once: bool,
    error: TypeError,
) -> ConfigError:
    if not once and not any(p.kind in _BY_POSITION for p in signature.parameters.values()):
        return _no_batch(name, signature)
    tries: list[Fact] = []
    for key in given:
        near = difflib.get_close_matches(key, list(signature.parameters), n=1)
        if key not in signature.parameters and near:
            tries.append((f"options = {{ {near[0]} = … }}", f"instead of {key}"))
    return ConfigError(
        f"{name} cannot be called with the job's options",
        facts=[
            ("options", ", ".join(given) or "none"),
            ("signature", f"{name.rpartition(':')[2]}{signature}"),
            ("cause", str(error)),
        ],
        tries=tries,
        slug="config-options",
    )


def _no_checkpoint(name: str, signature: inspect.Signature | None, checkpoint: str) -> ConfigError:
    return ConfigError(
        f"{name} takes no checkpoint",
        facts=[("checkpoint", checkpoint), ("signature", f"{name.rpartition(':')[2]}{signature}")],
        tries=[("add a parameter named checkpoint", "it is given the file's path")],
        slug="config-checkpoint",
    )


def _no_batch(name: str, signature: inspect.Signature) -> ConfigError:
    return ConfigError(
        f"{name} takes no batch",
        facts=[("signature", f"{name.rpartition(':')[2]}{signature}")],
        tries=[("factory = true", "when it returns the function that takes the batch")],
        slug="config-model",
    )
