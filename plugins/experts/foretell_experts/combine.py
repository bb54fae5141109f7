"""What experts said, combined by weight."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from foretell.errors import ShapeMismatch
from foretell.types import Arrays

from foretell_experts.router import Choice

ANSWERED = "experts"
"""Output that records which experts a row's prediction comes from."""


class Answers:
    """The outputs of experts for the rows of one batch of ``size``."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.outputs: dict[int, Arrays] = {}
        self.rows: dict[int, np.ndarray] = {}

    def add(self, number: int, rows: np.ndarray, outputs: Arrays) -> None:
        """Take in the outputs of an expert for some of its rows."""
        for name, array in outputs.items():
            if len(array) != len(rows):
                raise ShapeMismatch(
                    "an expert answered for another number of rows than it was asked",
                    facts=[
                        ("output", name),
                        ("expected", f"{len(rows)} rows"),
                        ("got", f"{len(array)} rows"),
                    ],
                )
        if number in self.outputs:
            before = self.outputs[number]
            outputs = {name: np.concatenate([before[name], outputs[name]]) for name in outputs}
            rows = np.concatenate([self.rows[number], rows])
        self.outputs[number], self.rows[number] = outputs, rows

    def numbers(self, chosen: np.ndarray) -> np.ndarray:
        """The experts of ``chosen``, int64 ``(B, k)``, that answered for their row; else -1."""
        kept = np.full_like(chosen, -1)
        for number, rows in self.rows.items():
            there = np.zeros(self._size, dtype=bool)
            there[rows] = True
            kept[(chosen == number) & there[:, None]] = number
        return kept

    def counts(self, chosen: np.ndarray) -> np.ndarray:
        """How many experts answered for each row: int64 ``(B,)``."""
        counts: np.ndarray = (self.numbers(chosen) >= 0).sum(axis=1)
        return counts


def combine(choice: Choice, answers: Answers, names: Sequence[str]) -> Arrays:
    """The weighted sum of the experts' outputs, in the order the router chose them.

    The weights of experts that did not answer go to those that did, in proportion.

    Args:
        choice: Experts and weights of ``B`` rows.
        answers: For every row at least one expert's outputs.
        names: The experts' names, for messages.

    Returns:
        Each output ``(B, ...)`` in its own dtype, and :data:`ANSWERED`, int32 ``(B, k)``: numbers
        of the experts that answered, -1 for none in this place.

    Raises:
        ShapeMismatch: the experts differ in what they return, or it cannot be combined.
    """
    kept = answers.numbers(choice.experts)
    weights = _weights(choice, kept)
    like = _common(answers, names)
    combined = {name: _sum(name, array, kept, weights, answers) for name, array in like.items()}
    combined[ANSWERED] = kept.astype(np.int32)
    return combined


def _weights(choice: Choice, kept: np.ndarray) -> np.ndarray:
    """float64 ``(B, k)``; untouched for rows whose experts all answered."""
    given = choice.weights.astype(np.float64)
    chosen = np.where(choice.experts >= 0, given, 0.0)
    answered = np.where(kept >= 0, given, 0.0)
    total, left = chosen.sum(axis=1), answered.sum(axis=1)
    short = (kept != choice.experts).any(axis=1) & (left != 0)
    scale = np.ones(len(given))
    scale[short] = total[short] / left[short]
    scaled: np.ndarray = answered * scale[:, None]
    return scaled


def _common(answers: Answers, names: Sequence[str]) -> Arrays:
    """One expert's outputs, after a look whether the others' are of the same kind."""
    numbers = sorted(answers.outputs)
    first = answers.outputs[numbers[0]]
    if ANSWERED in first:
        raise ShapeMismatch(
            f"{ANSWERED!r} is the output that records which experts answered",
            facts=[("expert", names[numbers[0]]), ("outputs", ", ".join(first))],
            tries=[("another name", "for the expert's output")],
            slug="experts-output",
        )
    for number in numbers[1:]:
        other = answers.outputs[number]
        if _kinds(first) != _kinds(other):
            raise ShapeMismatch(
                "the experts return different outputs",
                facts=[
                    (names[numbers[0]], _phrase(first)),
                    (names[number], _phrase(other)),
                ],
                slug="experts-output",
            )
    return first


def _kinds(outputs: Arrays) -> dict[str, tuple[tuple[int, ...], str]]:
    return {name: (array.shape[1:], str(array.dtype)) for name, array in outputs.items()}


def _phrase(outputs: Arrays) -> str:
    return ", ".join(f"{n} {dtype} {shape}" for n, (shape, dtype) in _kinds(outputs).items())


def _sum(
    name: str, like: np.ndarray, kept: np.ndarray, weights: np.ndarray, answers: Answers
) -> np.ndarray:
    floats = like.dtype.kind in "fc"
    if not floats and not _is_plain(kept, weights):
        raise ShapeMismatch(
            "only floats can be combined by weight",
            facts=[("output", name), ("got", f"{like.dtype} {like.shape[1:]}")],
            tries=[("postprocess = …", "let the experts return scores, and decide after them")],
            slug="experts-output",
        )
    wide = np.result_type(like.dtype, np.float32) if floats else like.dtype
    total = np.zeros((len(kept), *like.shape[1:]), dtype=wide)
    for place in range(kept.shape[1]):
        for number in np.unique(kept[:, place][kept[:, place] >= 0]).tolist():
            at = np.flatnonzero(kept[:, place] == number)
            values = answers.outputs[number][name][_find(answers.rows[number], at)]
            if floats:
                shares = weights[at, place].astype(wide).reshape(-1, *[1] * (values.ndim - 1))
                total[at] += shares * values
            else:
                total[at] = values
    return total.astype(like.dtype, copy=False)


def _is_plain(kept: np.ndarray, weights: np.ndarray) -> bool:
    """Whether every row has one expert, with weight 1."""
    real = kept >= 0
    return bool((real.sum(axis=1) <= 1).all() and (weights[real] == 1).all())


def _find(rows: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Where in ``rows`` the values ``at`` are."""
    order = np.argsort(rows, kind="stable")
    return order[np.searchsorted(rows[order], at)]
