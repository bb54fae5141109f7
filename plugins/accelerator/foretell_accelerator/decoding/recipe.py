"""What a decoder's settings say to compile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from foretell_accelerator.compiling import Recipe
from foretell_accelerator.decoding.programs import Grid, vocabulary_of, wants_cache
from foretell_accelerator.decoding.tokens import BYTES, PretrainedTokenizer
from foretell_accelerator.targets.eager import EagerTarget

_SHORTEST = 32


def grid_of(predictor: Any, model: Any, target: Any, batch_size: int) -> Grid:
    """Lengths, batch sizes and cache of a predictor's decoder on a target.

    PyTorch as it is compiles nothing, so there short texts get short lengths of their own: powers
    of two up to the longest.
    """
    options = predictor.options
    lengths = predictor.grid_lengths(model)
    if target.name == EagerTarget.name and not options.lengths:
        shorter = []
        length = _SHORTEST
        while length < lengths[-1]:
            shorter.append(length)
            length *= 2
        lengths = (*shorter, *lengths)
    sizes = tuple(sorted(set(options.batch_sizes or (batch_size,))))
    cache = wants_cache(model, target, options.use_cache)
    return Grid(lengths, sizes, cache, vocabulary_of(model, lengths[0]))


def decoder_recipe(recipe: Recipe, predictor: Any, grid: Grid, stage: Path | None = None) -> Recipe:
    """A recipe with what generation must know beside the programs.

    Args:
        recipe: Of the model.
        predictor: Gives the tokenizer.
        grid: What is compiled.
        stage: A folder to put a pretrained tokenizer's files into, to be copied into the artifact.
    """
    tokenizer = predictor.tokenizer
    known = predictor.options.tokenizer or "tokenizer"
    extras: dict[str, Path] = {}
    if isinstance(tokenizer, PretrainedTokenizer):
        known = "tokenizer"
        if stage is not None:
            tokenizer.save(stage / known)
            extras[known] = stage / known
    elif known != BYTES and predictor.options.tokenizer is None:
        known = BYTES
    decoder = {
        "vocabulary": grid.vocabulary,
        "lengths": list(grid.lengths),
        "batch_sizes": list(grid.batch_sizes),
        "cache": grid.cache,
        "tokenizer": known,
    }
    return replace(recipe, decoder=decoder, extras=extras)
