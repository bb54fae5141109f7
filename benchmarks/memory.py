"""Memory: peak resident size at 1x and 10x the rows.

python benchmarks/memory.py [--small | --full] [--rounds 3]
"""

from __future__ import annotations

from a_light import job
from lab import place
from lab.foretell_run import predict
from lab.main import main
from lab.report import Check, Line, Report, number

CHUNK = 65_536


def measure(form, rounds, say):
    """Workload A with chunks of 65,536 rows, so that both sizes have equal chunks."""
    # Fewer chunks than may be in hand at once would not fill the memory either run is given.
    base = 1_000_000
    sizes = (base, (3 if form == "small" else 10) * base)
    report = Report("Memory against rows, workload A", "MB at the peak", higher=False)
    for workers in (0, 1):
        where = "one worker: the worker" if workers else "in process"
        peaks = {}
        for rows in sizes:
            say(f"  {where}: {rows:,} rows")
            runs = [_run(rows, workers) for _ in range(rounds)]
            pick = "children_peak" if workers else "own_peak"
            samples = [getattr(ran, pick) / 1e6 for ran in runs]
            more = {"driver, MB": number(max(r.own_peak for r in runs) / 1e6)} if workers else {}
            line = Line(f"{where}, {rows:,} rows", samples, more)
            report.lines.append(line)
            peaks[rows] = line.median
        report.checks.append(
            Check(
                f"{where}: {sizes[1] // sizes[0]}x the rows",
                peaks[sizes[1]] / peaks[base],
                1.05,
                at_least=False,
            )
        )
    return [report]


def _run(rows, workers):
    settings = job(rows, workers)
    settings["schedule"]["chunk"] = CHUNK
    return predict(settings, place.empty("memory"), sample=0.05).ran


if __name__ == "__main__":
    main(measure, __doc__)
