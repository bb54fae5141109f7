"""``foretell.stream``: predictions as an iterator, bounded memory, nothing stored."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from foretell.abc import DeployContext
from foretell.engine import parts
from foretell.engine.batches import BatchRunner, UserError
from foretell.engine.engine import machine_cpus
from foretell.errors import ConfigError, PartialResult
from foretell.run.python import take_model
from foretell.types import Arrays, Examples


def stream(
    iterable: Iterable[Any],
    *,
    model: Any,
    batch_size: int = 256,
    collate: Callable[[Any], Any] | None = None,
    postprocess: Callable[[Any], Any] | None = None,
    predictor: Mapping[str, Any] | None = None,
    deployer: Mapping[str, Any] | None = None,
    on_error: str = "raise",
) -> Iterator[dict[str, Any] | None]:
    """Predict the items of any iterable, one result per item, in order.

    Batches in flight and one window of items are all that is held; there is no store, so nothing
    survives the process. Keys of random models are those of the item's position.

    Args:
        iterable: Items: arrays of one shape, or records.
        model: As for :func:`foretell.predict`.
        batch_size: Rows of a batch.
        collate, postprocess: As for :func:`foretell.predict`, live.
        predictor, deployer: Further settings by section.
        on_error: ``raise``, or ``skip``: an item that fails gives None.

    Yields:
        For each item its outputs by name.

    Raises:
        PartialResult: an item failed and ``on_error`` is ``raise``.
    """
    if on_error not in ("raise", "skip"):
        raise ConfigError(
            "on_error must be raise or skip", facts=[("on_error", f"{on_error!r} (argument)")]
        )
    section: dict[str, Any] = dict(predictor or {})
    live: dict[str, Any] = {}
    take_model(model, section, live)
    if collate is not None:
        live["collate"] = collate
    if postprocess is not None:
        live["postprocess"] = postprocess
    section.setdefault("kind", "callable")
    made = parts.build_predictor(section, ".", live)
    kind = {"kind": made.default_deployer, **(deployer or {})}
    deploying = parts.build_deployer(kind, ".")
    cpus = machine_cpus()
    context = DeployContext(batch_size, 1, deploying.threads(cpus, 1))
    deployment = deploying.deploy(made, context)
    runner = BatchRunner(made, deployment, batch_size, section.get("seed", 0), None, None)
    try:
        yield from _Stream(runner, on_error == "skip").run(iterable)
    finally:
        deployment.close()


class _Stream:
    def __init__(self, runner: BatchRunner, skip: bool) -> None:
        self.runner = runner
        self.skip = skip
        self.flying: deque[tuple[Examples, np.ndarray, Any]] = deque()

    def run(self, iterable: Iterable[Any]) -> Iterator[dict[str, Any] | None]:
        start = 0
        for items in _batched(iterable, self.runner.batch_size):
            rows = np.arange(start, start + len(items), dtype=np.int64)
            start += len(items)
            examples = _examples(items)
            mask = np.ones(len(items), dtype=bool)
            handle: Any
            try:
                handle = self.runner.start(examples, rows, mask, self.runner.batch_size)
            except UserError as error:
                handle = error
            self.flying.append((examples, rows, handle))
            if len(self.flying) >= self.runner.deployment.max_in_flight:
                yield from self._land()
        while self.flying:
            yield from self._land()

    def _land(self) -> Iterator[dict[str, Any] | None]:
        examples, rows, handle = self.flying.popleft()
        mask = np.ones(len(rows), dtype=bool)
        try:
            if isinstance(handle, BaseException):
                raise handle
            outputs = self.runner.finish(handle)
        except UserError as error:
            yield from self._settled(examples, rows, mask, error)
        else:
            for at in range(len(rows)):
                yield _row(outputs, at)

    def _settled(
        self, examples: Examples, rows: np.ndarray, mask: np.ndarray, error: BaseException
    ) -> Iterator[dict[str, Any] | None]:
        result = self.runner.settle(examples, rows, mask, error, len(rows), self.runner.batch_size)
        found: dict[int, dict[str, Any]] = {}
        for piece, outputs in result.pieces:
            for position, at in enumerate(np.flatnonzero(piece).tolist()):
                found[at] = _row(outputs, position)
        for at in range(len(rows)):
            if at in result.failures and not self.skip:
                cause = result.failures[at]
                raise PartialResult(
                    f"item {rows[at]} cannot be predicted",
                    facts=[("cause", f"{type(cause).__name__}: {cause}")],
                    tries=[('on_error="skip"', "gives None for such items")],
                ) from cause
            yield found.get(at)


def _row(outputs: Arrays, at: int) -> dict[str, Any]:
    return {name: values[at] for name, values in outputs.items()}


def _batched(iterable: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(iterable)
    while items := list(itertools.islice(iterator, size)):
        yield items


def _examples(items: list[Any]) -> Examples:
    """Arrays and numbers of one shape become one array; everything else stays a list."""
    numeric = all(isinstance(item, np.ndarray | np.generic | int | float) for item in items)
    if numeric and len({np.shape(item) for item in items}) == 1:
        return np.stack([np.asarray(item) for item in items])
    return items
