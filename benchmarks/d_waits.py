"""D: waits: ten batches that each sleep one second, results written.

python benchmarks/d_waits.py [--small | --full] [--rounds 5]
"""

from __future__ import annotations

from lab import place
from lab.foretell_run import predict
from lab.main import main
from lab.report import Check, Line, Report, interleaved

BATCHES = 10
ROWS = 32


def job(workers, seconds=1.0, chunk=ROWS):
    """A chunk is a batch."""
    return {
        "source": {"kind": "npy", "path": str(place.small_numbers(BATCHES * ROWS))},
        "predictor": {
            "kind": "callable",
            "model": f"{place.models()}/light.py:Sleeper",
            "options": {"seconds": seconds},
            "batch_size": ROWS,
        },
        "schedule": {"workers": workers, "chunk": chunk},
    }


def measure(form, rounds, say):
    """The job's clock, and the whole process beside it."""
    whole: dict[str, list[float]] = {}

    def ours(name, workers):
        timed = predict(job(workers), place.empty("d-ours"))
        whole.setdefault(name, []).append(timed.ran.wall)
        return timed.job

    contenders = [
        ("foretell, in process", lambda: ours("foretell, in process", 0)),
        ("foretell, one worker", lambda: ours("foretell, one worker", 1)),
    ]
    found = interleaved(contenders, rounds, say)
    report = Report("D, ten batches of one second", "s", higher=False)
    report.lines = [
        Line(name, samples, {"whole process, s": f"{sorted(whole[name])[len(samples) // 2]:.2f}"})
        for name, samples in found.items()
    ]
    report.checks = [Check(f"{n}, s", report.line(n).median, 10.3, False) for n, _ in contenders]
    return [report]


if __name__ == "__main__":
    main(measure, __doc__)
