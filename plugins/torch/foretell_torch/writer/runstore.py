"""The run stores of a folder of predictions, one for each loader, and what is in them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from foretell.builtin.writers.zarr import ZarrOptions, ZarrWriter
from foretell.digest import hash_json
from foretell.errors import NotARun
from foretell.frameworks import version
from foretell.plan import Plan, spec_bytes
from foretell.store.assemble import Assembly
from foretell.store.manifest import Manifest, new_manifest, read_manifest
from foretell.store.objects import ObjectStore
from foretell.store.open import open_objects
from foretell.store.snapshot import open_snapshot
from foretell.store.takeover import Clock
from foretell.types import Chunk, ChunkState, OutputSpec

from foretell_torch.collator import LENGTHS
from foretell_torch.writer.record import Record
from foretell_torch.writer.segment import Segment

CHUNK_BYTES = 4 * 2**20
_MOST_ROWS = 65_536

CLOCK = Clock()
"""Time as the making of a store sees it."""


def store_name(loader: int, loaders: int) -> str:
    """Folder of a loader's run store."""
    return "predictions.zarr" if loaders == 1 else f"predictions-{loader}.zarr"


def store_objects(objects: ObjectStore, record: Record, loader: int) -> ObjectStore:
    """The run store of a loader, in the output folder."""
    return open_objects(f"{objects.url}/{store_name(loader, len(record.loaders))}")


def store_writer(store: ObjectStore, manifest: Manifest) -> ZarrWriter:
    """What reads and writes a store's outputs, compressed as its manifest says."""
    return ZarrWriter(ZarrOptions(compression=manifest.job["writer"]["compression"]), store)


def chunk_rows(specs: Sequence[OutputSpec]) -> int:
    """Rows of a chunk: a power of two, of up to :data:`CHUNK_BYTES`."""
    row_bytes = max(1, sum(spec_bytes(spec) for spec in specs))
    rows = min(_MOST_ROWS, max(1, CHUNK_BYTES // row_bytes))
    return 1 << max(0, math.floor(math.log2(rows)))


def plan_of(record: Record, loader: int, n_rows: int, specs: Sequence[OutputSpec]) -> Plan:
    """The plan of a loader's store.

    Args:
        record: What the folder is.
        loader: Index of the loader.
        n_rows: Rows of it.
        specs: Outputs, in order.
    """
    rows = chunk_rows(specs)
    identity = record.loaders[loader].identity
    attrs: dict[str, Any] = {
        "source_kind": "lightning-loader",
        "predictor_kind": "lightning",
        "unit": "rows",
        "row_identity": "index in the dataset"
        if identity == "index"
        else f"counted by rank, order {record.order}",
    }
    return Plan(
        n_rows=n_rows,
        row_offset=0,
        chunk_rows=rows,
        batch_size=rows,
        slots=1,
        threads=1,
        group_size=1,
        seed=0,
        outputs=tuple(specs),
        attrs=attrs,
    )


def open_assembly(
    objects: ObjectStore,
    record: Record,
    loader: int,
    plan: Plan,
    compression: int,
    say: Callable[[str], None] = lambda text: None,
) -> Assembly:
    """The store of a loader, begun or continued.

    Args:
        objects: The output folder.
        record: What it is.
        loader: Index of the loader.
        plan: Of its store.
        compression: zstd level, 0 for a checksum only; one that was begun keeps its own.
        say: Told what is being waited for.

    Raises:
        FingerprintMismatch: the store that is there has another plan.
        HeldError: another process is making it.
    """
    store = store_objects(objects, record, loader)
    with suppress(NotARun):
        compression = read_manifest(store).job["writer"]["compression"]
    manifest = new_manifest(
        job=_job(record, loader, compression),
        fingerprint={
            "model": record.model,
            "dataset": record.loaders[loader].dataset,
            "rows": str(plan.n_rows),
        },
        plan=plan.to_json(),
        versions={name: version(name) for name in ("foretell", "torch", "lightning")},
        created=CLOCK.now(),
        live=True,
    )
    writer = store_writer(store, manifest)
    command = "foretell_torch.PredictionWriter"
    return Assembly(store, manifest, writer, command=command, clock=CLOCK, say=say)


class Committed:
    """What a store that is not finished holds: its done chunks.

    Args:
        plan: Of the store.
        chunks: Those that are done and have a prediction for every row.
        writer: On the store.

    Attributes:
        outputs: As they were predicted, without those that say how long rows are.
        padded: Names of those that are padded.
    """

    def __init__(self, plan: Plan, chunks: Sequence[Chunk], writer: ZarrWriter) -> None:
        self.plan = plan
        self.chunks = chunks
        names = [spec.name for spec in plan.outputs]
        self.padded = frozenset(name for name in names if name + LENGTHS in names)
        lengths = {name + LENGTHS for name in self.padded}
        self.outputs = tuple(spec for spec in plan.outputs if spec.name not in lengths)
        self._writer = writer
        writer.open(plan.writer_plan())

    def segment(self, loader: int, chunk: Chunk) -> Segment:
        """A chunk in the form of the spool."""
        found, _ = self._writer.read(chunk)
        arrays = {spec.name: found[spec.name] for spec in self.outputs}
        lengths = {name: found[name + LENGTHS] for name in self.padded}
        return Segment(0, loader, range(chunk.start, chunk.stop), arrays, lengths)


def committed(objects: ObjectStore, record: Record) -> Iterator[tuple[int, Committed]]:
    """What the stores hold that have begun, of loaders whose rows have an index.

    A chunk with rows that were predicted to be None has been made from the spool, which is still
    there and tells more: it is left out.

    Raises:
        StoreError: a store is damaged.
    """
    for number, loader in enumerate(record.loaders):
        if record.format == "zarr" and loader.identity == "index":
            found = _committed(store_objects(objects, record, number))
            if found is not None:
                yield number, found


def _committed(store: ObjectStore) -> Committed | None:
    try:
        snapshot = open_snapshot(store)
    except NotARun:
        return None
    table = snapshot.table
    done = np.flatnonzero((table.state == ChunkState.DONE) & (table.quarantined == 0))
    chunks = [snapshot.plan.chunk(int(chunk)) for chunk in done]
    return Committed(snapshot.plan, chunks, store_writer(store, snapshot.manifest))


def _job(record: Record, loader: int, compression: int) -> dict[str, Any]:
    """What made it, in the form of a job; no job file can make it again."""
    return {
        "version": 1,
        "source": {"kind": "lightning-loader", "dataset": record.loaders[loader].dataset},
        "predictor": {"kind": "lightning", "version": hash_json(record.model)[:23]},
        "deployer": None,
        "writer": {"kind": "zarr", "compression": compression},
        "schedule": {},
    }
