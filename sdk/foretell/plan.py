"""The plan of a run: pure arithmetic from settings and a few measured facts. No input or output.

A plan is made once, stored in the manifest, and never computed again: a resume uses the stored one,
so that the same rows always meet the same batch shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from foretell.abc.writer import WriterPlan
from foretell.errors import OutputError, PlanError
from foretell.types import JSON, RESERVED_OUTPUTS, Chunk, OutputSpec

TARGET_CHUNK_SECONDS = 2.0
"""Work a chunk aims at: between 1 and 5 s, so that a power of two of batches can be near it."""

MAX_CHUNK_BYTES = 64 * 2**20
"""Input plus output of an automatic chunk, so that several fit into a small worker."""

AUTO_BATCH_SIZE = 256
"""Batch size when nothing is known of the device."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What the dry batch taught.

    Attributes:
        outputs: Shape and dtype of every output.
        seconds_per_batch: Time of one full batch, warm; 0 when it was not measured.
        row_bytes: Input bytes of one row in memory.
    """

    outputs: tuple[OutputSpec, ...]
    seconds_per_batch: float
    row_bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How a run is cut and computed.

    Attributes:
        n_rows: Rows to predict.
        row_offset: Global index of the first of them: above 0 when ``rows`` selects a part.
        chunk_rows: Rows of every chunk but the last.
        batch_size: Rows of every batch the model sees, filler included.
        slots: Batches computed at once in one worker process.
        threads: Intra-operation threads for each slot.
        group_size: Worker processes that act as one.
        parts: Objects a chunk is written in, side by side: the group size where its members
            share the rows, else 1.
        seed: Seed of the per-row random keys.
        outputs: Everything that is stored, kept input columns included.
        keep: Names of the outputs that are input columns.
        row_bytes: Input bytes of one row.
        max_failed: Rows that may fail before the run stops.
        attrs: Attributes for the store's root.
    """

    n_rows: int
    row_offset: int
    chunk_rows: int
    batch_size: int
    slots: int
    threads: int
    group_size: int
    seed: int
    outputs: tuple[OutputSpec, ...]
    keep: tuple[str, ...] = ()
    row_bytes: int = 0
    max_failed: int = 0
    parts: int = 1
    attrs: Mapping[str, JSON] = field(default_factory=dict)

    @property
    def n_chunks(self) -> int:
        """Number of chunks; 0 for no rows."""
        return -(-self.n_rows // self.chunk_rows)

    def chunk(self, chunk_id: int) -> Chunk:
        """The rows of a chunk, counted from the first planned row."""
        start = chunk_id * self.chunk_rows
        return Chunk(chunk_id, start, min(start + self.chunk_rows, self.n_rows))

    def rows_of(self, chunk_ids: int) -> int:
        """Rows of one chunk, without making the chunk."""
        return min(self.chunk_rows, self.n_rows - chunk_ids * self.chunk_rows)

    @property
    def output_row_bytes(self) -> int:
        """Bytes of one row of all outputs; text counts as 64 bytes."""
        return sum(spec_bytes(spec) for spec in self.outputs)

    @property
    def chunk_bytes(self) -> int:
        """Memory one chunk in hand takes on a worker: its input and its output."""
        return self.chunk_rows * (self.row_bytes + self.output_row_bytes)

    def writer_plan(self) -> WriterPlan:
        """The part of the plan a writer needs."""
        return WriterPlan(
            n_rows=self.n_rows,
            chunk_rows=self.chunk_rows,
            batch_size=self.batch_size,
            outputs=self.outputs,
            parts=self.parts,
            attrs=dict(self.attrs),
            row_offset=self.row_offset,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data for the manifest."""
        data = asdict(self)
        data["outputs"] = [asdict(spec) for spec in self.outputs]
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """The plan that :meth:`to_json` wrote."""
        values = dict(data)
        values["outputs"] = tuple(
            OutputSpec(
                name=spec["name"],
                shape=tuple(spec["shape"]),
                dtype=spec["dtype"],
                dims=tuple(spec["dims"]),
                attrs=spec["attrs"],
            )
            for spec in values["outputs"]
        )
        values["keep"] = tuple(values["keep"])
        return cls(**values)


def spec_bytes(spec: OutputSpec) -> int:
    import numpy as np

    if spec.dtype in ("str", "json"):
        return 64
    size = int(np.dtype(spec.dtype).itemsize)
    for extent in spec.shape:
        size *= extent
    return size


def check_outputs(outputs: tuple[OutputSpec, ...]) -> None:
    """Refuse output names that cannot be stored.

    Raises:
        OutputError: reserved, empty, escaping or clashing names.
    """
    names = [spec.name for spec in outputs]
    if not names:
        raise OutputError("the model has no outputs to store", facts=[("outputs", "none")])
    for name in names:
        root = name.split("/", 1)[0]
        if root in RESERVED_OUTPUTS:
            raise OutputError(
                f"the output name {name!r} is reserved",
                facts=[("reserved", ", ".join(sorted(RESERVED_OUTPUTS)))],
                tries=[("rename it in postprocess", "")],
                slug="output-reserved",
            )
        parts = name.split("/")
        if any(
            not part or part.startswith((".", "__")) or not part.isprintable() for part in parts
        ):
            raise OutputError(
                f"the output name {name!r} cannot be stored",
                facts=[("allowed", "printable names, joined by /, not starting with . or __")],
                tries=[("rename it in postprocess", "")],
                slug="output-name",
            )
    for name in names:
        clash = next((other for other in names if other.startswith(name + "/")), None)
        if clash is not None or names.count(name) > 1:
            raise OutputError(
                f"two outputs cannot both be stored: {name!r} and {clash or name!r}",
                tries=[("rename one of them in postprocess", "")],
                slug="output-name",
            )


def choose_chunk_rows(
    *,
    n_rows: int,
    batch_size: int,
    seconds_per_batch: float,
    device_slots: int,
    row_bytes: int,
    group_size: int,
) -> int:
    """Rows of an automatic chunk.

    A power-of-two number of batches whose work is near ``TARGET_CHUNK_SECONDS``, at least four
    chunks per device slot where there are rows enough, and at most ``MAX_CHUNK_BYTES`` of data.

    Args:
        n_rows: Rows of the run.
        batch_size: Rows of a batch.
        seconds_per_batch: Measured time of a batch; 0 when unknown.
        device_slots: Batches computed at once over the whole cluster.
        row_bytes: Input and output bytes of one row.
        group_size: Parts a chunk is written in; the chunk is a multiple of it.
    """
    unit = batch_size * group_size
    wanted = TARGET_CHUNK_SECONDS / seconds_per_batch if seconds_per_batch > 0 else 64.0
    by_slots = n_rows / (4.0 * device_slots * unit)
    by_bytes = MAX_CHUNK_BYTES / max(1, row_bytes * unit)
    batches = max(1.0, min(wanted, by_slots, by_bytes, 2.0**20))
    return int(unit * (1 << (int(batches).bit_length() - 1)))


def check_chunk_rows(chunk_rows: int, batch_size: int, group_size: int, origin: str) -> None:
    """Refuse a chunk that does not hold whole batches (and whole parts of a group).

    Raises:
        PlanError: with the nearest sizes that fit.
    """
    unit = batch_size * group_size
    if chunk_rows > 0 and chunk_rows % unit == 0:
        return
    below = max(unit, chunk_rows // unit * unit)
    of_what = f"batch_size {batch_size}"
    if group_size > 1:
        of_what += f" x {group_size} processes of a group"
    raise PlanError(
        "the chunk does not hold a whole number of batches",
        facts=[("chunk", f"{chunk_rows} rows ({origin})"), ("multiple of", of_what)],
        tries=[(f"--set schedule.chunk={below}", ""), (f"--set schedule.chunk={below + unit}", "")],
        slug="plan-chunk",
    )


def chunks_in_hand(plan: Plan, memory_limit: int | None, origin: str) -> int:
    """Chunks a worker may hold at once: one per slot, one being read, one being written.

    Shrinks to what ``memory_limit`` allows.

    Raises:
        PlanError: a single chunk does not fit.
    """
    wanted = plan.slots + 2
    if memory_limit is None:
        return wanted
    budget = int(memory_limit * 0.6)
    if plan.chunk_bytes > budget:
        rows = budget // max(1, plan.chunk_bytes // plan.chunk_rows)
        rows -= rows % (plan.batch_size * plan.parts)
        raise PlanError(
            "one chunk does not fit into a worker's memory",
            facts=[
                ("chunk", f"{plan.chunk_rows:,} rows, {plan.chunk_bytes:,} bytes in and out"),
                ("limit", f"60 % of {memory_limit:,} bytes ({origin})"),
            ],
            tries=[(f"--set schedule.chunk={rows}", "")]
            if rows > 0
            else [("--set predictor.batch_size=…", "a smaller batch")],
            slug="plan-memory",
        )
    return max(1, min(wanted, budget // max(1, plan.chunk_bytes)))


def failure_budget(setting: int | str, n_rows: int, chunk_rows: int) -> int:
    """Rows that may fail: ``auto`` is the larger of 0.1 % of the rows and three chunks."""
    if isinstance(setting, int):
        return setting
    return max(n_rows // 1000, 3 * chunk_rows)
