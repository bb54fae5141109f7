"""Turns a complete spool into run stores, one for each loader, rows in input order."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from foretell.builtin.writers.zarr import ZarrOptions, ZarrWriter
from foretell.digest import hash_json
from foretell.frameworks import version
from foretell.plan import Plan, spec_bytes
from foretell.store.assemble import assemble
from foretell.store.manifest import new_manifest
from foretell.store.objects import ObjectStore
from foretell.store.open import open_objects
from foretell.store.takeover import Clock
from foretell.types import Arrays, Chunk

from foretell_torch.writer.gather import Contents, Gatherer
from foretell_torch.writer.record import Record, completed, write_record
from foretell_torch.writer.spool import SPOOL

CHUNK_BYTES = 4 * 2**20
_MOST_ROWS = 65_536

CLOCK = Clock()
"""Time as the making of a store sees it."""


def store_name(loader: int, loaders: int) -> str:
    """Folder of a loader's run store."""
    return "predictions.zarr" if loaders == 1 else f"predictions-{loader}.zarr"


def finish_zarr(folder: Path, objects: ObjectStore, record: Record, compression: int) -> bool:
    """Make the run stores, when every row is there; whether it was.

    A call that was killed is continued by the next: the spool goes last.

    Args:
        folder: The output folder.
        objects: The same.
        record: What it is.
        compression: zstd level of the stores, 0 for a checksum only.
    """
    gatherer = Gatherer(objects, SPOOL, record)
    loaders = [gatherer.contents(loader) for loader in range(len(record.loaders))]
    if any(contents.missing for contents in loaders):
        return False
    for contents in loaders:
        if len(contents.places) and contents.specs:
            _assemble(folder, gatherer, contents, record, compression)
    write_record(objects, completed(record, tuple(contents.counts for contents in loaders)))
    shutil.rmtree(folder / SPOOL, ignore_errors=True)
    return True


def _assemble(
    folder: Path, gatherer: Gatherer, contents: Contents, record: Record, compression: int
) -> None:
    plan = _plan(contents, record)
    manifest = new_manifest(
        job=_job(contents, record, compression),
        fingerprint={
            "model": record.model,
            "dataset": record.loaders[contents.loader].dataset,
            "rows": str(plan.n_rows),
        },
        plan=plan.to_json(),
        versions={name: version(name) for name in ("foretell", "torch", "lightning")},
        created=CLOCK.now(),
        live=True,
    )
    objects = open_objects(str(folder / store_name(contents.loader, len(record.loaders))))
    writer = ZarrWriter(ZarrOptions(compression=compression), objects)

    def read(chunk: Chunk) -> tuple[Arrays, np.ndarray]:
        return gatherer.read(contents, chunk.start, chunk.stop)

    command = "foretell_torch.PredictionWriter"
    assemble(objects, manifest, writer, read, command=command, clock=CLOCK)


def _plan(contents: Contents, record: Record) -> Plan:
    row_bytes = max(1, sum(spec_bytes(spec) for spec in contents.specs))
    rows = min(_MOST_ROWS, max(1, CHUNK_BYTES // row_bytes))
    rows = 1 << max(0, math.floor(math.log2(rows)))
    identity = record.loaders[contents.loader].identity
    attrs: dict[str, Any] = {
        "source_kind": "lightning-loader",
        "predictor_kind": "lightning",
        "unit": "rows",
        "row_identity": "index in the dataset"
        if identity == "index"
        else f"counted by rank, order {record.order}",
    }
    return Plan(
        n_rows=len(contents.places),
        row_offset=0,
        chunk_rows=rows,
        batch_size=rows,
        slots=1,
        threads=1,
        group_size=1,
        seed=0,
        outputs=contents.specs,
        attrs=attrs,
    )


def _job(contents: Contents, record: Record, compression: int) -> dict[str, Any]:
    """What made it, in the form of a job; no job file can make it again."""
    loader = record.loaders[contents.loader]
    return {
        "version": 1,
        "source": {"kind": "lightning-loader", "dataset": loader.dataset},
        "predictor": {"kind": "lightning", "version": hash_json(record.model)[:23]},
        "deployer": None,
        "writer": {"kind": "zarr", "compression": compression},
        "schedule": {},
    }
