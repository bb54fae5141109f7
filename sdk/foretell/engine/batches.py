"""From examples to a full batch and back: filler, masks, keys, checks, and who is to blame.

Every batch the model sees has the plan's full size. Rows that must not count (padding, unusable
input, rows under suspicion) are filled with a copy of a row that does count, and masked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from foretell import rows as rowops
from foretell.abc import Deployment, Predictor
from foretell.errors import RowFailure, ShapeMismatch
from foretell.outputs import as_array, could_be_either, keep_outputs, select
from foretell.types import Arrays, Batch, Examples, OutputSpec

UserError = (Exception, SystemExit)
"""What user code may throw at us. ``SystemExit`` of a model must not end a worker."""


class TooManyFailures(Exception):
    """More rows of one chunk failed than the whole run may lose: no use in searching on."""


@dataclass(slots=True)
class BatchResult:
    """What became of one batch.

    Attributes:
        pieces: (mask over the batch, outputs of the masked rows) pairs that together cover every
            row that was predicted.
        failures: Position in the batch to the error that row raised alone.
        splits: How often the batch was cut because the device ran out of memory.
        calls: Model calls beyond the first.
    """

    pieces: list[tuple[np.ndarray, Arrays]] = field(default_factory=list)
    failures: dict[int, BaseException] = field(default_factory=dict)
    splits: int = 0
    calls: int = 0


class BatchRunner:
    """Runs batches of one process's deployment.

    Args:
        predictor: Gives collate and postprocess.
        deployment: Runs the model.
        batch_size: Rows of every batch.
        seed: The run's seed.
        outputs: Names to keep, or None for all.
        specs: What outputs must look like, or None while they are being learnt.
    """

    def __init__(
        self,
        predictor: Predictor,
        deployment: Deployment,
        batch_size: int,
        seed: int,
        outputs: Sequence[str] | None,
        specs: Mapping[str, OutputSpec] | None,
    ) -> None:
        self.predictor = predictor
        self.deployment = deployment
        self.batch_size = batch_size
        self.ceiling = batch_size
        self._seed = seed
        self._keep = None if outputs is None else tuple(outputs)
        self._specs = specs

    def start(self, examples: Examples, rows: np.ndarray, mask: np.ndarray, size: int) -> Any:
        """Collate and launch the rows of ``examples`` where ``mask`` is True.

        Args:
            examples: ``n <= size`` rows.
            rows: int64 ``(n,)``, their global indices.
            mask: bool ``(n,)``.
            size: Rows of the batch to make.

        Returns:
            A handle for :meth:`finish`.
        """
        full = np.zeros(size, dtype=bool)
        full[: len(mask)] = mask
        global_rows = np.full(size, -1, dtype=np.int64)
        global_rows[: len(mask)] = np.where(mask, rows, -1)
        if not full.all():
            index = np.zeros(size, dtype=np.int64)
            index[: len(mask)] = np.arange(len(mask))
            index[~full] = int(np.argmax(full))
            examples = rowops.take(examples, index)
        batch = Batch(
            inputs=self.predictor.collate(examples),
            rows=global_rows,
            mask=full,
            keys=rowops.row_keys(self._seed, global_rows),
        )
        return self.deployment.launch(batch), full

    def finish(self, started: Any) -> Arrays:
        """Collect a started batch: named, checked outputs of its real rows."""
        handle, mask = started
        collected = self.deployment.collect(handle)
        if not mask.any():
            return {}
        if self._specs is None:
            return self._outputs(select(collected, mask), mask)
        try:
            return self._outputs(select(collected, mask, lists="outputs"), mask)
        except Exception as error:
            # A list that could hold outputs or rows is whatever makes the planned outputs.
            if not could_be_either(collected, len(mask)):
                raise
            try:
                return self._outputs(select(collected, mask, lists="rows"), mask)
            except Exception:
                raise error from None

    def _outputs(self, predictions: Any, mask: np.ndarray) -> Arrays:
        try:
            named = self.predictor.postprocess(predictions)
        except RowFailure as error:
            real = np.flatnonzero(mask)
            raise RowFailure(real[list(error.positions)].tolist(), error.message) from error
        return self._checked(named, int(mask.sum()))

    def run(self, examples: Examples, rows: np.ndarray, mask: np.ndarray, size: int) -> Arrays:
        """Start and finish in one go."""
        return self.finish(self.start(examples, rows, mask, size))

    def settle(
        self,
        examples: Examples,
        rows: np.ndarray,
        mask: np.ndarray,
        error: BaseException,
        budget: int,
        size: int,
    ) -> BatchResult:
        """Find out what is wrong with a batch that raised ``error``, and save the rest of it.

        Out of memory halves the batch's *shape* and remembers the ceiling. Any other error is
        searched for by masking halves inside the full shape: at most ``2 * log2(size)`` calls for
        one guilty row.

        Raises:
            TooManyFailures: more than ``budget`` rows are guilty.
            ShapeMismatch: the outputs are wrong whatever the rows are.
        """
        result = BatchResult()
        self._settle(examples, rows, mask, error, budget, result, size)
        return result

    def _settle(
        self,
        examples: Examples,
        rows: np.ndarray,
        mask: np.ndarray,
        error: BaseException,
        budget: int,
        result: BatchResult,
        size: int,
    ) -> None:
        if isinstance(error, ShapeMismatch):
            raise error
        if self.deployment.is_out_of_memory(error) and size > 1:
            self._split(examples, rows, mask, budget, result, size)
            return
        positions = np.flatnonzero(mask)
        guilty = _named_by(error, positions, mask, size)
        if len(positions) == 1 or guilty:
            result.failures.update(dict.fromkeys(guilty or positions.tolist(), error))
            if len(result.failures) > budget:
                raise TooManyFailures(str(error)) from error
            if not guilty:
                return
            parts = [np.setdiff1d(positions, guilty)]
        else:
            parts = [positions[: len(positions) // 2], positions[len(positions) // 2 :]]
        for part in parts:
            self._attempt(examples, rows, part, budget, result, size)

    def _attempt(
        self,
        examples: Examples,
        rows: np.ndarray,
        positions: np.ndarray,
        budget: int,
        result: BatchResult,
        size: int,
    ) -> None:
        if not len(positions):
            return
        mask = np.zeros(len(rows), dtype=bool)
        mask[positions] = True
        result.calls += 1
        try:
            outputs = self.run(examples, rows, mask, size)
        except UserError as error:
            failure = error
        else:
            result.pieces.append((mask, outputs))
            return
        # Outside the handler, so that what fails next does not drag this traceback along.
        self._settle(examples, rows, mask, failure, budget, result, size)

    def _split(
        self,
        examples: Examples,
        rows: np.ndarray,
        mask: np.ndarray,
        budget: int,
        result: BatchResult,
        size: int,
    ) -> None:
        self.ceiling = min(self.ceiling, max(1, size // 2))
        result.splits += 1
        start = 0
        while start < len(mask):
            fits = self.ceiling  # may fall further while the pieces are tried
            window = slice(start, min(start + fits, len(mask)))
            if mask[window].any():
                inner = BatchResult()
                piece = rowops.take(examples, window)
                wanted = np.flatnonzero(mask[window])
                self._attempt(piece, rows[window], wanted, budget, inner, fits)
                self._merge(result, inner, start, len(mask))
            start += fits

    @staticmethod
    def _merge(result: BatchResult, inner: BatchResult, start: int, length: int) -> None:
        for small, outputs in inner.pieces:
            mask = np.zeros(length, dtype=bool)
            mask[start : start + len(small)] = small
            result.pieces.append((mask, outputs))
        result.failures.update({start + at: error for at, error in inner.failures.items()})
        result.splits += inner.splits
        result.calls += inner.calls

    def _checked(self, named: Mapping[str, Any], expected: int) -> Arrays:
        outputs: Arrays = {}
        for name, values in keep_outputs(named, self._keep).items():
            spec = None if self._specs is None else self._specs.get(name)
            if self._specs is not None and spec is None:
                raise _surprise("the model returned an unplanned output", name, self._specs)
            array = as_array(name, values, spec)
            if len(array) != expected:
                raise ShapeMismatch(
                    "an output has another number of rows than the batch",
                    facts=[
                        ("output", name),
                        ("expected", f"{expected} rows"),
                        ("got", f"{len(array)} rows"),
                    ],
                )
            outputs[name] = array
        missing = set(self._specs or ()) - set(outputs)
        if missing:
            raise _surprise("the model left out an output", min(missing), outputs)
        return outputs


def _named_by(
    error: BaseException, positions: np.ndarray, mask: np.ndarray, size: int
) -> list[int]:
    """Positions a :class:`RowFailure` names; filler stands for the row it is a copy of."""
    if not isinstance(error, RowFailure):
        return []
    named = {
        at if at < len(mask) and mask[at] else int(positions[0])
        for at in error.positions
        if 0 <= at < size
    }
    return sorted(named)


def _surprise(message: str, name: str, known: Mapping[str, Any]) -> ShapeMismatch:
    return ShapeMismatch(
        message, facts=[("output", name), ("outputs", ", ".join(sorted(known)) or "none")]
    )
