"""One chunk on a worker: read, compute in full batches, check, write whole, report."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np

from foretell import rows as rowops
from foretell.engine.batches import UserError
from foretell.engine.board import Phase
from foretell.engine.messages import (
    MAX_LOCATED_ROWS,
    MAX_MESSAGE,
    ChunkReport,
    ChunkWork,
    Trouble,
    trouble,
)
from foretell.errors import NotFinite, StoreError
from foretell.outputs import as_array
from foretell.text import word
from foretell.types import Arrays, Chunk, Examples, Receipt, RowError, Valid

if TYPE_CHECKING:
    from foretell.engine.runtime import Runtime


@dataclass(slots=True)
class Draft:
    """A chunk's outputs while they are being made."""

    arrays: Arrays
    valid: np.ndarray
    causes: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    samples: dict[tuple[str, str], BaseException | RowError] = field(default_factory=dict)
    splits: int = 0
    nan: int = 0

    def quarantine(self, position: int, error: BaseException | RowError) -> None:
        """Set one row aside for good."""
        self.valid[position] = Valid.QUARANTINED
        key = (
            (error.kind, error.message)
            if isinstance(error, RowError)
            else (type(error).__name__, str(error)[:MAX_MESSAGE])
        )
        self.causes.setdefault(key, []).append(position)
        self.samples.setdefault(key, error)


def run_chunk(runtime: Runtime, work: ChunkWork) -> ChunkReport:
    """Compute and store one chunk; every error becomes part of the report."""
    started, clock = time.time(), time.perf_counter()
    runtime.board.begin(work.chunk, work.attempt)
    part = runtime.part
    try:
        draft, receipt = _work(runtime, work)
    except UserError as error:
        touched = runtime.board.phase == Phase.WRITE
        return ChunkReport(
            chunk=work.chunk,
            attempt=work.attempt,
            started=started,
            milliseconds=_milliseconds(clock),
            ok=False,
            part=part,
            troubles=(trouble(error),),
            touched=touched,
        )
    finally:
        runtime.slots.passed(work.turn)
        runtime.board.stamp(Phase.IDLE)
    return ChunkReport(
        chunk=work.chunk,
        attempt=work.attempt,
        started=started,
        milliseconds=_milliseconds(clock),
        ok=True,
        quarantined=int((draft.valid == Valid.QUARANTINED).sum()),
        nan=draft.nan,
        splits=draft.splits,
        sizes=receipt.sizes,
        crcs=receipt.crcs,
        part=part,
        troubles=_grouped(runtime, work, draft),
    )


def _milliseconds(clock: float) -> int:
    return int((time.perf_counter() - clock) * 1000)


def _work(runtime: Runtime, work: ChunkWork) -> tuple[Draft, Receipt]:
    chunk = runtime.rows_of(work.chunk)
    board = runtime.board
    board.stamp(Phase.READ)
    draft = _old_draft(runtime, work, chunk) if work.retry else _new_draft(runtime, chunk)
    offset = runtime.job.row_offset
    got = runtime.source.read(offset + chunk.start, offset + chunk.stop)
    _check_count(got.examples, chunk)
    wanted = draft.valid != Valid.PREDICTED
    draft.valid[wanted] = Valid.NOT_PREDICTED
    for error in got.errors:
        at = error.row - offset - chunk.start
        if wanted[at]:
            wanted[at] = False
            draft.quarantine(at, error)
    _keep_columns(runtime, got.examples, wanted, draft)
    board.stamp(Phase.WAIT)
    with runtime.slots.turn(work.turn):
        board.stamp(Phase.MODEL)
        _compute(runtime, got.examples, wanted, chunk, draft)
    _count_nan(runtime, draft)
    board.stamp(Phase.WAIT)
    with runtime.writing:
        board.stamp(Phase.WRITE)
        receipt = runtime.write(work.chunk, draft.arrays, draft.valid)
    return draft, receipt


def _check_count(examples: Examples, chunk: Chunk) -> None:
    if (count := rowops.count(examples)) != len(chunk):
        raise StoreError(
            "the source returned another number of rows than it was asked for",
            facts=[("expected", f"{len(chunk)} rows"), ("got", f"{count} rows")],
            slug="source-length",
        )


def _new_draft(runtime: Runtime, chunk: Chunk) -> Draft:
    specs = runtime.plan.outputs
    return Draft(rowops.empty(specs, len(chunk)), np.zeros(len(chunk), dtype=np.uint8))


def _old_draft(runtime: Runtime, work: ChunkWork, chunk: Chunk) -> Draft:
    """What is stored, checked against its receipt, to predict only the missing rows of it."""
    keys = runtime.writer.objects(runtime.plan.chunk(work.chunk), runtime.part)
    for key, size, crc in zip(keys, work.sizes, work.crcs, strict=True):
        data = runtime.objects.get(key)
        if len(data) != size or google_crc32c.value(data) != crc:
            raise StoreError(
                "the stored chunk is damaged, so its good rows cannot be kept",
                facts=[("chunk", str(work.chunk)), ("object", key)],
                tries=[(f"sdk verify {word(runtime.job.url)} --requeue", "compute it again whole")],
                slug="chunk-damaged",
            )
    arrays, valid = runtime.writer.read(runtime.plan.chunk(work.chunk))
    return Draft({name: np.array(a) for name, a in arrays.items()}, np.array(valid))


def _keep_columns(runtime: Runtime, examples: Examples, wanted: np.ndarray, draft: Draft) -> None:
    """Carry input columns to the output; a record without the column is that row's failure."""
    for name in runtime.plan.keep:
        if isinstance(examples, list):
            for at in np.flatnonzero(wanted).tolist():
                if name not in examples[at]:
                    wanted[at] = False
                    draft.quarantine(at, KeyError(f"the record has no column {name!r} to keep"))
        positions = np.flatnonzero(wanted)
        if len(positions):
            values = rowops.column(rowops.take(examples, positions), name)
            array = as_array(name, values, runtime.specs_by_name[name])
            draft.arrays[name][positions] = array


def _compute(
    runtime: Runtime, examples: Examples, wanted: np.ndarray, chunk: Chunk, draft: Draft
) -> None:
    """All batches of a chunk, several in flight, results placed by position."""
    runner = runtime.runner
    rows = np.arange(chunk.start, chunk.stop, dtype=np.int64) + runtime.job.row_offset
    flying: deque[tuple[slice, Any]] = deque()
    start, end = 0, max(len(wanted), runtime.lockstep_rows(chunk.id))
    if end > len(wanted) and not len(wanted):
        examples = _one_row(runtime, chunk.id)
    while start < end or flying:
        size = runner.ceiling
        if start < end and len(flying) < runner.deployment.max_in_flight:
            window = slice(start, min(start + size, len(wanted)))
            start += size
            draft.splits += size < runner.batch_size
            if not wanted[window].any() and not runtime.splits_rows:
                continue
            try:
                handle = runner.start(
                    rowops.take(examples, window if wanted[window].any() else slice(0, 1)),
                    rows[window],
                    wanted[window],
                    size,
                )
            except UserError as error:
                handle = error
            flying.append((window, (handle, size)))
            continue
        window, (handle, size) = flying.popleft()
        _land(runtime, examples, rows, wanted, draft, window, handle, size)


def _one_row(runtime: Runtime, chunk_id: int) -> Examples:
    """Some row to fill batches with, for a member that has none of its own in a short chunk."""
    first = runtime.plan.chunk(chunk_id).start + runtime.job.row_offset
    return runtime.source.read(first, first + 1).examples


def _land(
    runtime: Runtime,
    examples: Examples,
    rows: np.ndarray,
    wanted: np.ndarray,
    draft: Draft,
    window: slice,
    handle: Any,
    size: int,
) -> None:
    try:
        if isinstance(handle, BaseException):
            raise handle
        outputs = runtime.runner.finish(handle)
    except UserError as error:
        if runtime.group.size > 1:
            raise  # the members move in step: none of them may search on its own
        failure = error
    else:
        _place(draft, window, wanted[window], outputs)
        return
    # Outside the handler, so that what fails next does not drag this traceback along.
    lost = int((draft.valid == Valid.QUARANTINED).sum())
    result = runtime.runner.settle(
        rowops.take(examples, window),
        rows[window],
        wanted[window],
        failure,
        max(0, runtime.job.max_failed - lost),
        size,
    )
    draft.splits += result.splits
    for at, cause in result.failures.items():
        draft.quarantine(window.start + at, cause)
    for mask, piece in result.pieces:
        _place(draft, window, mask, piece)


def _place(draft: Draft, window: slice, mask: np.ndarray, outputs: Arrays) -> None:
    if not mask.any():
        return
    where: Any = window if mask.all() else window.start + np.flatnonzero(mask)
    for name, values in outputs.items():
        draft.arrays[name][where] = values
    draft.valid[where] = Valid.PREDICTED


def _count_nan(runtime: Runtime, draft: Draft) -> None:
    """Count predicted rows with a NaN or infinity, and fail the chunk where the policy says so."""
    if runtime.job.on_nan == "allow":
        return
    predicted = draft.valid == Valid.PREDICTED
    outputs = (draft.arrays[name] for name in runtime.model_outputs)
    bad = rowops.not_finite(outputs, len(predicted))
    draft.nan = int((bad & predicted).sum())
    if draft.nan and runtime.job.on_nan == "fail":
        row = int(np.flatnonzero(bad & predicted)[0])
        raise NotFinite(
            f"{draft.nan} rows have a NaN or an infinity in an output",
            facts=[("first", f"row {row} of the chunk"), ("policy", 'on_nan = "fail"')],
        )


def _grouped(runtime: Runtime, work: ChunkWork, draft: Draft) -> tuple[Trouble, ...]:
    """The failed rows by cause, each with locators as far as they are listed."""
    first = runtime.rows_of(work.chunk).start + runtime.job.row_offset
    troubles = []
    for (kind, message), positions in draft.causes.items():
        sample = draft.samples[(kind, message)]
        located = tuple(
            RowError(first + at, kind, message, _locate(runtime, first + at))
            for at in positions[:MAX_LOCATED_ROWS]
        )
        if isinstance(sample, RowError):
            troubles.append(Trouble(kind, message, rows=located, total=len(positions)))
        else:
            troubles.append(trouble(sample, located, len(positions)))
    return tuple(troubles)


def _locate(runtime: Runtime, row: int) -> str:
    try:
        return runtime.source.locate(row)
    except UserError:
        return f"row {row}"
