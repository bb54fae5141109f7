"""A store of very many chunks: open it, ask for its status, resume it, find nothing to do.

python benchmarks/store_open.py [--small | --full] [--rounds 5]

The ledger is written by the ledger's own writer, 1,000 chunks a flush, as a run would.
"""

from __future__ import annotations

import json
import time

import numpy as np
from e_many_chunks import job
from lab import place
from lab.foretell_run import command
from lab.main import main
from lab.process import run
from lab.report import Check, Line, Report, number

FLUSH = 1_000

OPEN = """
import json, sys, time, resource
from foretell.store.open import open_objects
from foretell.store.snapshot import open_snapshot
clock, cpu = time.perf_counter(), time.process_time()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
snapshot = open_snapshot(open_objects(sys.argv[1]))
seconds = time.perf_counter() - clock
assert snapshot.table.n_chunks == int(sys.argv[2])
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": seconds, "grown": (after - before) * 1024}))
"""

CLAIM = """
import json, sys, time
from foretell.store.open import open_objects
from foretell.store.snapshot import open_snapshot
from foretell.store.takeover import claim
clock = time.perf_counter()
objects = open_objects(sys.argv[1])
ledger = claim(objects, open_snapshot(objects).manifest)
seconds = time.perf_counter() - clock
assert ledger.epoch > 1
print(json.dumps({"seconds": seconds}))
"""


def make(chunks, done):
    """A run of which ``done`` chunks are done; all of them: it is finished.

    Returns:
        Its path, and the CPU seconds its ledger took.
    """
    from foretell.config.load import load_job
    from foretell.engine import parts
    from foretell.plan import Plan
    from foretell.run.prepare import prepare, versions
    from foretell.store.manifest import Manifest, write_manifest
    from foretell.store.open import open_objects
    from foretell.store.records import ChunkDone, Intent, SessionEnded
    from foretell.store.takeover import claim
    from foretell.types import OutputSpec

    output = place.empty(f"open-{chunks}-{done}")
    known = parts.plugins()
    sections = job(chunks, 0)
    sections["writer"]["path"] = str(output)
    loaded = load_job(
        None, sets=sections, resolve=known.resolve, default_deployer=known.default_deployer
    )
    prepared = prepare(loaded, {})
    plan = Plan(
        n_rows=chunks, row_offset=0, chunk_rows=1, batch_size=1, slots=1, threads=2, group_size=1,
        seed=0, outputs=(OutputSpec("y", (), "uint8"),), row_bytes=1, max_failed=chunks,
        attrs={"source_kind": "npy", "predictor_kind": "callable", "unit": "rows", "row_offset": 0},
    )  # fmt: skip
    manifest = Manifest(
        job=loaded.to_json(), fingerprint=prepared.fingerprint(), plan=plan.to_json(),
        versions=versions(), created=time.time(), live=False, base_dir=str(loaded.base_dir),
    )  # fmt: skip
    objects = open_objects(str(output))
    objects.ensure_root()
    write_manifest(objects, manifest)
    ledger = claim(objects, manifest)
    mixed = np.random.default_rng(0).integers(0, 2**32, size=(FLUSH, 2)).tolist()
    cpu = 0.0
    for start in range(0, done, FLUSH):
        ids = range(start, min(start + FLUSH, done))
        now = time.time()
        records = [
            ChunkDone(
                chunk=c, attempt=1, started=now + at / 1e3, milliseconds=3 + at % 7, worker=at % 4,
                quarantined=0, sizes=(400 + at % 64, 40 + at % 8), crcs=tuple(mixed[at]),
            )
            for at, c in enumerate(ids)
        ]  # fmt: skip
        clock = time.process_time()
        ledger.append([Intent(tuple(ids), 1)])
        ledger.append(records)
        cpu += time.process_time() - clock
    if done == chunks:
        ledger.append([SessionEnded("done", 0, time.time())])
    else:
        ledger.append([SessionEnded("interrupted", 75, time.time())])
    ledger.fold_at_end()
    ledger.close()
    return output, cpu


def measure(form, rounds, say):
    """From 1,000 chunks to 100,000 (small) or 1,000,000 (full)."""
    sizes = (1_000, 10_000, 100_000) if form == "small" else (1_000, 10_000, 100_000, 1_000_000)
    report = Report("Opening a store", "s to open", higher=False)
    for chunks in sizes:
        say(f"  {chunks:,} chunks")
        figures = _figures(chunks, rounds)
        report.lines.append(Line(f"{chunks:,} chunks", figures.pop("open"), _text(figures)))
    limits = {"resume": 2.0, "no-op": 3.0, "MB": 400.0, "ledger": 64.0, "cpu": 50.0}
    what = {
        "resume": "s to open and take a run half done",
        "no-op": "s of a whole sdk predict with nothing to do",
        "MB": "MB resident in the driver then",
        "ledger": "MB of ledger, one output and valid, fold not counted",
        "cpu": "µs of CPU a chunk for the ledger",
    }
    report.checks = [Check("s to open", report.lines[-1].median, 2.0, at_least=False)]
    report.checks += [
        Check(what[key], figures[key], limit, at_least=False) for key, limit in limits.items()
    ]
    return [report]


def _text(figures):
    return {key: number(value) for key, value in figures.items()}


def _figures(chunks, rounds):
    finished, cpu = make(chunks, chunks)
    half, _ = make(chunks, chunks // 2)
    ledger = sum(path.stat().st_size for path in (finished / "_run" / "ledger").iterdir())
    opened = [_inside(OPEN, finished, chunks) for _ in range(rounds)]
    status = [run(place.python("-m", "foretell", "status", str(finished))) for _ in range(rounds)]
    idle = [run(command("predict", job(chunks, 0), finished)) for _ in range(rounds)]
    resumed = [_inside(CLAIM, half, chunks)["seconds"] for _ in range(rounds)]
    middle = rounds // 2
    return {
        "open": [found["seconds"] for found in opened],
        "status": sorted(ran.wall for ran in status)[middle],
        "no-op": sorted(ran.wall for ran in idle)[middle],
        "resume": sorted(resumed)[middle],
        "MB": max(ran.peak for ran in idle) / 1e6,
        "ledger": ledger / 1e6,
        "cpu": cpu / chunks * 1e6,
    }


def _inside(code, output, chunks):
    ran = run(place.python("-c", code, str(output), str(chunks)))
    return json.loads(ran.out.strip().splitlines()[-1])


if __name__ == "__main__":
    main(measure, __doc__)
