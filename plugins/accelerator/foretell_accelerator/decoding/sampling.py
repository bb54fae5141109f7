"""From logits to the next token, each row by itself and in its own random stream."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen.

    Attributes:
        draw: Whether to draw; the likeliest otherwise (the first of equals).
        temperature: Logits are divided by it.
        top_k: Draw from the likeliest this many; from all when None.
        top_p: Draw from the fewest likeliest that together reach this probability.
    """

    draw: bool = False
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None


def stream(key: np.ndarray) -> np.random.Generator:
    """The random stream of a row, from its key uint32 ``(2,)`` alone."""
    return np.random.Generator(np.random.Philox(key=[int(key[0]), int(key[1])]))


def choose(logits: np.ndarray, sampling: Sampling, random: np.random.Generator) -> int:
    """The next token of one row.

    Args:
        logits: float32 ``(V,)``.
        sampling: How.
        random: The row's stream; one number is taken from it for each token drawn.
    """
    if not sampling.draw:
        return int(logits.argmax())
    order = np.argsort(-logits.astype(np.float64), kind="stable")
    if sampling.top_k is not None:
        order = order[: sampling.top_k]
    likely = probabilities(logits[order] / sampling.temperature)
    if sampling.top_p is not None:
        reached = np.cumsum(likely)
        keep = int(np.searchsorted(reached, sampling.top_p)) + 1
        order, likely = order[:keep], likely[:keep]
    reached = np.cumsum(likely)
    place = int(np.searchsorted(reached, random.random() * reached[-1], side="right"))
    return int(order[min(place, len(order) - 1)])


def probabilities(logits: np.ndarray) -> np.ndarray:
    """The softmax, float64."""
    wide = logits.astype(np.float64)
    raised = np.exp(wide - wide.max())
    return np.asarray(raised / raised.sum())


def log_probability(logits: np.ndarray, token: int) -> float:
    """Natural log of a token's probability under the model, before temperature."""
    wide = logits.astype(np.float64)
    top = wide.max()
    return float(wide[token] - top - np.log(np.exp(wide - top).sum()))


def margin(logits: np.ndarray) -> float:
    """By how much the best logit beats the second."""
    if len(logits) < 2:
        return float("inf")
    best = np.partition(logits, -2)[-2:]
    return float(best[1] - best[0])
