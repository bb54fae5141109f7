"""`batch_size = "auto"` against sizes set by hand, on workload A as a torch module.

python benchmarks/auto_batch.py [--small | --full] [--rounds 5]
"""

from __future__ import annotations

import shutil

from foretell.paths import cache_dir
from lab import place
from lab.foretell_run import predict
from lab.main import main
from lab.report import Check, Line, Report, interleaved

AUTO = "auto"
BY_HAND = (64, 256, 1024, 4096, 16384)


def measure(form, rounds, say):
    """One worker process; the search is no part of the job's clock, the plan's it is."""
    rows = 2_000_000 if form == "small" else 10_000_000
    report = Report(f"Batch sizes, workload A, {rows:,} rows", "rows/s")
    contenders = [(str(size), lambda size=size: _rate(rows, size)) for size in (AUTO, *BY_HAND)]
    shutil.rmtree(cache_dir() / "batch-sizes", ignore_errors=True)
    found = interleaved(contenders, rounds, say)
    report.lines = [Line(name, samples) for name, samples in found.items()]
    best = max((str(size) for size in BY_HAND), key=lambda name: report.ratio(name, AUTO))
    report.reference = best
    report.checks.append(
        Check(f"auto against the best by hand, {best}", report.ratio(AUTO, best), 0.95)
    )
    return [report]


def _rate(rows, size):
    job = {
        "source": {"kind": "zarr", "path": str(place.features(rows))},
        "predictor": {
            "kind": "torch",
            "model": f"{place.models()}/module.py:Module",
            "batch_size": size,
        },
        "schedule": {"workers": 1},
    }
    return rows / predict(job, place.empty("auto-batch")).job


if __name__ == "__main__":
    main(measure, __doc__)
