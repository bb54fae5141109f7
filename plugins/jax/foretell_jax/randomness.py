"""One random key for every row, so that a row's luck never depends on its neighbours.

A function that uses its ``rng`` is mapped over the rows of the batch, each row with a key of its
own and a batch dimension of 1; a function that does not is called on the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from foretell.errors import ShapeMismatch
from jax import lax

Call = Callable[[Any, Any, Any, Any], Any]
"""``call(rng, params, batch, mask)``."""


def as_keys(words: Any) -> Any:
    """Keys from ``uint32 (..., 2)`` words: raw keys as ``jax.random.PRNGKey`` makes them.

    Where the process was set to another generator than threefry, typed threefry keys: raw words
    would be read as keys of that generator.
    """
    if jax.config.jax_default_prng_impl == "threefry2x32":
        return words
    return jax.random.wrap_key_data(words, impl="threefry2x32")


def uses_rng(call: Call, params: Any, batch: Any, mask: Any) -> bool:
    """Whether anything ``call`` returns depends on its key, found by tracing it."""
    words = jax.ShapeDtypeStruct((2,), jnp.uint32)

    def traced(words: Any, params: Any, batch: Any, mask: Any) -> Any:
        return call(as_keys(words), params, batch, mask)

    closed = jax.make_jaxpr(traced)(words, params, batch, mask)
    return depends_on(closed.jaxpr, 0)


def depends_on(jaxpr: Any, position: int) -> bool:
    """Whether an output, or a side effect, of ``jaxpr`` depends on its input at ``position``."""
    tainted = {jaxpr.invars[position]}
    for equation in jaxpr.eqns:
        hits = [at for at, var in enumerate(equation.invars) if _is(var, tainted)]
        if not hits:
            continue
        inner = _inner(equation)
        if inner is not None:
            reached = {
                out
                for at in hits
                for out in range(len(equation.outvars))
                if _reaches(inner, at, out)
            }
            tainted.update(equation.outvars[out] for out in reached)
        else:
            tainted.update(equation.outvars)
        if equation.effects:
            return True
    return any(_is(var, tainted) for var in jaxpr.outvars)


def _is(var: Any, tainted: set[Any]) -> bool:
    return not hasattr(var, "val") and var in tainted


def _inner(equation: Any) -> Any:
    """The body of a plain call, whose inputs and outputs are the equation's own, one to one."""
    if equation.primitive.name not in ("jit", "pjit", "closed_call", "core_call", "remat"):
        return None
    body = equation.params.get("jaxpr") or equation.params.get("call_jaxpr")
    body = getattr(body, "jaxpr", body)
    fits = body is not None and len(body.invars) == len(equation.invars)
    return body if fits and len(body.outvars) == len(equation.outvars) else None


def _reaches(jaxpr: Any, position: int, out: int) -> bool:
    tainted = {jaxpr.invars[position]}
    for equation in jaxpr.eqns:
        if any(_is(var, tainted) for var in equation.invars):
            tainted.update(equation.outvars)
    return _is(jaxpr.outvars[out], tainted)


def apply(call: Call, words: Any, params: Any, batch: Any, mask: Any) -> Any:
    """Call a function on a batch, row by row when it uses its key.

    Args:
        call: The function.
        words: uint32 ``(B, 2)``, a key for each row.
        params: Its parameters.
        batch: A nest of arrays with ``B`` rows.
        mask: bool ``(B,)``, False for filler.

    Returns:
        What it returns, ``B`` rows in every array.

    Raises:
        ShapeMismatch: called on one row it returned another number of rows.
    """
    if not uses_rng(call, params, batch, mask):
        return call(as_keys(words[0]), params, batch, mask)

    def one(words: Any, row: Any, mask: Any) -> Any:
        alone = jax.tree.map(lambda x: x[None], row)
        return _without_row_axis(call(as_keys(words), params, alone, mask[None]))

    try:
        return jax.vmap(one)(words, batch, mask)
    except (NotImplementedError, ValueError) as error:
        if isinstance(error, ValueError) and "vmap" not in str(error):
            raise
        # Some operators have no rule for batches: one row after the other then.
        return lax.map(lambda args: one(*args), (words, batch, mask))


def _without_row_axis(predictions: Any) -> Any:
    def squeeze(path: Any, leaf: Any) -> Any:
        if not jnp.ndim(leaf) or jnp.shape(leaf)[0] != 1:
            raise ShapeMismatch(
                "a random model is called on one row at a time and must return one",
                facts=[
                    ("output", jax.tree_util.keystr(path) or "output"),
                    ("expected", "shape (1, …)"),
                    ("got", f"shape {jnp.shape(leaf)}"),
                ],
                slug="output-rows",
            )
        return jnp.asarray(leaf)[0]

    return jax.tree_util.tree_map_with_path(squeeze, predictions)
