"""One driver session from a job to an outcome: new run, continued run, resume or retry."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from foretell.config.job import Job
from foretell.config.load import job_from_json
from foretell.engine import parts
from foretell.engine.engine import Engine
from foretell.engine.recorder import ProgressSink
from foretell.engine.stopping import signals_into
from foretell.engine.watcher import watched
from foretell.errors import ConfigError, Interrupted, LoadError, NotARun, StoreError
from foretell.paths import cache_dir
from foretell.run.outcome import Outcome
from foretell.run.planning import Sizing, make_plan, run_name
from foretell.run.prepare import Prepared, check_same_job, prepare, versions
from foretell.run.session import Session, idle_outcome
from foretell.store.failures import read_failures
from foretell.store.layout import PROBE
from foretell.store.manifest import Manifest, write_manifest
from foretell.store.objects import ObjectStore
from foretell.store.open import open_objects
from foretell.store.projection import Projection
from foretell.store.snapshot import open_snapshot
from foretell.store.standing import LIVE_AGAIN
from foretell.types import ChunkState, RunState


class SilentSink:
    """Shows nothing."""

    def head(self, head: Any) -> None:
        """Ignore a heartbeat."""

    def note(self, level: str, text: str) -> None:
        """Ignore a line."""


@dataclass(frozen=True, slots=True)
class Request:
    """How a session was asked for.

    Attributes:
        take_over: Fence a driver that holds the run.
        command: What the user typed.
        sink: Shows progress.
        live: Live objects by role: model, source, collate, postprocess.
        retry: Chunks to predict again, None when this is no retry.
        watch: Whether a watcher process may end this one (the command, never the Python API).
    """

    take_over: bool = False
    command: str = ""
    sink: ProgressSink = field(default_factory=SilentSink)
    live: Mapping[str, Any] = field(default_factory=dict)
    retry: frozenset[int] | None = None
    watch: bool = False


def predict_job(
    job: Job,
    *,
    take_over: bool = False,
    sink: ProgressSink | None = None,
    command: str = "",
    live: Mapping[str, Any] | None = None,
    watch: bool = False,
) -> Outcome:
    """Plan and run a job; continue the run at its output when that is the same job.

    Args:
        job: Validated settings; ``writer.path`` is required.
        take_over: Fence a live driver that holds the run.
        sink: Shows progress; silent by default.
        command: What the user typed, for the record.
        live: Live objects by role: ``model``, ``source``, ``collate``, ``postprocess``.
        watch: Whether a watcher may end this process at the hard time limit (``workers = 0``).

    Returns:
        The outcome; nothing is raised for runs that end partial, failed or interrupted.

    Raises:
        ConfigError, PlanError, OutputError: nothing was started.
        LoadError: a part cannot be loaded.
        StoreError: the store cannot be used, or belongs to another job.
        HeldError: another driver holds the run.
    """
    request = Request(take_over, command, sink or SilentSink(), live or {}, None, watch)
    return _run(job, output_of(job), request)


def resume_run(
    url: str,
    *,
    take_over: bool = False,
    sink: ProgressSink | None = None,
    command: str = "",
    watch: bool = False,
    sets: Mapping[str, Any] | None = None,
) -> Outcome:
    """Continue the run at ``url`` with its stored job; ``sets`` overrides settings of [schedule].

    Raises:
        NotARun: there is no run.
        LoadError: it was started from live Python objects.
        As :func:`predict_job` otherwise.
    """
    request = Request(take_over, command, sink or SilentSink(), {}, None, watch)
    return _run(stored_job(url, sets), url, request)


def retry_run(
    url: str,
    *,
    kind: str | None = None,
    chunks: Sequence[int] | None = None,
    take_over: bool = False,
    sink: ProgressSink | None = None,
    command: str = "",
    watch: bool = False,
    sets: Mapping[str, Any] | None = None,
) -> Outcome:
    """Predict again only what failed, of one ``kind`` or in some ``chunks``, or all of it.

    Raises:
        ConfigError: a chunk that did not fail, or does not exist, was asked for.
        As :func:`resume_run` otherwise.
    """
    job = stored_job(url, sets)
    objects = open_objects(url)
    chosen = _failed_chunks(objects, kind, chunks)
    request = Request(take_over, command, sink or SilentSink(), {}, frozenset(chosen), watch)
    return _run(job, url, request)


def output_of(job: Job) -> str:
    """Where a job's run store is.

    Raises:
        ConfigError: the job names no output.
    """
    if job.writer.path is None:
        raise ConfigError(
            "the job names no output",
            facts=[("missing", "writer.path")],
            tries=[("--output runs/out.zarr", "a folder or URL for the run store")],
            slug="config-output",
        )
    return str(job.writer.resolve(job.writer.path))


def stored_job(url: str, sets: Mapping[str, Any] | None) -> Job:
    """The job a run was started with.

    Raises:
        NotARun: there is no run.
        LoadError: it was started from live Python objects.
    """
    manifest = open_snapshot(open_objects(url)).manifest
    if manifest.live:
        raise LoadError(
            "this run was started from live Python objects, which no store can hold",
            facts=[("store", url)],
            tries=[(LIVE_AGAIN, "with the same objects and output: it goes on")],
            slug="live-objects",
        )
    known = parts.plugins()
    return job_from_json(
        manifest.job,
        base_dir=manifest.base_dir,
        sets={"schedule": dict(sets)} if sets else None,
        resolve=known.resolve,
        default_deployer=known.default_deployer,
    )


def _failed_chunks(
    objects: ObjectStore, kind: str | None, chunks: Sequence[int] | None
) -> list[int]:
    table = open_snapshot(objects).table
    gone = np.isin(table.state, (ChunkState.FAILED, ChunkState.QUARANTINED))
    lossy = (table.state == ChunkState.DONE) & (table.quarantined > 0)
    # A retry that was killed leaves its chunks behind: they belong to the next one.
    failed = set(np.flatnonzero(gone | lossy).tolist()) | set(table.retried)
    if kind is not None:
        failed &= {
            c for failure in read_failures(objects) if failure.kind == kind for c in failure.chunks
        }
    if chunks is None:
        return sorted(failed)
    wrong = [chunk for chunk in chunks if chunk not in failed]
    if wrong:
        raise ConfigError(
            f"chunk {wrong[0]} has nothing to retry",
            facts=[("failed", _some(sorted(failed)))],
            tries=[("sdk failures RUN", "what failed, and in which chunks")],
            slug="retry-chunks",
        )
    return sorted(chunks)


def _some(chunks: list[int]) -> str:
    shown = ", ".join(map(str, chunks[:12])) or "no chunk"
    return f"{shown}, … ({len(chunks)})" if len(chunks) > 12 else shown


def _run(job: Job, url: str, request: Request) -> Outcome:
    inbox: queue.Queue[Any] = queue.Queue()
    with signals_into(inbox):
        return _Flow(job, url, request, inbox).run()


class _Flow:
    """The steps of a session, in order."""

    def __init__(self, job: Job, url: str, request: Request, inbox: queue.Queue[Any]) -> None:
        self.request = request
        self.url = url
        self.inbox = inbox
        self.began = time.monotonic()
        self.objects: ObjectStore = open_objects(url, power=job.writer.durability == "power")
        self.prepared: Prepared = prepare(job, request.live)
        self.sizing = Sizing(self.prepared)

    def run(self) -> Outcome:
        try:
            manifest = self._stored()
            with self._watched():
                return self._new() if manifest is None else self._continue(manifest)
        finally:
            self.prepared.source.close()

    def _stored(self) -> Manifest | None:
        try:
            return open_snapshot(self.objects).manifest
        except NotARun:
            found = _foreign(self.objects)
            if found is None:
                return None
        try:
            return open_snapshot(self.objects).manifest  # another driver began it meanwhile
        except NotARun:
            raise StoreError(
                "there is something at the output that is not a run",
                facts=[("output", self.url), ("found", found)],
                tries=[("--output …", "another place")],
                slug="not-a-run",
            ) from None

    def _new(self) -> Outcome:
        """Plan on a worker, then create the store: a refused job leaves nothing behind."""
        fingerprint = self.prepared.fingerprint()
        self.objects.check_writable()
        engine: Engine | None = None
        try:
            writer = parts.build_writer(
                self.prepared.sections["writer"], str(self.prepared.job.base_dir), self.objects
            )
            parts.warm_up(writer)  # while this thread waits for workers to start
            if self.prepared.n_rows:
                engine = self._engine()
            plan = make_plan(self.prepared, self.sizing, engine, self.url, self.request)
            writer.check(plan.writer_plan())
            manifest = Manifest(
                job=self.prepared.job.to_json(),
                fingerprint=fingerprint,
                plan=plan.to_json(),
                versions=versions(),
                created=time.time(),
                live=bool(self.request.live),
                base_dir=str(self.prepared.job.base_dir),
            )
            self.objects.ensure_root()
            if not write_manifest(self.objects, manifest):
                if engine is not None:
                    engine.close()
                return self._continue(open_snapshot(self.objects).manifest)
            return self._session(manifest, engine)
        except Interrupted as error:
            return self._outcome_of(error)
        finally:
            if engine is not None:
                engine.close()

    def _continue(self, manifest: Manifest) -> Outcome:
        snapshot = open_snapshot(self.objects)
        done = int((snapshot.table.state == ChunkState.DONE).sum())
        check_same_job(
            self.url,
            manifest,
            self.prepared.fingerprint(),
            f"{done:,} of {snapshot.table.n_chunks:,} chunks done",
        )
        if (idle := idle_outcome(snapshot, self.url, self.request.retry)) is not None:
            return idle
        return self._session(manifest, None, snapshot.projection)

    def _session(
        self,
        manifest: Manifest,
        engine: Engine | None,
        projection: Projection | None = None,
    ) -> Outcome:
        session = Session(self.prepared, self.sizing, manifest, self.objects, self.request)
        session.claim(projection)
        started = engine
        try:
            if started is None and session.work.waiting:
                started = self._engine()
            return session.run(started, self.began)
        finally:
            if started is not None and started is not engine:
                started.close()

    def _watched(self) -> AbstractContextManager[None]:
        """Under the command a run inside this process is watched from outside."""
        asked = self.request.watch and self.sizing.inside
        board = cache_dir() / "boards" / f"{run_name(self.url)}-{os.getpid()}.board"
        return watched(board, self.sizing.timeout if asked else None)

    def _engine(self) -> Engine:
        return Engine(
            self.prepared.schedule, self.sizing.threads_in_worker, self.sizing.threads, self.inbox
        )

    def _outcome_of(self, error: Interrupted) -> Outcome:
        seconds = time.monotonic() - self.began
        return Outcome(RunState.INTERRUPTED, 75, self.url, error.message, seconds=seconds)


def _foreign(objects: ObjectStore) -> str | None:
    """Something in the folder that no driver puts there before the manifest, if there is any."""
    return next((key for key in objects.list() if not key.startswith(PROBE)), None)
