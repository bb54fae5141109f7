"""The programs of a decoder: which to compile, and how to build them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foretell_accelerator.compiling import Planned
from foretell_accelerator.decoding import roles
from foretell_accelerator.errors import CompileError
from foretell_accelerator.models import trace


@dataclass(frozen=True, slots=True)
class Grid:
    """What a decoder is compiled for.

    Attributes:
        lengths: Compiled lengths, ascending.
        batch_sizes: Compiled batch sizes, ascending.
        cache: Whether keys and values are kept.
        vocabulary: Tokens the decoder knows.
    """

    lengths: tuple[int, ...]
    batch_sizes: tuple[int, ...]
    cache: bool
    vocabulary: int


def wants_cache(model: Any, target: Any, setting: bool | None) -> bool:
    """Whether a decoder on a target keeps keys and values.

    Raises:
        CompileError: it was asked for and cannot be had, saying of which of the two.
    """
    able = roles.can_cache(model) and target.supports_cache
    if setting and not able:
        why = (
            f"the target {target.name} cannot feed outputs back"
            if not target.supports_cache
            else f"{type(model).__name__} takes no cache; decoders of transformers do"
        )
        raise CompileError(
            "keys and values of earlier tokens cannot be kept",
            facts=[("predictor.use_cache", "true"), ("because", why)],
            tries=[("use_cache = false", "a full pass for each token")],
            slug="compile-cache",
        )
    return able if setting is None else setting


def vocabulary_of(model: Any, length: int) -> int:
    """How many tokens a decoder gives logits for, learnt from one small pass."""
    known = getattr(getattr(model, "config", None), "vocab_size", None)
    if known:
        return int(known)
    given = roles.padded([[0]], 1, length)
    return int(trace(roles.full(model), given).outputs[0].shape[-1])


def plan(model: Any, grid: Grid) -> list[Planned]:
    """Every program of a grid, with inputs to compile and calibrate on."""
    planned: list[Planned] = []
    for length in grid.lengths:
        for rows in grid.batch_sizes:
            planned += _programs(model, grid, rows, length)
    return planned


def _programs(model: Any, grid: Grid, rows: int, length: int) -> Sequence[Planned]:
    inputs = roles.example(rows, length, grid.vocabulary)
    tag = f"b{rows}-l{length}"
    if not grid.cache:
        call = roles.full(model)
        return [Planned(f"full-{tag}", call, inputs, "full", length, model)]
    first = roles.prefill(model)
    inputs["last"] = inputs["attention_mask"].sum(1, keepdims=True) - 1
    traced = trace(first, inputs)
    kept = {
        name: value
        for name, value in zip(traced.traceable.outputs, traced.values, strict=True)
        if name != "logits"
    }
    # Not where the last token stands, for its keys are in place already: one before the end.
    later = {
        "token": inputs["input_ids"][:, :1].copy(),
        "position": np.minimum(inputs["last"] + 1, length - 1),
        **kept,
    }
    step = roles.step(model, len(kept) // 2)
    return [
        Planned(f"prefill-{tag}", first, inputs, "prefill", length, model),
        Planned(f"step-{tag}", step, later, "step", length, model),
    ]
