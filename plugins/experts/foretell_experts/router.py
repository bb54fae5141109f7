"""Which experts answer for a row, and with what weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from foretell.errors import LoadError, ShapeMismatch
from foretell.imports import load_object
from torch import nn

from foretell_experts.arguments import as_arguments, to_tensor
from foretell_experts.modules import load_module
from foretell_experts.settings import RouterSettings


@dataclass(frozen=True, slots=True)
class Choice:
    """A router's answer for a batch of ``B`` rows.

    Attributes:
        experts: int64 ``(B, k)``, numbers of the experts of each row; -1 for none in this place.
        weights: float32 ``(B, k)``.
    """

    experts: np.ndarray
    weights: np.ndarray


class Router(Protocol):
    """Chooses experts for a batch of inputs, as collated."""

    def __call__(self, inputs: Any, rows: int) -> Choice:
        """The choice for ``rows`` rows."""
        ...


@dataclass(frozen=True, slots=True)
class Everyone:
    """All experts with equal weights: an ensemble."""

    count: int

    def __call__(self, inputs: Any, rows: int) -> Choice:
        experts = np.tile(np.arange(self.count, dtype=np.int64), (rows, 1))
        return Choice(experts, np.full(experts.shape, 1 / self.count, dtype=np.float32))


class Gate:
    """A learnt gate: the ``top_k`` best scores of a row, weighted by their softmax.

    Source: N. Shazeer et al., "Outrageously large neural networks", 2017, without the noise.
    """

    def __init__(self, module: nn.Module, count: int, top_k: int) -> None:
        self._module = module.eval()
        self._count = count
        self._top_k = top_k

    def __call__(self, inputs: Any, rows: int) -> Choice:
        args, kwargs = as_arguments(inputs)
        with torch.inference_mode():
            scores = self._module(
                *[to_tensor(value) for value in args],
                **{name: to_tensor(value) for name, value in kwargs.items()},
            )
            if not isinstance(scores, torch.Tensor) or scores.shape != (rows, self._count):
                got = tuple(scores.shape) if isinstance(scores, torch.Tensor) else type(scores)
                raise _misrouted("the gate's scores", f"({rows}, {self._count})", str(got))
            best, experts = scores.float().topk(self._top_k, dim=1)
            weights = torch.softmax(best, dim=1)
        return Choice(experts.numpy(), weights.numpy())


class Function:
    """A function of yours: ``inputs`` to ``(experts, weights)``, or to ``experts`` alone.

    ``experts`` are numbers or names, ``(B,)`` or ``(B, k)``; ``weights`` are ``1/k`` when left out.
    """

    def __init__(
        self, function: Callable[..., Any], names: Sequence[str], options: Mapping[str, Any]
    ) -> None:
        self._function = function
        self._numbers = {name: number for number, name in enumerate(names)}
        self._options = dict(options)

    def __call__(self, inputs: Any, rows: int) -> Choice:
        answer = self._function(inputs, **self._options)
        chosen, weights = (
            answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, None)
        )
        experts = self._experts(np.asarray(chosen), rows)
        if weights is None:
            real = np.maximum(1, (experts >= 0).sum(axis=1, keepdims=True))
            return Choice(experts, np.where(experts >= 0, 1 / real, 0.0).astype(np.float32))
        given = np.asarray(weights)
        given = given[:, None] if given.ndim == 1 else given
        if given.shape != experts.shape or given.dtype.kind not in "fiu":
            raise _misrouted(
                "the router's weights", f"numbers {experts.shape}", f"{given.dtype} {given.shape}"
            )
        return Choice(experts, given.astype(np.float32))

    def _experts(self, chosen: np.ndarray, rows: int) -> np.ndarray:
        chosen = chosen[:, None] if chosen.ndim == 1 else chosen
        if chosen.ndim != 2 or len(chosen) != rows or not chosen.shape[1]:
            raise _misrouted("the router's experts", f"({rows}, k)", str(chosen.shape))
        if chosen.dtype.kind in "UO":
            chosen = np.array([[self._number(name) for name in row] for row in chosen])
        if chosen.dtype.kind not in "iu":
            raise _misrouted("the router's experts", "numbers or names", str(chosen.dtype))
        most = len(self._numbers) - 1
        if chosen.size and (chosen.min() < -1 or chosen.max() > most):
            got = f"{chosen.min()} to {chosen.max()}"
            raise _misrouted("the router's experts", f"numbers from -1 to {most}", got)
        if any(len(set(row)) < len(row) for row in _real(chosen)):
            raise _misrouted("the router's experts", "different ones for a row", "one twice")
        return chosen.astype(np.int64)

    def _number(self, name: Any) -> int:
        try:
            return self._numbers[str(name)]
        except KeyError:
            known = ", ".join(self._numbers)
            raise _misrouted("the router's experts", known, repr(name)) from None


def _real(chosen: np.ndarray) -> list[list[int]]:
    return [[number for number in row if number >= 0] for row in chosen.tolist()]


def make_router(
    settings: RouterSettings | None, names: Sequence[str], checkpoint: Path | None, base_dir: Path
) -> Router:
    """Load the router of a job.

    Raises:
        LoadError: it cannot be loaded.
    """
    if settings is None:
        return Everyone(len(names))
    if settings.gate is not None:
        module = load_module("the gate", settings.gate, settings.options, checkpoint, base_dir)
        return Gate(module, len(names), settings.top_k)
    function = load_object(settings.model, base_dir)
    if not callable(function):
        raise LoadError(
            f"{settings.model} is not callable", facts=[("got", type(function).__name__)]
        )
    return Function(function, names, settings.options)


def _misrouted(what: str, expected: str, got: str) -> ShapeMismatch:
    return ShapeMismatch(
        f"{what} are not what the mixture needs",
        facts=[("expected", expected), ("got", got)],
        slug="experts-router",
    )
