"""Forecast: how often the true time lies in the interval that ``sdk plan`` prints.

python benchmarks/forecast.py [--small | --full] [--rounds 20]
"""

from __future__ import annotations

import json

from d_waits import job as sleeping
from lab import place
from lab.foretell_run import command, predict
from lab.main import main
from lab.process import run
from lab.report import Check, Line, Report, interleaved


def jobs(form):
    """Three kinds of work: a model that waits, a light network, tiny batches."""
    from a_light import job as light
    from c_startup import job as digits

    rows = 300_000 if form == "small" else 2_000_000
    return {
        "sleeping model, one worker": sleeping(1, seconds=0.3, chunk=32),
        "light network, in process": light(rows, 0),
        "light network, one worker": light(rows, 1),
        "digits, in process": digits(0),
    }


def measure(form, rounds, say):
    """The share of runs whose session took a time inside the forecast made just before."""
    rounds = max(rounds, 20 if form == "full" else 4)
    report = Report("Forecasts", "true seconds over the middle of the interval", higher=False)
    hits: list[bool] = []

    def once(settings, mine, widths):
        output = place.empty("forecast")
        words = command("plan", settings, output, "--json")
        plan = json.loads(run(words).out)["forecast"]
        low, high = plan["seconds_low"], plan["seconds_high"]
        true = _session_seconds(output, predict(settings, output))
        mine.append(low <= true <= high)
        widths.append(high / max(low, 1e-9))
        return true / ((low + high) / 2)

    found: dict[str, tuple[list[bool], list[float]]] = {}
    contenders = []
    for name, settings in jobs(form).items():
        mine, widths = found.setdefault(name, ([], []))
        contenders.append((name, lambda s=settings, m=mine, w=widths: once(s, m, w)))
    samples = interleaved(contenders, rounds, say)
    for name, (mine, widths) in found.items():
        hits += mine
        more = {
            "inside": f"{sum(mine)} of {len(mine)}",
            "high over low": f"{sorted(widths)[len(widths) // 2]:.2f}",
        }
        report.lines.append(Line(name, samples[name], more))
    report.checks = [Check("share of runs inside", sum(hits) / len(hits), 0.8)]
    return [report]


def _session_seconds(output, timed):
    """Seconds of the session, from its first record to its last byte."""
    head = json.loads((output / "_run" / "head.json").read_text())
    return head["time"] - head["session_started"] if "session_started" in head else timed.job


if __name__ == "__main__":
    main(measure, __doc__)
