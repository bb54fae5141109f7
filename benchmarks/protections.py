"""What the run store's protections cost: our Zarr writer against plain zarr, equal arrays.

Both write the same 4 MB units, one after the other, in turns, with the same shards, inner chunks
and codecs. The protections are: staging and atomic rename below a confined root, a lease check
before and after staging, the crc32c of the stored bytes, and the ``valid`` array.

    TMPDIR=/dev/shm python benchmarks/writer_overhead.py [--units 60] [--rounds 5] [--compression 1]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time

import numpy as np
import zarr
from foretell.abc.writer import WriterPlan
from foretell.builtin.writers import zarr_layout
from foretell.builtin.writers.zarr import ZarrOptions, ZarrWriter
from foretell.store.open import open_objects
from foretell.types import OutputSpec

ROWS, COLUMNS = 1024, 1024


class HeldLease:
    """A lease that always holds."""

    def check(self):
        """Nothing to wait for."""


def data(seed, units):
    """A few distinct units of 4 MB, half compressible, as logits are."""
    generator = np.random.default_rng(seed)
    return [
        generator.normal(size=(ROWS, COLUMNS)).astype("float16").astype("float32")
        for _ in range(min(units, 8))
    ]


def clocks():
    """Wall and processor seconds so far: the second is steadier on a busy machine."""
    return np.array([time.perf_counter(), time.process_time()])


def plain(folder, plan, spec, level, blocks, units):
    """Seconds (wall, processor) a unit of plain zarr on its own local store."""
    group = zarr.create_group(folder, zarr_format=3)
    array = group.create_array(spec.name, **zarr_layout.array_arguments(spec, plan, level))
    array = array.with_config({"write_empty_chunks": True})
    started = clocks()
    for unit in range(units):
        array[unit * ROWS : (unit + 1) * ROWS] = blocks[unit % len(blocks)]
    return (clocks() - started) / units


def ours(folder, plan, spec, level, blocks, units):
    """Seconds (wall, processor) a unit of the writer."""
    objects = open_objects(folder, lease=HeldLease())
    objects.ensure_root()
    writer = ZarrWriter(ZarrOptions(compression=level), objects)
    writer.create(plan)
    writer.open(plan)
    valid = np.ones(ROWS, "uint8")
    _ = writer._encoder
    started = clocks()
    for unit in range(units):
        writer.write(plan.chunk(unit), {spec.name: blocks[unit % len(blocks)]}, valid)
    return (clocks() - started) / units


def main():
    """Print the median of the rounds of both, and their ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--units", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compression", type=int, default=1)
    given = parser.parse_args()
    spec = OutputSpec("logits", (COLUMNS,), "float32")
    plan = WriterPlan(given.units * ROWS, ROWS, 256, (spec,))
    blocks = data(0, given.units)
    times = {plain: [], ours: []}
    for number in range(given.rounds):
        for measure in (plain, ours) if number % 2 else (ours, plain):
            folder = tempfile.mkdtemp()
            path = os.path.join(folder, "store")
            times[measure].append(measure(path, plan, spec, given.compression, blocks, given.units))
            shutil.rmtree(folder)
    for at, clock in enumerate(("wall", "processor")):
        a, b = (statistics.median(t[at] for t in times[measure]) for measure in (plain, ours))
        print(
            f"{clock:9}  plain {a * 1e3:.2f} ms  ours {b * 1e3:.2f} ms  {(b / a - 1) * 100:+.1f} %"
        )


if __name__ == "__main__":
    main()
