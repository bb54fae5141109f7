"""F, expert pools: one linear layer behind a pool, against a bare queue and against hivemind.

python benchmarks/f_experts.py [--small | --full] [--rounds 5]
"""

from __future__ import annotations

import json
from pathlib import Path

from lab import place
from lab.main import main
from lab.process import run
from lab.report import Check, Line, Report, interleaved

PEER = Path(__file__).parent / "peers" / "task_pools.py"
TASKS = {"small": 10_000, "full": 50_000}
FIGURES = {
    "burst": ("Tasks of one row, all submitted at once", "tasks/s"),
    "p50_ms": ("One client that waits for every task, median", "ms"),
    "p95_ms": ("One client that waits for every task, 95th percentile", "ms"),
    "clients": ("64 clients that wait for every task", "tasks/s"),
}


def measure(form, rounds, say):
    """All contenders in every round; a slow one does fewer tasks."""
    found: dict[str, list[dict[str, float]]] = {}

    def contender(name, tasks):
        def once():
            words = [str(PEER), name, str(tasks), str(min(tasks, 2000))]
            figures = json.loads(run(place.python(*words), timeout=600).out.splitlines()[-1])
            found.setdefault(name, []).append(figures)
            return figures["burst"]

        return once

    contenders = [
        ("bare", contender("bare", TASKS[form])),
        ("foretell", contender("foretell", TASKS[form])),
    ]
    if place.has("hivemind"):
        contenders.append(("hivemind", contender("hivemind", TASKS[form] // 20)))
    interleaved(contenders, rounds, say)
    return [_report(key, found) for key in FIGURES]


def _report(key, found):
    title, unit = FIGURES[key]
    report = Report(title, unit, higher=unit != "ms", reference="bare")
    for name in ("bare", "foretell", "hivemind"):
        if name in found:
            report.lines.append(Line(name, [figures[key] for figures in found[name]]))
        else:
            report.lines.append(Line(name, skipped="pip install 'foretell[bench]'"))
    ratio = report.ratio("foretell", "bare")
    if key in ("burst", "clients"):
        report.checks.append(Check("of the bare queue's throughput", ratio, 0.5))
    elif key == "p50_ms":
        report.checks.append(Check("times the bare queue's median", ratio, 2.0, at_least=False))
    if key == "burst":
        faster = report.ratio("foretell", "hivemind")
        report.checks.append(Check("times hivemind's throughput", faster, 30.0))
    return report


if __name__ == "__main__":
    main(measure, __doc__)
