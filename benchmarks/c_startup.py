"""C: start-up: the bundled digits job as a whole cold process, against a script that does the same.

python benchmarks/c_startup.py [--small | --full] [--rounds 5]
"""

from __future__ import annotations

import sys

from lab import place
from lab.foretell_run import command
from lab.main import main
from lab.process import environment, run
from lab.report import Check, Line, Report, interleaved

SCRIPT = "script with the same libraries"


def job(workers):
    """The digits job, the same batches, the same chunks."""
    from foretell.demo import HERE

    return {
        "source": {"kind": "npz", "path": str(HERE / "digits.npz"), "array": "images"},
        "predictor": {
            "kind": "callable",
            "model": f"{HERE}/model.py:Digits",
            "checkpoint": str(HERE / "weights.npz"),
            "batch_size": 32,
        },
        "schedule": {"workers": workers, "chunk": 32},
    }


def measure(form, rounds, say):
    """Wall time of whole processes, and of ``sdk --help`` over a bare interpreter."""
    rounds = max(rounds, 5)
    seen: dict[str, list[float]] = {}

    def timed(name, words):
        ran = run(words)
        seen.setdefault(name, []).append(ran.cpu)
        return ran.wall

    def ours(name, workers):
        return timed(name, command("predict", job(workers), place.empty("c-ours")))

    def script(name):
        output = place.empty("c-script")
        return timed(name, place.python("-m", "peers.digits_script", str(output)))

    names = [SCRIPT, "foretell, in process", "foretell, one worker"]
    helps = ["bare interpreter", "sdk --help"]
    contenders = [
        (names[0], lambda: script(names[0])),
        (names[1], lambda: ours(names[1], 0)),
        (names[2], lambda: ours(names[2], 1)),
        (helps[0], lambda: timed(helps[0], [sys.executable, "-c", "pass"])),
        (helps[1], lambda: timed(helps[1], place.python("-m", "foretell", "--help"))),
    ]
    for _, measure_once in contenders:  # modules are compiled, files are in memory
        measure_once()
    seen.clear()
    found = interleaved(contenders, rounds, say)
    report = Report("C, start-up, whole process", "s", reference=SCRIPT, higher=False)
    report.lines = [
        Line(name, samples, {"CPU, s": f"{sorted(seen[name])[len(samples) // 2]:.2f}"})
        for name, samples in found.items()
    ]
    base = report.line(SCRIPT).median
    report.checks = [
        Check("in process, s", report.line(names[1]).median, 1.3 * base + 0.7, at_least=False),
        Check("one worker, s", report.line(names[2]).median, 1.3 * base + 2.2, at_least=False),
        Check(
            "sdk --help over a bare interpreter, s",
            report.line(helps[1]).median - report.line(helps[0]).median,
            0.3,
            at_least=False,
        ),
    ]
    assert "PYTHONDONTWRITEBYTECODE" not in environment()
    return [report]


if __name__ == "__main__":
    main(measure, __doc__)
