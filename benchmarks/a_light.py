"""A: a light model over many rows, where scheduling, reading and writing decide.

python benchmarks/a_light.py [--small | --full] [--rounds 5]
"""

from __future__ import annotations

import json

from lab import place
from lab.foretell_run import predict
from lab.main import main
from lab.process import Failed, run
from lab.report import Check, Line, Report, interleaved

BATCH = 4096
PEERS = {
    "dask map_blocks": ("dask_map_blocks", "dask", "zarr", 2.0),
    "dask map_blocks, torch limited to one thread": (
        "dask_map_blocks --threads 1",
        "dask",
        "zarr",
        None,
    ),
    "Daft": ("daft_frame", "daft", "parquet", 3.0),
    "Lightning, rows, torch.save": ("lightning_predict --rows", "lightning", "zarr", 5.0),
    "Lightning, whole batches, torch.save": ("lightning_predict", "lightning", "zarr", None),
    "Ray Data": ("ray_data", "ray", "parquet", 10.0),
}
"""Module and further arguments, package, source, and the ratio that is aimed at, if any."""

BARE = "bare loop"
INSIDE = "foretell, in process"
WORKER = "foretell, one worker"


def job(rows, workers, slots=2):
    """Settings of the workload."""
    return {
        "source": {"kind": "zarr", "path": str(place.features(rows))},
        "predictor": {
            "kind": "callable",
            "model": f"{place.models()}/mlp.py:MLP",
            "batch_size": BATCH,
        },
        "deployer": {"kind": "local", "slots": slots, "threads": 1},
        "schedule": {"workers": workers},
    }


def ours(rows, workers):
    """Rows per second of the job itself."""
    return rows / predict(job(rows, workers), place.empty("a-ours")).job


def peer(module, rows, source):
    """Rows per second of a peer's job itself."""
    name, *more = module.split()
    words = ["--source", str(source), "--output", str(place.empty(f"a-{name}")), *more]
    ran = run(place.python("-m", f"peers.{name}", *words))
    return rows / json.loads(ran.out.strip().splitlines()[-1])["seconds"]


def measure(form, rounds, say):
    """Measure the workload: 1,000,000 rows, and 10,000,000 for the steady state in full form."""
    reports = [_measured(200_000 if form == "small" else 1_000_000, rounds, say, PEERS)]
    if form == "full":
        reports.append(_measured(10_000_000, rounds, say, {}))
    return reports


def _measured(rows, rounds, say, peers):
    report = Report(f"A, light model, {rows:,} rows", "rows/s", reference=BARE)
    sources = {"zarr": place.features(rows)}
    contenders = [
        (BARE, lambda: peer("bare_loop", rows, sources["zarr"])),
        (INSIDE, lambda: ours(rows, 0)),
        (WORKER, lambda: ours(rows, 1)),
    ]
    skipped = []
    for name, (module, package, form, _) in peers.items():
        if not place.has(package):
            skipped.append(Line(name, skipped=f"{package} is not installed"))
            continue
        if form == "parquet" and form not in sources:
            sources[form] = place.features_parquet(rows)
        try:
            say(f"  warming up: {name}")
            peer(module, rows, sources[form])
        except Failed as error:
            skipped.append(Line(name, skipped=str(error).splitlines()[-1]))
            continue
        contenders.append((name, lambda m=module, f=form: peer(m, rows, sources[f])))
    found = interleaved(contenders, rounds, say)
    report.lines = [Line(name, samples) for name, samples in found.items()] + skipped
    for mine in (INSIDE, WORKER):
        report.checks.append(Check(f"{mine} against the bare loop", report.ratio(mine, BARE), 1.0))
    for name, (*_, least) in peers.items():
        if least is not None:
            value = report.ratio(INSIDE, name)
            report.checks.append(Check(f"in process against {name}", value, least))
    return report


if __name__ == "__main__":
    main(measure, __doc__)
