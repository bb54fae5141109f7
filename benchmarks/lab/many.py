"""The record of a run of very many chunks, and where it lies, for what reads such runs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import numpy as np

from lab import place

PER_LOOK = 20
ROWS = 100


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


class Bucket:
    """An S3 stand-in in a process of its own; pointed at by the environment while it stands."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        os.environ |= {
            "AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_REGION": "us-east-1",
        }  # fmt: skip
        self._make()

    def _make(self):
        for _ in range(200):
            try:
                request = urllib.request.Request(f"{self.url}/runs", method="PUT")
                urllib.request.urlopen(request).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("the S3 stand-in did not start")

    def hang(self):
        """Answer nobody, until :meth:`go_on`."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        """Answer again."""
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        """Stop it."""
        self.process.kill()
        self.process.wait()
        del os.environ["AWS_ENDPOINT_URL"]


@contextmanager
def store(where, name):
    """An empty store, ``local`` or ``s3 stand-in``: its objects, and the bucket, None for local."""
    if where == "local":
        from foretell.store.local import LocalObjects

        yield LocalObjects(str(place.empty(name))), None
        return
    from foretell.store.open import open_objects

    bucket = Bucket()
    try:
        yield open_objects(f"s3://runs/{name}"), bucket
    finally:
        bucket.go_on()
        bucket.close()
