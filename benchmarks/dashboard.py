"""The dashboard on a run of very many chunks: what a look costs, and what watching costs the run.

python benchmarks/dashboard.py [--small | --full] [--rounds 5]

The store is made by the store's own writers. Figures of the reader and of frames are taken in one
process with a driver that finishes 20 chunks between two looks; the first paint and the effect on a
run are those of the command in a terminal of its own.
"""

from __future__ import annotations

import fcntl
import logging
import os
import pty
import resource
import select
import signal
import struct
import subprocess
import termios
import time
from contextlib import contextmanager

import numpy as np
from e_many_chunks import job
from lab import place
from lab.foretell_run import command
from lab.main import main
from lab.process import environment
from lab.report import Check, Line, Report, number

LOOKS = 60
PER_LOOK = 20
ROWS = 100


def measure(form, rounds, say):
    """100,000 chunks (small) or 1,000,000 (full)."""
    chunks = 100_000 if form == "small" else 1_000_000
    return [
        _looks(chunks, "local", say),
        _looks(chunks, "s3 stand-in", say),
        _first_paint(chunks, rounds, say),
        _effect(60_000 if form == "small" else 200_000, rounds, say),
    ]


# --- a run of very many chunks ----------------------------------------------------------------


class Driver:
    """Writes a run's record as a driver does, without predicting anything."""

    def __init__(self, objects, chunks, done):
        from foretell.store.head import HeadWriter
        from foretell.store.manifest import new_manifest, read_manifest, write_manifest
        from foretell.store.records import WorkerSeen
        from foretell.store.rings import LogWriter
        from foretell.store.takeover import claim
        from foretell.types import ChunkState

        plan = {
            "n_rows": chunks * ROWS, "row_offset": 0, "chunk_rows": ROWS, "batch_size": ROWS,
            "slots": 1, "threads": 1, "group_size": 1, "seed": 0, "outputs": [], "keep": [],
        }  # fmt: skip
        self.objects, self.chunks, self.next = objects, chunks, done
        self.started = time.time() - 3600
        objects.ensure_root()
        write_manifest(
            objects,
            new_manifest(job={"writer": {"kind": "zarr"}}, fingerprint={}, plan=plan, versions={}),
        )
        self.ledger = claim(objects, read_manifest(objects))
        self.ledger.append([WorkerSeen(i, f"w{i}", "host", i, 1.0) for i in range(16)])
        table, ids = self.ledger.table, np.arange(done)
        table.state[:done] = ChunkState.DONE
        table.state[chunks // 3] = ChunkState.FAILED
        table.attempt[:done] = 1
        table.worker[:done] = ids % 16
        table.milliseconds[:done] = 3000 + ids % 700
        table.started[:done] = self.started + ids * (3500 / done)
        self.ledger.fold(force=True)
        self.heads, self.log = HeadWriter(objects), LogWriter(objects)
        self.beat()

    def step(self):
        """Twenty more chunks, in one flush."""
        from foretell.store.records import ChunkDone, Intent

        ids = range(self.next, self.next + PER_LOOK)
        self.next += PER_LOOK
        now = time.time()
        self.ledger.append([Intent(tuple(ids), 1)])
        self.ledger.append(
            [ChunkDone(c, 1, now - 3, 2900 + c % 100, c % 16, 0, (4096, 100), (c, c)) for c in ids]
        )
        self.log.add(now, "info", "w00", f"{PER_LOOK} chunks done")
        self.beat()

    def beat(self):
        from foretell.store.head import Head, Rates
        from foretell.store.identity import boot_id, host_name
        from foretell.store.rings import write_workers

        self.log.flush()
        write_workers(self.objects, [
            {"index": i, "host": "host", "pid": i, "time": time.time(), "rss": 10**9,
             "rss_peak": 10**9, "rss_limit": None, "cpu": 0.9, "chunks": [[self.next + i, 1,
             "model", 1.0]], "deployment": {}} for i in range(16)
        ])  # fmt: skip
        now = time.time()
        self.heads.write(
            Head(
                "running", 0, 1.0, now, 1, host_name() + "-other", boot_id(), 1, 1.0, self.started,
                self.ledger.table.totals(self.chunks * ROWS, ROWS),
                rates=Rates(2000.0, 2000.0, 3.3, 3.6, 900.0, 1000.0, 10e6),
                last_segment=self.ledger.last_segment, fold=self.ledger.newest_fold,
                last_log=self.log.last_segment, log_bytes=self.log.open_bytes, workers=16,
            )
        )  # fmt: skip


@contextmanager
def _store(where, name):
    if where == "local":
        from foretell.store.local import LocalObjects

        yield LocalObjects(str(place.empty(name)))
        return
    from foretell.store.open import open_objects
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1",
    }  # fmt: skip
    import urllib.request

    urllib.request.urlopen(
        urllib.request.Request(f"http://{host}:{port}/runs", method="PUT")
    ).close()
    try:
        yield open_objects(f"s3://runs/{name}")
    finally:
        server.stop()
        del os.environ["AWS_ENDPOINT_URL"]


# --- what a look costs ------------------------------------------------------------------------


def _looks(chunks, where, say):
    from foretell_tui.deck import Deck
    from foretell_tui.desk import Desk
    from foretell_tui.look import Look
    from foretell_tui.reader import Reader
    from foretell_tui.state import reduce

    say(f"  {where}: {chunks:,} chunks")
    report = Report(f"A look at a run of {chunks:,} chunks, {where}", "ms a look", higher=False)
    with _store(where, f"watch-{chunks}") as objects:
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


class Viewer:
    """``sdk watch`` in a terminal of 120 x 36 that nobody looks at."""

    def __init__(self, store):
        self.began = time.perf_counter()
        self.handle, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
        words = place.python("-m", "foretell", "watch", str(store))
        env = environment(TERM="xterm-256color")
        self.process = subprocess.Popen(
            words, stdin=inner, stdout=inner, stderr=inner, env=env, start_new_session=True
        )
        os.close(inner)
        self.seen = b""

    def read(self, seconds):
        """What it wrote within so many seconds."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            if select.select([self.handle], [], [], left)[0]:
                try:
                    self.seen += os.read(self.handle, 65536)
                except OSError:  # nobody is at the other end any more
                    return False
                return True
        return False

    def wait(self, text, seconds=60):
        """Seconds from the start until it showed a text."""
        while text not in self.seen:
            assert self.read(seconds), f"never showed {text!r}"
        return time.perf_counter() - self.began

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        while self.process.poll() is None:
            self.read(0.1)
        os.close(self.handle)


def _first_paint(chunks, rounds, say):
    say(f"  first paint: {chunks:,} chunks")
    from foretell.store.local import LocalObjects

    report = Report(f"First paint of a run of {chunks:,} chunks", "s", higher=False)
    store = place.empty("watch-paint")
    Driver(LocalObjects(str(store)), chunks, chunks * 6 // 10)
    took, whole = [], []
    for _ in range(rounds):
        viewer = Viewer(store)
        took.append(viewer.wait(b"RUNNING"))
        whole.append(viewer.wait(b"failed"))
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
