"""Protections: what the run store costs against plain zarr, equal arrays in 4 MB units.

python benchmarks/protections.py [--small | --full] [--rounds 5] [--units 60]

Both write the same units, in turns, with the same shards, inner chunks and codecs. The protections
are: staging and atomic rename below a confined root, a lease check before and after staging, the
crc32c of the stored bytes, and the ``valid`` array.
"""

from __future__ import annotations

import shutil
import time

import numpy as np
from lab import place
from lab.main import main
from lab.report import Check, Line, Report, interleaved

ROWS, COLUMNS = 1024, 1024


class HeldLease:
    """A lease that always holds."""

    def check(self):
        """Nothing to wait for."""


def units(count):
    """A few distinct units of 4 MB, half compressible, as logits are."""
    generator = np.random.default_rng(0)
    return [
        generator.normal(size=(ROWS, COLUMNS)).astype("float16").astype("float32")
        for _ in range(min(count, 8))
    ]


def plain(plan, spec, level, blocks, count):
    """Milliseconds a unit of plain zarr on its own local store."""
    import zarr
    from foretell.builtin.writers import zarr_layout

    folder = place.empty("protections-plain")
    group = zarr.create_group(folder, zarr_format=3)
    array = group.create_array(spec.name, **zarr_layout.array_arguments(spec, plan, level))
    array = array.with_config({"write_empty_chunks": True})
    clock, cpu = time.perf_counter(), time.process_time()
    for unit in range(count):
        array[unit * ROWS : (unit + 1) * ROWS] = blocks[unit % len(blocks)]
    return _each(clock, cpu, count, folder)


def ours(plan, spec, level, blocks, count):
    """Milliseconds a unit of the writer."""
    from foretell.builtin.writers.zarr import ZarrOptions, ZarrWriter
    from foretell.store.open import open_objects

    folder = place.empty("protections-ours")
    objects = open_objects(str(folder), lease=HeldLease())
    objects.ensure_root()
    writer = ZarrWriter(ZarrOptions(compression=level), objects)
    writer.create(plan)
    writer.open(plan)
    valid = np.ones(ROWS, "uint8")
    _ = writer._encoder
    clock, cpu = time.perf_counter(), time.process_time()
    for unit in range(count):
        writer.write(plan.chunk(unit), {spec.name: blocks[unit % len(blocks)]}, valid)
    return _each(clock, cpu, count, folder)


def _each(clock, cpu, count, folder):
    wall = (time.perf_counter() - clock) / count * 1e3
    used = (time.process_time() - cpu) / count * 1e3
    shutil.rmtree(folder)
    return wall, used


def measure(form, rounds, say):
    """With zstd (the default) and with a checksum alone."""
    from foretell.abc.writer import WriterPlan
    from foretell.types import OutputSpec

    count = 30 if form == "small" else 120
    spec = OutputSpec("logits", (COLUMNS,), "float32")
    plan = WriterPlan(count * ROWS, ROWS, 256, (spec,))
    blocks = units(count)
    rounds = max(5, rounds)
    reports = []
    for level, name in ((1, "zstd level 1"), (0, "crc32c alone")):
        used: dict[str, list[float]] = {"plain zarr": [], "foretell": []}

        def once(writer, which, level=level, used=used):
            wall, cpu = writer(plan, spec, level, blocks, count)
            used[which].append(cpu)
            return wall

        contenders = [
            ("plain zarr", lambda once=once: once(plain, "plain zarr")),
            ("foretell", lambda once=once: once(ours, "foretell")),
        ]
        found = interleaved(contenders, rounds, say)
        report = Report(
            f"Protections, 4 MB units, {name}", "ms a unit", reference="plain zarr", higher=False
        )
        report.lines = [
            Line(which, samples, {"CPU, ms a unit": f"{sorted(used[which])[rounds // 2]:.2f}"})
            for which, samples in found.items()
        ]
        report.checks = [
            Check("wall against plain zarr", report.ratio("foretell", "plain zarr"), 1.05, False)
        ]
        reports.append(report)
    return reports


if __name__ == "__main__":
    main(measure, __doc__)
