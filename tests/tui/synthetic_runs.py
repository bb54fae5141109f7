"""Run stores as drivers leave them, made without one: any size, any state, the same every time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from foretell.store.failures import FailureLog
from foretell.store.head import Head, HeadWriter, Rates
from foretell.store.ledger import LedgerWriter
from foretell.store.local import LocalObjects
from foretell.store.manifest import new_manifest, read_manifest, write_manifest
from foretell.store.objects import ObjectStore
from foretell.store.records import ChunkDone, ChunkFailed, Intent, SessionEnded, WorkerSeen
from foretell.store.rings import LogWriter, write_workers
from foretell.store.takeover import claim
from foretell.types import ChunkState, RunState
from ledger_model import plan_json

T0 = 1_790_000_000.0
"""Now, in these runs: 2026-09-21 13:33:20 UTC."""

ROWS = 100
"""Rows of a chunk."""

GB = 10**9


@dataclass
class MadeRun:
    """A run store in a test's hands."""

    objects: ObjectStore
    ledger: LedgerWriter
    failures: FailureLog
    log: LogWriter
    heads: HeadWriter
    n_chunks: int
    workers: int
    facts: dict[str, Any] = field(default_factory=dict)
    sequence: int = 0

    def done(self, ids: Sequence[int], seconds: float = 3.0, until: float = T0) -> None:
        """Chunks that were finished, one after the other on each worker, the last at ``until``."""
        ids = list(ids)
        if not ids:
            return
        self.ledger.append([Intent(tuple(ids), 1)])
        turns = -(-len(ids) // self.workers)
        self.ledger.append(
            [
                ChunkDone(
                    chunk, 1, until - seconds * (turns - at // self.workers),
                    int(seconds * 1000) + 7 * (chunk % 90), at % self.workers, 0, (4096, 100),
                    (1, 2),
                )
                for at, chunk in enumerate(ids)
            ]
        )  # fmt: skip

    def running(self, ids: Sequence[int]) -> None:
        self.ledger.append([Intent(tuple(ids), 1)])

    def failed(
        self,
        chunk: int,
        kind: str = "FileNotFoundError",
        message: str = "tile {chunk}.tif is missing",
        state: ChunkState = ChunkState.FAILED,
        when: float = T0 - 60,
    ) -> None:
        """A chunk that is given up, with its failure."""
        text = message.replace("{chunk}", str(chunk))
        number = self.failures.add(
            kind, text, _traceback(kind, text), chunk, 3, f"w{chunk % self.workers:02d}",
        )  # fmt: skip
        for record in self.failures._records:
            object.__setattr__(record, "time", when)
        self.failures.flush()
        self.ledger.append([Intent((chunk,), 3), ChunkFailed(chunk, 3, state, failure=number)])

    def write_head(self, **changes: Any) -> Head:
        """The head as a driver writes it; ``changes`` are its fields."""
        self.log.flush()
        totals = self.ledger.table.totals(self.n_chunks * ROWS, ROWS)
        self.facts |= changes
        head = Head(
            **{
                "state": RunState.RUNNING.value, "sequence": 0, "interval": 1.0, "time": T0 - 2,
                "epoch": self.ledger.epoch, "host": "gn01", "boot_id": "boot", "pid": 4242,
                "pid_started": 1.0, "session_started": T0 - 3600, "totals": totals,
                "session_rows": totals.rows_done, "last_segment": self.ledger.last_segment,
                "fold": self.ledger.newest_fold, "last_failure": self.failures.last_segment,
                "last_log": self.log.last_segment, "log_bytes": self.log.open_bytes,
                "failure_kinds": dict(self.failures.kinds()), "workers": self.workers,
                "rates": Rates(18400.0, 18100.0, 3.4, 5.1, 20460.0, 22800.0, 41e6),
                **self.facts,
            }
        )  # fmt: skip
        written = self.heads.write(head)
        self.sequence = written.sequence
        return written

    def samples(self, **changes: Any) -> None:
        """The workers' last figures; ``changes`` by worker number: ``w2={"rss": 1}``."""
        hands = self.ledger.table.in_flight().tolist()
        samples = []
        for index in range(self.workers):
            in_hand = hands[index :: self.workers][:1]
            sample = {
                "index": index, "host": f"gn{12 + index // 2}", "pid": 1000 + index,
                "time": T0 - 2, "rss": (20 + index % 3) * GB, "rss_peak": 24 * GB,
                "rss_limit": 64 * GB, "cpu": 0.91 - index / 100,
                "chunks": [[c, 1, "model", 2.5] for c in in_hand],
                "gpus": [{"uuid": f"GPU-{index:04d}", "busy": 0.95, "used": 71 * GB,
                          "total": 80 * GB}],
                "deployment": {"devices": [f"cuda:{index % 2}"], "batches": 1234},
            }  # fmt: skip
            samples.append(sample | changes.get(f"w{index}", {}))
        write_workers(self.objects, samples, T0 - 2)

    def begin_again(self) -> None:
        """Another driver takes the run over."""
        done = self.ledger.table.totals(self.n_chunks * ROWS, ROWS).done
        self.ledger = claim(self.objects, read_manifest(self.objects))
        self.ledger.append(_seen(self.workers))
        self.failures = FailureLog(self.objects, self.ledger.epoch)
        self.heads = HeadWriter(self.objects)
        self.facts = {"resumed_chunks": done}

    def end(self, state: RunState, exit_code: int, **changes: Any) -> None:
        """The session's last words, in the ledger and in the head."""
        self.ledger.append([SessionEnded(state.value, exit_code, T0, "")])
        none = Rates(chunk_p50=3.4, chunk_p95=5.1)
        self.write_head(state=state.value, exit_code=exit_code, rates=none, **changes)


def make_run(
    folder: Path,
    n_chunks: int,
    *,
    workers: int = 4,
    url: str = "runs/tiles-eu-v3.zarr",
    objects: ObjectStore | None = None,
) -> MadeRun:
    """A new run whose first session has begun; nothing is done."""
    objects = objects or LocalObjects(str(folder), label="driver", url=url)
    objects.ensure_root()
    plan = plan_json(n_chunks) | {"n_rows": n_chunks * ROWS, "chunk_rows": ROWS}
    job = {
        "source": {"kind": "zarr", "path": "tiles.zarr"},
        "predictor": {"kind": "torch", "model": "unet:build"},
        "writer": {"kind": "zarr", "path": url},
    }
    manifest = new_manifest(job=job, fingerprint={}, plan=plan, versions={}, created=T0 - 4000)
    assert write_manifest(objects, manifest)
    ledger = claim(objects, read_manifest(objects))
    ledger.append(_seen(workers))
    return MadeRun(
        objects, ledger, FailureLog(objects, 1), LogWriter(objects), HeadWriter(objects), n_chunks,
        workers,
    )  # fmt: skip


def big_run(folder: Path, n_chunks: int, done: int, **options: Any) -> MadeRun:
    """A run of very many chunks: most of its ledger is a fold."""
    run = make_run(folder, n_chunks, **options)
    table = run.ledger.table
    ids = np.arange(done)
    table.state[:done] = ChunkState.DONE
    table.attempt[:done] = 1
    table.worker[:done] = ids % run.workers
    table.milliseconds[:done] = 3000 + ids % 700
    per_second = max(1, done // 3000)
    table.started[:done] = T0 - 3590 + ids / per_second * (3500 * per_second / max(1, done))
    run.ledger.fold(force=True)
    return run


def lines(run: MadeRun, count: int = 12) -> None:
    """A few lines of log."""
    for number in range(count):
        level = "warning" if number % 5 == 3 else "info"
        text = "rss 95% of limit: pausing intake" if number % 5 == 3 else f"chunk {number} done"
        run.log.add(T0 - count + number, level, f"w{number % run.workers:02d}", text)


def _seen(workers: int) -> list[WorkerSeen]:
    return [
        WorkerSeen(i, f"tcp://gn{i}", f"gn{12 + i // 2}", 1000 + i, 1.0) for i in range(workers)
    ]


def _traceback(kind: str, message: str) -> str:
    return (
        "Traceback (most recent call last):\n"
        '  File "/home/ada/unet.py", line 41, in build\n    tile = read(path)\n'
        f"{kind}: {message}\n"
    )


__all__ = ["GB", "ROWS", "T0", "MadeRun", "big_run", "lines", "make_run", "replace"]
