"""The parts of workload A, each alone on one core: what no scheduler can do without.

python benchmarks/a_parts.py [--small | --full] [--rounds 5]

Read by the zarr source, computed by one thread in batches of 4,096, written by the zarr writer into
a store. Their sum over the number of cores is the time a perfect overlap would take.
"""

from __future__ import annotations

import os
import sys
import time

import numpy as np
from a_light import BATCH
from lab import place
from lab.main import main
from lab.report import Line, Report, interleaved
from protections import HeldLease

CHUNK = place.SOURCE_CHUNK


def read(rows):
    """Seconds of CPU to read every row."""
    from foretell.builtin.sources.zarr import ZarrOptions, ZarrSource

    source = ZarrSource(ZarrOptions(kind="zarr", path=str(place.features(rows))))
    clock = time.process_time()
    for start in range(0, rows, CHUNK):
        source.read(start, min(start + CHUNK, rows))
    return time.process_time() - clock


def compute(rows):
    """Seconds of CPU to run the network over every row."""
    import torch

    sys.path.insert(0, str(place.models()))
    from mlp import MLP

    torch.set_num_threads(1)
    model = MLP()
    batch = np.random.default_rng(0).normal(size=(BATCH, place.FEATURES)).astype("float32")
    model(batch)
    clock = time.process_time()
    for _ in range(-(-rows // BATCH)):
        model(batch)
    return time.process_time() - clock


def write(rows):
    """Seconds of CPU to write every logit and the mask."""
    from foretell.abc.writer import WriterPlan
    from foretell.builtin.writers.zarr import ZarrOptions, ZarrWriter
    from foretell.store.open import open_objects
    from foretell.types import OutputSpec

    plan = WriterPlan(rows, CHUNK, BATCH, (OutputSpec("logits", (10,), "float32"),))
    objects = open_objects(str(place.empty("a-parts")), lease=HeldLease())
    objects.ensure_root()
    writer = ZarrWriter(ZarrOptions(), objects)
    writer.create(plan)
    writer.open(plan)
    logits = np.random.default_rng(0).normal(size=(CHUNK, 10)).astype("float32")
    valid = np.ones(CHUNK, dtype="uint8")
    clock = time.process_time()
    for number in range(plan.n_chunks):
        chunk = plan.chunk(number)
        writer.write(chunk, {"logits": logits[: len(chunk)]}, valid[: len(chunk)])
    return time.process_time() - clock


def measure(form, rounds, say):
    """200,000 rows in the small form, 1,000,000 in the full one."""
    from foretell.heap import keep_freed_memory

    keep_freed_memory(2)
    rows = 200_000 if form == "small" else 1_000_000
    report = Report(f"Parts of A, {rows:,} rows, one core", "s of CPU", higher=False)
    parts = [("read", read), ("compute", compute), ("write", write)]
    found = interleaved([(n, lambda part=p: part(rows)) for n, p in parts], rounds, say)
    report.lines = [Line(name, samples) for name, samples in found.items()]
    cores = len(os.sched_getaffinity(0))
    whole = sum(line.median for line in report.lines)
    report.notes = [f"A perfect overlap on {cores} cores: {rows * cores / whole:,.0f} rows/s."]
    return [report]


if __name__ == "__main__":
    main(measure, __doc__)
