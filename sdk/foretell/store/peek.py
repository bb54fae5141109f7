"""Reads a little of a chunk: as much as a preview needs and never more than a bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from foretell.abc.writer import Writer
from foretell.errors import StoreError, UnknownOutput
from foretell.plan import spec_bytes
from foretell.previews.values import BlockMeta
from foretell.rows import allocate
from foretell.store.chunk_reader import ChunkReader
from foretell.store.snapshot import Snapshot
from foretell.text import size
from foretell.types import ChunkState, OutputSpec, Valid

LIMIT = 4 * 2**20
"""Bytes of decoded values a look takes at most."""

VALID = OutputSpec("valid", (), "uint8")
_TEXTS = ("str", "json")
_PACKED = 4
"""Text is taken to be so many times as large in memory as it is stored."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of one output of a chunk, those that were predicted.

    Attributes:
        spec: The output.
        chunk: Chunk id.
        values: ``(n, …)`` as the spec says; text and ragged values as objects.
        rows: int64 ``(n,)``: index of each row in the run, as ``run[name][row]`` takes it.
        total: Rows of the chunk.
        quarantined: Rows among those looked at that have no prediction.
        note: What was left out and why, one line; empty when nothing was.
    """

    spec: OutputSpec
    chunk: int
    values: np.ndarray
    rows: np.ndarray
    total: int
    quarantined: int = 0
    note: str = ""

    def meta(
        self, view: str = "auto", index: int = 0, previous: np.ndarray | None = None
    ) -> BlockMeta:
        """What a preview is told of this block; see there."""
        return BlockMeta(
            self.spec.name,
            self.spec.dtype,
            self.spec.dims,
            self.spec.attrs,
            self.chunk,
            self.rows,
            self.total,
            view,
            index,
            previous,
        )


class Peek:
    """Small reads of a run's outputs. Keeps what it read lately.

    Args:
        snapshot: The run; moved on when a chunk that is asked for is not done in it.
        writer: Writer of the run's kind.
        most: Bytes of decoded values one look takes at most.

    Attributes:
        writer: As given.
    """

    def __init__(self, snapshot: Snapshot, writer: Writer, *, most: int = LIMIT) -> None:
        self.snapshot = snapshot
        self.plan = snapshot.plan
        self.most = most
        self.writer = writer
        self._chunks = ChunkReader(snapshot, writer)

    @property
    def remote(self) -> bool:
        """Whether a look costs round trips: viewers ask before they take one."""
        return self.snapshot.objects.remote

    @property
    def names(self) -> list[str]:
        """Names of the outputs, ``valid`` last."""
        return [*(spec.name for spec in self.plan.outputs), VALID.name]

    def spec(self, name: str) -> OutputSpec:
        """The spec of an output.

        Raises:
            UnknownOutput: there is none of that name.
        """
        for spec in (*self.plan.outputs, VALID):
            if spec.name == name:
                return spec
        raise UnknownOutput(
            f"this run has no output {name!r}", facts=[("outputs", ", ".join(self.names))]
        )

    # --- which chunk --------------------------------------------------------------------------

    def first(self) -> int | None:
        """The first chunk that is done, None when none is."""
        return self._at(np.flatnonzero(self._done())[:1])

    def latest(self) -> int | None:
        """The chunk that was finished last, None when none is."""
        table, done = self.snapshot.table, np.flatnonzero(self._done())
        if not len(done):
            return None
        ended = table.started[done] + table.milliseconds[done] / 1000.0
        return int(done[np.argmax(ended)])

    def next_done(self, chunk: int, step: int = 1) -> int | None:
        """The done chunk after (before, with ``step`` -1) ``chunk``; None at the end."""
        done = np.flatnonzero(self._done())
        if step > 0:
            return self._at(done[done > chunk][:1])
        return self._at(done[done < chunk][-1:])

    def _done(self) -> np.ndarray:
        found: np.ndarray = self.snapshot.table.state == ChunkState.DONE
        return found

    def _at(self, found: np.ndarray) -> int | None:
        return int(found[0]) if len(found) else None

    # --- what is in it ------------------------------------------------------------------------

    def block(self, name: str, chunk: int) -> Block:
        """Rows of one output of a done chunk: all of them, or a sample of at most ``most`` bytes.

        Raises:
            UnknownOutput: there is no such output.
            NotYetPredicted: the chunk is not done.
            StoreError: an object of it is missing or not what was recorded.
        """
        spec = self.spec(name)
        self._chunks.look_again([chunk])
        self._chunks.require(name, [chunk])
        total = self.plan.rows_of(chunk)
        row_bytes = self._row_bytes(spec, chunk)
        if total * row_bytes <= self.most:
            return self._whole(spec, chunk)
        if not self.writer.supports_spans:
            whole = f"the chunk is {size(total * row_bytes)} and can only be read whole"
            return self._nothing(spec, chunk, whole)
        unit = max(1, min(self.writer.span_rows(name), total))
        count = self.most // (unit * row_bytes)
        if not count:
            part = f"the least part that can be read is {size(unit * row_bytes)}"
            return self._nothing(spec, chunk, part)
        return self._sample(spec, chunk, unit, count, row_bytes)

    def _whole(self, spec: OutputSpec, chunk: int) -> Block:
        if spec.name == VALID.name:
            values = self._chunks.valid(chunk)
            return self._picked(spec, chunk, values, np.arange(len(values)), values)
        values, valid = self._chunks.read(chunk, spec.name)
        return self._picked(spec, chunk, values, np.arange(len(values)), valid)

    def _sample(self, spec: OutputSpec, chunk: int, unit: int, count: int, row_bytes: int) -> Block:
        total, rows = self.plan.rows_of(chunk), self.plan.chunk(chunk)
        units = -(-total // unit)
        starts = np.unique(np.linspace(0, units - 1, min(count, units)).astype(np.int64)) * unit
        spans = [(start, min(start + unit, total)) for start in starts.tolist()]
        values = [self.writer.read_span(rows, spec.name, *span) for span in spans]
        where = np.concatenate([np.arange(*span) for span in spans])
        note = f"chunk is {size(total * row_bytes)}, showing a strided sample"
        valid = self._chunks.valid(chunk)
        return self._picked(spec, chunk, np.concatenate(values), where, valid[where], note)

    def _picked(
        self,
        spec: OutputSpec,
        chunk: int,
        values: np.ndarray,
        where: np.ndarray,
        valid: np.ndarray,
        note: str = "",
    ) -> Block:
        """The predicted rows of what was read; all rows of ``valid`` itself."""
        if len(values) != len(where):
            raise StoreError(
                "a stored chunk has another number of rows than planned",
                facts=[
                    ("output", spec.name),
                    ("expected", f"{len(where)} rows"),
                    ("got", f"{len(values)} rows"),
                ],
                slug="store-shape",
            )
        good = valid == int(Valid.PREDICTED)
        kept: Any = slice(None) if spec.name == VALID.name or good.all() else good
        start = self.plan.chunk(chunk).start
        return Block(
            spec,
            chunk,
            values[kept],
            (start + where[kept]).astype(np.int64),
            self.plan.rows_of(chunk),
            quarantined=int(len(good) - good.sum()),
            note=note,
        )

    def _nothing(self, spec: OutputSpec, chunk: int, why: str) -> Block:
        note = f"{why}: more than a preview reads ({size(self.most)})"
        rows = np.zeros(0, np.int64)
        return Block(spec, chunk, allocate(spec, 0), rows, self.plan.rows_of(chunk), note=note)

    def _row_bytes(self, spec: OutputSpec, chunk: int) -> int:
        """Bytes of one row in memory; for text a guess from what the chunk takes in the store."""
        least = spec_bytes(spec)
        if spec.dtype not in _TEXTS:
            return max(1, least)
        stored = int(self.snapshot.table.sizes[chunk].sum(dtype=np.int64))
        return max(least, _PACKED * stored // max(1, self.plan.rows_of(chunk)))
