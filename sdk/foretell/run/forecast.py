"""``sdk plan``: what would happen, how much of it, and how long it would take."""

from __future__ import annotations

import queue
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from foretell.config.job import Job
from foretell.engine import parts
from foretell.engine.engine import Engine
from foretell.engine.rehearsal import RehearsalReport
from foretell.engine.stopping import signals_into
from foretell.errors import NotARun
from foretell.plan import Plan, chunks_in_hand
from foretell.run.execute import Request, output_of
from foretell.run.planning import Sizing, make_plan, output_bytes, worker_job
from foretell.run.prepare import Prepared, check_same_job, prepare
from foretell.store.open import open_objects
from foretell.store.snapshot import open_snapshot
from foretell.text import duration, size
from foretell.types import JSON, ChunkState

_STARTUP = 1.5
"""Seconds to start worker processes and plan."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run would be.

    Attributes:
        url: The run store.
        rows, chunks, chunk_rows, batch_size: How it is cut.
        workers, slots, threads: How it is spread.
        outputs: Name to ``dtype (shape)``.
        bytes_in, bytes_out: In memory, before compression.
        files: Objects the outputs take.
        memory_per_worker: Bytes of rows in hand in each worker, the model not counted.
        seconds_low, seconds_high: Where the time will be in four cases of five; None unprobed.
        rows_per_second: Pace of the rehearsal; None unprobed.
        load_seconds: Time to load the model.
        devices: What the model runs on.
        done_chunks: Chunks a run at this place has done already.
        notes: Further lines from the deployment.
        sharding: Where each parameter lies, one record each, where the deployment says so.
    """

    url: str
    rows: int
    chunks: int
    chunk_rows: int
    batch_size: int
    workers: int
    slots: int
    threads: int
    outputs: Mapping[str, str]
    bytes_in: int
    bytes_out: int
    files: int
    memory_per_worker: int
    seconds_low: float | None = None
    seconds_high: float | None = None
    rows_per_second: float | None = None
    load_seconds: float | None = None
    devices: tuple[str, ...] = ()
    done_chunks: int = 0
    warnings: tuple[str, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    sharding: tuple[Mapping[str, JSON], ...] = ()

    def facts(self) -> list[tuple[str, str]]:
        """What people want to know first, as (label, text) lines."""
        time = "not probed"
        if self.seconds_low is not None and self.seconds_high is not None:
            time = f"{duration(self.seconds_low)} - {duration(self.seconds_high)}"
        pace = "" if self.rows_per_second is None else f", {self.rows_per_second:,.0f} rows/s"
        cut = f"{self.chunks:,}, {self.chunk_rows:,} rows each ({self.done_chunks:,} done)"
        outputs = ", ".join(f"{name} {what}" for name, what in self.outputs.items())
        return [
            ("store", self.url),
            ("rows", f"{self.rows:,}"),
            ("chunks", cut),
            ("batch", f"{self.batch_size:,} rows"),
            ("workers", f"{self.workers} x {self.slots} slots x {self.threads} threads"),
            ("outputs", outputs),
            ("bytes in", size(self.bytes_in)),
            ("bytes out", f"{size(self.bytes_out)} before compression"),
            ("files", f"{self.files:,}"),
            ("memory", f"{size(self.memory_per_worker)} of rows in hand per worker"),
            ("time", time + pace),
            *self.notes,
            *(("warning", text) for text in self.warnings),
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


class _Notes:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.found: list[tuple[str, str]] = []

    def head(self, head: Any) -> None:
        """Nothing runs."""

    def note(self, level: str, text: str) -> None:
        """Keep it for the forecast."""
        if level == "INFO":
            self.found.append(("found", text))
        else:
            self.lines.append(text)


def plan_job(job: Job, probe: bool = True, live: Mapping[str, Any] | None = None) -> Forecast:
    """Forecast a job. Writes nothing.

    Args:
        job: Validated settings.
        probe: Whether to run a few batches on a worker for the time; the dry batch that teaches
            the outputs runs in any case, unless a run at the output already has a plan.
        live: Live objects by role.

    Raises:
        As ``predict_job`` for whatever it would refuse.
    """
    prepared = prepare(job, live or {})
    try:
        return _Forecaster(prepared, output_of(job), probe, live or {}).run()
    finally:
        prepared.source.close()


class _Forecaster:
    def __init__(self, prepared: Prepared, url: str, probe: bool, live: Mapping[str, Any]) -> None:
        self.prepared = prepared
        self.url = url
        self.probing = probe
        self.sizing = Sizing(prepared)
        self.notes = _Notes()
        self.request = Request(sink=self.notes, live=live)
        self.load_seconds: float | None = None
        self.devices: tuple[str, ...] = ()
        self.said: tuple[tuple[str, str], ...] = ()
        self.sharding: tuple[Mapping[str, JSON], ...] = ()

    def run(self) -> Forecast:
        stored, done = self._stored()
        if stored is not None and not self.probing:
            return self._forecast(stored, done, None)
        if not self.prepared.n_rows:
            plan = make_plan(self.prepared, self.sizing, None, self.url, self.request)
            return self._forecast(plan, done, None)
        inbox: queue.Queue[Any] = queue.Queue()
        with signals_into(inbox):
            engine = Engine(
                self.prepared.schedule,
                self.sizing.threads_in_worker,
                self.sizing.threads,
                inbox,
            )
            try:
                plan = make_plan(self.prepared, self.sizing, engine, self.url, self.request)
                self.load_seconds = engine.load_seconds
                self.devices = engine.devices
                self.said, self.sharding = engine.notes, engine.sharding
                reports = self._rehearse(engine) if self.probing else None
            finally:
                engine.close()
        return self._forecast(stored or plan, done, reports)

    def _stored(self) -> tuple[Plan | None, int]:
        try:
            snapshot = open_snapshot(open_objects(self.url))
        except NotARun:
            return None, 0
        done = int((snapshot.table.state == ChunkState.DONE).sum())
        check_same_job(self.url, snapshot.manifest, self.prepared.fingerprint(), f"{done} done")
        return Plan.from_json(snapshot.manifest.plan), done

    def _rehearse(self, engine: Engine) -> list[RehearsalReport]:
        job = worker_job(
            self.prepared, self.sizing, self.url, plan=None, epoch=0, live=self.request.live
        )
        return engine.rehearse(job, self.prepared.start, self.prepared.stop, self.sizing.workers)

    def _forecast(self, plan: Plan, done: int, reports: list[RehearsalReport] | None) -> Forecast:
        low = high = pace = None
        if reports:
            low, high, pace = _interval(reports, plan.n_rows - done * plan.chunk_rows)
        elif not plan.n_rows:
            low = high = 0.0
        writer = parts.build_writer(
            self.prepared.sections["writer"],
            str(self.prepared.job.base_dir),
            open_objects(self.url),
        )
        writer.check(plan.writer_plan())
        writer.open(plan.writer_plan())
        per_chunk = len(writer.objects(plan.chunk(0))) if plan.n_chunks else 0
        origin = self.prepared.job.origin("schedule.memory_limit")
        in_hand = chunks_in_hand(plan, self.sizing.memory_limit, origin)
        return Forecast(
            url=self.url,
            rows=plan.n_rows,
            chunks=plan.n_chunks,
            chunk_rows=plan.chunk_rows,
            batch_size=plan.batch_size,
            workers=self.sizing.workers,
            slots=plan.slots,
            threads=plan.threads,
            outputs={spec.name: spec.describe() for spec in plan.outputs},
            bytes_in=plan.n_rows * plan.row_bytes,
            bytes_out=plan.n_rows * (output_bytes(plan.outputs) + 1),
            files=plan.n_chunks * per_chunk,
            memory_per_worker=in_hand * plan.chunk_bytes,
            seconds_low=low,
            seconds_high=high,
            rows_per_second=pace,
            load_seconds=self.load_seconds,
            devices=self.devices,
            done_chunks=done,
            warnings=tuple(self.notes.lines),
            notes=(*self.notes.found, *self.said),
            sharding=self.sharding,
        )


def _interval(reports: list[RehearsalReport], rows_left: int) -> tuple[float, float, float]:
    """A range from the slow and the fast stretches of the rehearsal.

    The stretches of all workers are added up side by side. The range is widened by a tenth on
    the fast side and a quarter on the slow side for what a rehearsal does not do: write.
    """
    stretches = min(len(report.rows_per_second) for report in reports)
    paces = [sum(r.rows_per_second[i] for r in reports) for i in range(stretches)]
    paces = [pace for pace in paces if pace > 0] or [1e-9]
    middle = statistics.median(paces)
    spread = statistics.pstdev(paces) / len(paces) ** 0.5 if len(paces) > 1 else 0.1 * middle
    fast, slow = middle + 2 * spread, max(middle - 2 * spread, 0.5 * middle)
    low = rows_left / fast * 0.9
    high = rows_left / slow * 1.25 + _STARTUP
    return low, high, middle
