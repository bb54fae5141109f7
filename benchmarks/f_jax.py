"""F, JAX: a list of examples through a small network: ours, redco's, and a plain loop around jit.

python benchmarks/f_jax.py [--small | --full] [--rounds 5]
"""

from __future__ import annotations

import json

from lab import place
from lab.main import main
from lab.process import Failed, run
from lab.report import Check, Line, Report, interleaved

LOOP, OURS, REDCO = "a loop around jax.jit", "foretell_jax.Predictor", "redco 0.4.23"
WHO = {LOOP: "plain_loop", OURS: "ours", REDCO: "redco"}
BATCHES = (8, 64, 512)


def measure(form, rounds, say):
    """Rows per second of the second call, one device, per-device batches of 8, 64 and 512."""
    rows = 20_000 if form == "small" else 100_000
    return [_measured(rows, batch, rounds, say) for batch in BATCHES]


def _measured(rows, batch, rounds, say):
    report = Report(f"F, JAX, batches of {batch}, {rows:,} rows", "rows/s", reference=LOOP)
    skipped = []
    contenders = []
    for name, who in WHO.items():
        package = {"ours": "jax", "plain_loop": "jax"}.get(who, who)
        if not place.has(package):
            skipped.append(Line(name, skipped=f"{package} is not installed"))
            continue
        contenders.append((name, lambda w=who: _rate(w, rows, batch)))
    try:
        found = interleaved(contenders, rounds, say)
    except Failed as error:
        say(str(error))
        raise
    report.lines = [Line(name, samples) for name, samples in found.items()] + skipped
    if OURS in found:
        at_least = 0.95 if batch >= 64 else None
        if at_least is not None:
            ratio = report.ratio(OURS, LOOP)
            report.checks.append(Check(f"{OURS} against the loop", ratio, at_least))
        if REDCO in found:
            report.checks.append(Check(f"{OURS} against redco", report.ratio(OURS, REDCO), 4.0))
    return report


def _rate(who, rows, batch):
    words = [who, "--rows", str(rows), "--batch", str(batch)]
    ran = run(place.python("-m", "peers.jax_predict", *words))
    return rows / json.loads(ran.out.strip().splitlines()[-1])["seconds"]


if __name__ == "__main__":
    main(measure, __doc__)
