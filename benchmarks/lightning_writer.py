"""The prediction writer in a Trainer: against no writer, torch.save, and the bare loop.

python benchmarks/lightning_writer.py [--small | --full] [--rounds 5]
"""

from __future__ import annotations

import json

from lab import place
from lab.main import main
from lab.process import run
from lab.report import Check, Line, Report, interleaved, number

LOOP, ALONE, SAVE = "bare loop", "Trainer, no writer", "Trainer, torch.save a batch"
NOTHING = "Trainer, a writer that writes nothing"
OURS, EPOCH = "Trainer, PredictionWriter, batch", "Trainer, PredictionWriter, epoch"
WRITERS = {
    LOOP: "loop",
    ALONE: "none",
    NOTHING: "nothing",
    SAVE: "save",
    OURS: "batch",
    EPOCH: "epoch",
}


def once(writer, batch, rows):
    """Seconds of the job, files it left, bytes at its peak."""
    words = ["--writer", WRITERS[writer], "--output", str(place.empty("writer"))]
    words += ["--batch", str(batch), "--rows", str(rows)]
    out = run(place.python("-m", "peers.trainer_writers", *words)).out.strip().splitlines()
    return json.loads(out[-2])["seconds"], json.loads(out[-1])


def measure(form, rounds, say):
    """Batches of 8, 64 and 512; then 500,000 rows for memory and files."""
    full = form == "full"
    reports = []
    for batch in (8, 64, 512):
        rows = batch * (2_000 if full else 200)
        title = f"Writers in a Trainer, batch {batch}, {rows:,} rows"
        report = Report(title, "rows/s", reference=LOOP)
        contenders = [
            (name, lambda name=name, batch=batch, rows=rows: rows / once(name, batch, rows)[0])
            for name in WRITERS
        ]
        found = interleaved(contenders, rounds, say)
        report.lines = [Line(name, samples) for name, samples in found.items()]
        least = 0.95 if batch > 8 else None
        for other in (LOOP, ALONE):
            value = report.ratio(OURS, other)
            if least is not None:
                report.checks.append(Check(f"{OURS} against: {other}", value, least))
        reports.append(report)
    reports.append(_growth(say, 500_000 if full else 100_000))
    return reports


def _growth(say, rows):
    title = "Memory and files against rows, batch 64"
    report = Report(title, "MB at the peak", higher=False)
    for writer in (ALONE, OURS):
        peaks = []
        for n in (rows // 5, rows):
            say(f"  {writer}: {n:,} rows")
            _, cost = once(writer, 64, n)
            peaks.append(cost["peak"] / 1e6)
            more = {"files": number(cost["files"])}
            report.lines.append(Line(f"{writer}, {n:,} rows", [peaks[-1]], more))
    # Of the last writer: ours.
    report.checks.append(Check("5x the rows", peaks[1] / peaks[0], 1.05, at_least=False))
    return report


if __name__ == "__main__":
    main(measure, __doc__)
