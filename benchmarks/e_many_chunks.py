"""E: very many chunks of nearly no work, and what controlling one of them costs.

python benchmarks/e_many_chunks.py [--small | --full] [--rounds 1]
"""

from __future__ import annotations

from lab import place
from lab.foretell_run import predict
from lab.main import main
from lab.report import Check, Line, Report, number


def job(chunks, workers):
    """A chunk is one row of one byte; nothing is stored but the record."""
    return {
        "source": {"kind": "npy", "path": str(place.small_numbers(chunks))},
        "predictor": {
            "kind": "callable",
            "model": f"{place.models()}/light.py:nothing",
            "batch_size": 1,
        },
        "writer": {"kind": "nothing"},
        "schedule": {"workers": workers, "chunk": 1},
    }


def measure(form, rounds, say):
    """Growth from 1,000 chunks to 20,000 (small) or 1,000,000 (full)."""
    most = 20_000 if form == "small" else 1_000_000
    sizes = [n for n in (1_000, 10_000, 20_000, 100_000, 1_000_000) if n <= most]
    return [_measured(sizes, workers, 1 if most > 10**5 else rounds, say) for workers in (1, 0)]


def _measured(sizes, workers, rounds, say):
    where = "one worker" if workers else "in process"
    report = Report(f"E, many chunks of no work, {where}", "ms of wall a chunk", higher=False)
    for chunks in sizes:
        runs = []
        for _ in range(rounds):
            say(f"  {where}: {chunks:,} chunks")
            output = place.empty(f"e-{workers}")
            runs.append(predict(job(chunks, workers), output, sample=0.25))
        report.lines.append(_line(chunks, runs))
    last = runs[-1]
    report.checks = [
        Check("ms of the driver's CPU a chunk", _driver(last), 1.0, at_least=False),
        Check("ms of wall a chunk, all told", report.lines[-1].median, 1.0, at_least=False),
        Check(
            "s from the command to the first chunk", min(r.first_chunk for r in runs), 2.0, False
        ),
        Check("driver's memory, end against a tenth of the way", _growth(last), 1.1, False),
    ]
    return report


def _driver(timed):
    """Start-up left out where it can be: CPU since the first sample after the first chunk."""
    samples = timed.ran.samples
    started = next((s.cpu for s in samples if s.when >= timed.first_chunk), 0.0)
    return (timed.ran.own_cpu - started) / timed.chunks * 1e3


def _growth(timed):
    """Resident memory at the end over that at a tenth of the run."""
    samples = [s.resident for s in timed.ran.samples if s.when > timed.first_chunk]
    if len(samples) < 10:
        return None
    return samples[-1] / samples[len(samples) // 10]


def _line(chunks, runs):
    last = runs[-1]
    return Line(
        f"{chunks:,} chunks",
        [run.job / chunks * 1e3 for run in runs],
        {
            "driver's CPU, ms a chunk": number(_driver(last)),
            "everybody's CPU, ms a chunk": number(last.ran.cpu / chunks * 1e3),
            "driver's peak memory, MB": number(last.ran.own_peak / 1e6),
            "first chunk after, s": number(min(run.first_chunk for run in runs)),
            "ledger, bytes a chunk": number(last.ledger_bytes / chunks),
        },
    )


if __name__ == "__main__":
    main(measure, __doc__)
