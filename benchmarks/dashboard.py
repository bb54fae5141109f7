"""The dashboard on a run of very many chunks: what a look costs, and what watching costs the run.

python benchmarks/dashboard.py [--small | --full] [--rounds 5]

The store is made by the store's own writers. Figures of the reader and of frames are taken in one
process with a driver that finishes 20 chunks between two looks; the first paint and the effect on a
run are those of the command in a terminal of its own.
"""

from __future__ import annotations

import resource
import subprocess
import time

import numpy as np
from e_many_chunks import job
from lab import place
from lab.foretell_run import command
from lab.main import main
from lab.many import PER_LOOK, Driver, store
from lab.process import environment
from lab.report import Check, Line, Report, number
from lab.viewer import Viewer

LOOKS = 60
KEYS = 40
PLACES = ("local", "s3 stand-in")


def measure(form, rounds, say):
    """100,000 chunks (small) or 1,000,000 (full)."""
    chunks = 100_000 if form == "small" else 1_000_000
    seconds = 20 if form == "small" else 60
    return [
        *(_looks(chunks, where, say) for where in PLACES),
        *(_watching(chunks, where, seconds, say) for where in PLACES),
        _keys(chunks, say),
        _first_paint(chunks, rounds, say),
        _effect(60_000 if form == "small" else 200_000, rounds, say),
    ]


# --- what a look costs ------------------------------------------------------------------------


def _looks(chunks, where, say):
    from foretell_tui.deck import Deck
    from foretell_tui.desk import Desk
    from foretell_tui.look import Look
    from foretell_tui.reader import Reader
    from foretell_tui.state import reduce

    say(f"  {where}: {chunks:,} chunks")
    report = Report(f"A look at a run of {chunks:,} chunks, {where}", "ms a look", higher=False)
    with store(where, f"watch-{chunks}") as (objects, _):
        driver = Driver(objects, chunks, chunks * 6 // 10)
        reader = Reader(objects)
        view = reduce(None, reader.look())
        opened = reader.look()
        view = reduce(view, opened)
        deck = Deck(Desk(view, Look()))
        deck.frame(120, 36)
        figures = {"ms": [], "requests": [], "bytes": [], "lists": [], "frame": [], "cpu": []}
        for _ in range(LOOKS):
            driver.step()
            cpu, clock = time.thread_time(), time.perf_counter()
            view = reduce(view, reader.look())
            figures["ms"].append((time.perf_counter() - clock) * 1e3)
            deck.desk.take(view)
            clock = time.perf_counter()
            deck.paint()
            figures["frame"].append((time.perf_counter() - clock) * 1e3)
            figures["cpu"].append((time.thread_time() - cpu) * 1e3)
            cost = view.reading.cost
            for name in ("requests", "bytes", "lists"):
                figures[name].append(getattr(cost, name))
        idle = reader.look().cost
        worst = _worst_frames(chunks, deck, view)
    report.lines.append(
        Line(f"{PER_LOOK} chunks between looks", figures["ms"],
             {"frame, ms": number(np.median(figures["frame"])),
              "bytes": number(np.median(figures["bytes"])),
              "to open, kB": number(opened.cost.bytes / 1e3)})
    )  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    report.checks = [
        Check("requests an unchanged look", idle.requests, 1, at_least=False),
        Check("bytes an unchanged look", idle.bytes, 1024, at_least=False),
        Check("requests a look, the most", max(figures["requests"]), 5, at_least=False),
        Check("bytes a look, p95", float(np.percentile(figures["bytes"], 95)), 65536, False),
        Check("listings, all told", sum(figures["lists"]), 0, at_least=False),
        Check("ms of a frame at 120 x 36, p95", float(np.percentile(figures["frame"], 95)), 33.0,
              at_least=False),
        Check("ms of a frame of a map at random, p95", worst, 50.0, at_least=False),
        Check("ms of CPU a look and its frame", float(np.median(figures["cpu"])), 20.0, False),
        Check("MB resident, the driver of this test included", peak, 300.0, at_least=False),
    ]  # fmt: skip
    return report


def _worst_frames(chunks, deck, view):
    """Frames of a map in which no two cells are alike."""
    from dataclasses import replace

    chooser = np.random.default_rng(0)
    took = []
    for _ in range(20):
        codes = chooser.integers(0, 8, chunks).astype(np.uint8)
        codes[chooser.random(chunks) < 0.999] = 3
        reading = replace(view.reading, codes=codes, changed=None)
        deck.desk.take(replace(view, reading=reading))
        clock = time.perf_counter()
        deck.paint()
        took.append((time.perf_counter() - clock) * 1e3)
    return float(np.percentile(took, 95))


# --- in a terminal ----------------------------------------------------------------------------


def _watching(chunks, where, seconds, say):
    """CPU and memory of a viewer, while the run goes on and while nothing happens."""
    say(f"  watching, {where}: {chunks:,} chunks, twice {seconds} s")
    report = Report(
        f"Watching a run of {chunks:,} chunks, {where}", "CPU seconds a minute", higher=False
    )
    with store(where, f"watched-{chunks}") as (objects, _):
        driver = Driver(objects, chunks, chunks * 6 // 10)
        viewer = Viewer(objects.url)
        viewer.wait(b"1 cell =")
        viewer.stay(3)
        found = {}
        for name, moves in ((f"{PER_LOOK} chunks a second", True), ("no change", False)):
            if not moves:
                viewer.wait(b"STALE")
            before, clock = viewer.cost()[0], time.perf_counter()
            resident = 0
            while time.perf_counter() - clock < seconds:
                if moves:
                    driver.step()
                viewer.stay(1.0)
                resident = max(resident, viewer.cost()[1])
            minutes = (time.perf_counter() - clock) / 60
            found[name] = (viewer.cost()[0] - before) / minutes
            report.lines.append(Line(name, [found[name]], {"MB resident": number(resident / 1e6)}))
        viewer.close()
    busy, idle = found.values()
    report.checks = [
        Check("% of a core, the run going on", busy / 0.6, 2.0, at_least=False),
        Check("% of a core, no change", idle / 0.6, 0.3, at_least=False),
        Check("MB resident", resident / 1e6, 150.0, at_least=False),
    ]
    return report


def _keys(chunks, say):
    """From a key to its picture while a bucket answers nobody."""
    say(f"  keys while a store hangs: {chunks:,} chunks")
    report = Report("A key while a read hangs", "ms to the picture", higher=False)
    with store("s3 stand-in", f"hangs-{chunks}") as (objects, bucket):
        Driver(objects, chunks, chunks * 6 // 10)
        viewer = Viewer(objects.url, "--interval", "1")
        viewer.wait(b"1 cell =")
        viewer.stay(2)
        bucket.hang()
        viewer.stay(2)
        took = [viewer.press("41362"[at % 5]) * 1e3 for at in range(KEYS)]
        bucket.go_on()
        viewer.close()
    report.lines.append(Line("one of the screens 1, 2, 3, 4, 6", took, {}))
    report.checks = [Check("ms, p95", float(np.percentile(took, 95)), 100.0, at_least=False)]
    return report


def _first_paint(chunks, rounds, say):
    say(f"  first paint: {chunks:,} chunks")
    from foretell.store.local import LocalObjects

    report = Report(f"First paint of a run of {chunks:,} chunks", "s", higher=False)
    path = place.empty("watch-paint")
    Driver(LocalObjects(str(path)), chunks, chunks * 6 // 10)
    took, whole = [], []
    for _ in range(rounds):
        viewer = Viewer(path)
        took.append(viewer.wait(b"RUNNING"))
        whole.append(viewer.wait(b"1 cell ="))
        viewer.close()
    report.lines.append(Line("state and totals", took, {"with the map, s": number(min(whole))}))
    report.checks = [Check("s to the first paint", report.lines[0].median, 1.0, at_least=False)]
    return report


def _effect(chunks, rounds, say):
    """Chunks a second of a run with nobody, one and five watching it."""
    report = Report(f"A run of {chunks:,} chunks, watched", "chunks/s")
    found = {0: [], 1: [], 5: []}
    for _ in range(rounds):
        for viewers in found:
            say(f"  {viewers} viewers")
            found[viewers].append(_watched(chunks, viewers))
    for viewers, rates in found.items():
        report.lines.append(Line(f"{viewers} viewers", rates, {}))
    alone = report.lines[0].median
    report.checks = [
        Check(f"of the speed with {viewers} viewers", report.lines[at].median / alone, 0.99, True)
        for at, viewers in ((1, 1), (2, 5))
    ]
    return report


def _watched(chunks, viewers):
    """From when every viewer has opened to the end of the run."""
    from foretell.store.follow import finish_times
    from foretell.store.open import open_objects
    from foretell.store.snapshot import open_snapshot

    output = place.empty("watch-effect")
    driver = subprocess.Popen(
        command("predict", job(chunks, 1), output, "--progress", "quiet"),
        stdout=subprocess.DEVNULL,
        env=environment(),
    )
    while not (output / "_run" / "head.json").exists():
        assert driver.poll() is None
        time.sleep(0.05)
    opened = [Viewer(output) for _ in range(viewers)]
    for viewer in opened:
        viewer.wait(b"chunks")
    began = time.time() + 1.0
    while driver.poll() is None:
        for viewer in opened:
            viewer.read(0.02)
        time.sleep(0.05)
    for viewer in opened:
        viewer.close()
    _, ends = finish_times(open_snapshot(open_objects(str(output))).table)
    late = ends[ends > began]
    assert len(late) > chunks / 10, "the run ended before it was watched: take more chunks"
    return len(late) / (late.max() - began)


if __name__ == "__main__":
    main(measure, __doc__)
