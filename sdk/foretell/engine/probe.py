"""The dry batch: what a job's outputs look like and how long a batch takes, learnt on a worker."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from foretell import rows as rowops
from foretell.engine.batch_search import BatchSearch, Bounds, Found, OutOfMemory, allowance
from foretell.engine.batches import TooManyFailures, UserError
from foretell.engine.messages import trouble
from foretell.engine.runtime import RUNTIMES, Runtime
from foretell.engine.tasks import LoadFailed
from foretell.errors import ForetellError, LoadError, ShapeMismatch
from foretell.outputs import as_array, spec_of
from foretell.types import JSON, Arrays, Examples, OutputSpec

SEARCH_BYTES = 64 << 20
"""Input of the largest batch a search tries."""


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """What to try.

    Attributes:
        start, stop: The rows of the run.
        keep: Input columns to carry over.
        batches: Full batches to time after the first; 0 when nobody wants to know.
        seconds: Stop timing after so many seconds: a slow batch need not be timed twice.
        bounds: Which other batch sizes may be tried.
    """

    start: int
    stop: int
    keep: tuple[str, ...]
    batches: int = 2
    seconds: float = 0.2
    bounds: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What was learnt.

    Attributes:
        outputs: Model outputs, then kept columns.
        row_bytes: Input bytes of one row.
        read_seconds: Time of reading one batch of rows, each try.
        batch_seconds: Time of one warm batch, each try.
        search: The batch size that was found to be fastest, where one was searched for.
        load_seconds: Time to load and deploy the model.
        devices: Names of the devices.
        warnings: What people should know, e.g. rows of the dry batch that failed.
        notes, sharding, remarks: What the deployment says of itself.
    """

    outputs: tuple[OutputSpec, ...]
    row_bytes: int
    read_seconds: tuple[float, ...]
    batch_seconds: tuple[float, ...]
    load_seconds: float
    devices: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    sharding: tuple[Mapping[str, JSON], ...] = ()
    search: Found | None = None
    remarks: tuple[str, ...] = ()


def probe(run: str, request: ProbeRequest) -> ProbeReport | LoadFailed | None:
    """Run the dry batch in this process; None when it does not know the run."""
    runtime = RUNTIMES.get(run)
    if runtime is None:
        return None
    try:
        runtime.load()
        report = _Probe(runtime, request).run()
        runtime.warm_up()
        return report
    except ForetellError as error:
        return LoadFailed(trouble(error), error.exit_code)
    except UserError as error:
        return LoadFailed(trouble(error), LoadError.exit_code)


class _Probe:
    def __init__(self, runtime: Runtime, request: ProbeRequest) -> None:
        self.runtime = runtime
        self.request = request
        self.size = runtime.local_batch_size
        self.reads: list[float] = []
        self.warnings: list[str] = []

    def run(self) -> ProbeReport:
        examples, rows, outputs, usable = self._first_outputs()
        specs = self._specs(outputs)
        kept = tuple(
            spec_of(name, rowops.column(rowops.take(examples, usable), name))
            for name in self.request.keep
        )
        clashes = {spec.name for spec in specs} & set(self.request.keep)
        if clashes:
            raise ShapeMismatch(
                f"a kept column has the name of an output: {min(clashes)!r}",
                tries=[("rename the output in postprocess", "")],
                slug="keep",
            )
        row_bytes = _bytes_per_row(examples)
        seconds = tuple(self._timed(examples, rows))
        found = self._search(seconds, row_bytes)
        if found is not None and found.tried:
            rate = dict(found.tried).get(found.batch_size)
            seconds = seconds if rate is None else (found.batch_size / rate,)
        return ProbeReport(
            outputs=(*specs, *kept),
            row_bytes=row_bytes,
            read_seconds=tuple(self.reads),
            batch_seconds=seconds,
            search=found,
            load_seconds=self.runtime.load_seconds,
            devices=tuple(self.runtime.deployment.devices()),
            warnings=tuple(self.warnings),
            notes=tuple(self.runtime.deployment.notes()),
            sharding=tuple(self.runtime.deployment.sharding()),
            remarks=tuple(self.runtime.deployment.remarks()),
        )

    def _places(self) -> Iterator[int]:
        first, last = self.request.start, self.request.stop
        middle = first + (last - first) // 2
        yield from dict.fromkeys((first, middle, max(first, last - self.size)))

    def _first_outputs(self) -> tuple[Examples, np.ndarray, Arrays, np.ndarray]:
        """Outputs of the first batch that has any: the start, the middle, the end are tried."""
        failure: BaseException | None = None
        for start in self._places():
            examples, rows, mask = self._read(start)
            if not mask.any():
                failure = failure or LoadError("no row of the dry batch can be read")
                continue
            try:
                return examples, rows, self._outputs(examples, rows, mask), np.flatnonzero(mask)
            except ShapeMismatch:
                raise
            except UserError as error:
                failure = failure or error
        assert failure is not None
        if isinstance(failure, ForetellError):
            raise failure
        raise LoadError(
            "the model fails on every row of the dry batch",
            facts=[
                ("cause", f"{type(failure).__name__}: {failure}"),
                ("rows", f"{self.request.start} to {self.request.stop}: start, middle and end"),
            ],
            tries=[("--debug", "shows the traceback")],
            slug="model-raises",
        ) from failure

    def _read(self, start: int) -> tuple[Examples, np.ndarray, np.ndarray]:
        stop = min(start + self.size, self.request.stop)
        clock = time.perf_counter()
        got = self.runtime.source.read(start, stop)
        self.reads.append(time.perf_counter() - clock)
        mask = np.ones(stop - start, dtype=bool)
        for error in got.errors:
            mask[error.row - start] = False
        return got.examples, np.arange(start, stop, dtype=np.int64), mask

    def _outputs(self, examples: Examples, rows: np.ndarray, mask: np.ndarray) -> Arrays:
        runner = self.runtime.runner
        try:
            return runner.run(examples, rows, mask, self.size)
        except UserError as error:
            try:
                result = runner.settle(examples, rows, mask, error, 16, self.size)
            except TooManyFailures as many:
                raise (many.__cause__ or many) from None
        if not result.pieces:
            raise next(iter(result.failures.values()))
        if result.failures:
            cause = next(iter(result.failures.values()))
            self.warnings.append(
                f"{len(result.failures)} rows of the dry batch fail: "
                f"{type(cause).__name__}: {cause}"
            )
        return result.pieces[0][1]

    def _specs(self, outputs: Arrays) -> tuple[OutputSpec, ...]:
        learnt = {name: spec_of(name, values) for name, values in outputs.items()}
        declared = self.runtime.predictor.output_specs()
        if declared is None:
            return tuple(learnt.values())
        chosen = self.runtime.job.sections["predictor"].get("outputs")
        declared = [spec for spec in declared if chosen is None or spec.name in chosen]
        for spec in declared:
            if spec.name not in outputs:
                raise ShapeMismatch(
                    "the model does not return an output its predictor declares",
                    facts=[("output", spec.name), ("returned", ", ".join(learnt) or "none")],
                )
            as_array(spec.name, outputs[spec.name], spec)
        return tuple(declared)

    def _timed(self, examples: Examples, rows: np.ndarray) -> Iterator[float]:
        fits = min(self.size, self.runtime.runner.ceiling)
        examples, rows = rowops.take(examples, slice(0, fits)), rows[:fits]
        mask = np.ones(len(rows), dtype=bool)
        begin = time.perf_counter()
        for _ in range(self.request.batches):
            clock = time.perf_counter()
            try:
                self.runtime.runner.run(examples, rows, mask, fits)
            except UserError:
                return
            yield (time.perf_counter() - clock) * self.size / fits
            alone = self.runtime.group.size == 1  # members of a group must launch equally often
            if alone and time.perf_counter() - begin > self.request.seconds:
                return

    def _search(self, seconds: tuple[float, ...], row_bytes: int) -> Found | None:
        """Another batch size, where the model takes any and the job is long enough."""
        runtime, bounds, rows = self.runtime, self.request.bounds, self.request
        free = runtime.predictor.supports_auto_batch_size and runtime.deployment.any_batch_size
        if not (bounds.largest and seconds and free and runtime.group.size == 1):
            return None
        row_seconds = min(seconds) / self.size
        allowed = allowance(rows.stop - rows.start, row_seconds, bounds.slots)
        if not allowed or runtime.runner.ceiling < self.size:
            return None
        most = max(self.size, SEARCH_BYTES // max(1, row_bytes))
        bounds = dataclasses.replace(bounds, largest=min(bounds.largest, most))
        try:
            return BatchSearch(self._measure, bounds, allowed).run(self.size, row_seconds)
        except UserError:
            return None  # the rows of the sample fail; the run itself says which

    def _measure(self, size: int, rows: int) -> float:
        """Seconds for the first rows of the run in batches of ``size``; reading is not counted."""
        start = self.request.start
        got = self.runtime.source.read(start, start + rows)
        mask = np.ones(rows, dtype=bool)
        for error in got.errors:
            mask[error.row - start] = False
        places = np.arange(start, start + rows, dtype=np.int64)
        clock = time.perf_counter()
        for first in range(0, rows, size):
            window = slice(first, first + size)
            if not mask[window].any():
                continue
            piece = rowops.take(got.examples, window)
            try:
                self.runtime.runner.run(piece, places[window], mask[window], size)
            except UserError as error:
                if self.runtime.deployment.is_out_of_memory(error):
                    raise OutOfMemory from error
                raise
        return time.perf_counter() - clock


def _bytes_per_row(examples: Examples) -> int:
    count = max(1, rowops.count(examples))
    if isinstance(examples, np.ndarray):
        return int(examples.nbytes // count)
    if isinstance(examples, dict):
        return int(sum(column.nbytes for column in examples.values()) // count)
    return sum(_size(record) for record in examples[:64]) // max(1, min(count, 64))


def _size(value: Any) -> int:
    """Rough memory of one record: its text and arrays, plus what Python adds."""
    if isinstance(value, dict):
        return 64 + sum(_size(v) for v in value.values())
    if isinstance(value, list | tuple):
        return 56 + sum(_size(v) for v in value)
    if isinstance(value, str | bytes):
        return 56 + len(value)
    return int(getattr(value, "nbytes", 32))
