"""Rewrites of a model before it is compiled, undone afterwards.

A rewrite is a function that changes a model in place and returns what undoes the change, or None
when it does not apply to the model. It is chosen by name (``rewrites = ["eager-attention"]``) and
recorded in the artifact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from foretell_accelerator.errors import CompileError


@dataclass(frozen=True, slots=True)
class RewriteContext:
    """What a rewrite may know.

    Attributes:
        target: Name of the target the model is going to be compiled for.
        batch_sizes: Compiled batch sizes.
        lengths: Compiled sequence lengths of a decoder, empty otherwise.
    """

    target: str
    batch_sizes: tuple[int, ...] = ()
    lengths: tuple[int, ...] = ()


Rewrite: TypeAlias = Callable[[Any, RewriteContext], Callable[[], None] | None]
"""Changes a model in place; returns what undoes it, or None when it does not apply."""


@contextmanager
def rewritten(model: Any, names: Sequence[str], context: RewriteContext) -> Iterator[None]:
    """Apply rewrites in order; undo them in reverse, whatever happens in between.

    Raises:
        CompileError: one does not apply to this model.
        UnknownPlugin: there is none of that name.
    """
    from foretell_accelerator.registry import rewrite

    with ExitStack() as undone:
        for name in names:
            undo = rewrite(name)(model, context)
            if undo is None:
                raise CompileError(
                    f'the rewrite "{name}" does not apply to this model',
                    facts=[("model", type(model).__name__)],
                    slug="rewrite",
                )
            undone.callback(undo)
        yield


def eager_attention(model: Any, context: RewriteContext) -> Callable[[], None] | None:
    """Attention by matrix products and a softmax, for compilers that do not know the fused one.

    For models of transformers, whose configuration says which is used.
    """
    config = getattr(model, "config", None)
    before = getattr(config, "_attn_implementation", None)
    if config is None or before is None:
        return None
    config._attn_implementation = "eager"

    def undo() -> None:
        config._attn_implementation = before

    return undo
