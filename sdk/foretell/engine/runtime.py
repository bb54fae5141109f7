"""What one process holds for one run: its parts, loaded once, and what its threads share."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from foretell.abc import DeployContext, Deployer, Deployment, Predictor, Source, Writer
from foretell.engine import parts
from foretell.engine.batches import BatchRunner, UserError
from foretell.engine.board import Board, Phase
from foretell.engine.gates import Gate, Slots, Turnstile
from foretell.engine.lease import WorkerLease
from foretell.engine.messages import WorkerJob
from foretell.engine.services import Caller
from foretell.errors import ForetellError, LoadError
from foretell.paths import cache_dir
from foretell.plan import Plan
from foretell.store.identity import process_started
from foretell.store.layout import worker_labels
from foretell.store.open import open_objects
from foretell.types import Arrays, Chunk, GroupInfo, OutputSpec, Receipt


class Runtime:
    """One run in one process. Threads of the process share it; see the locks below.

    Attributes:
        slots: Taken while a chunk is in the model: ``plan.slots`` at once.
        writing: Taken while a chunk is written: one at a time, more raised CPU and nothing else.
    """

    def __init__(self, job: WorkerJob, worker: int, group: GroupInfo) -> None:
        self.group = group
        self.lease = WorkerLease()
        self.pid_started = process_started(os.getpid()) or 0.0
        self._take_up(job, worker)
        folder = Path(job.board) if job.board else cache_dir() / "boards"
        self.board = Board(folder / f"{job.run}-{os.getpid()}.board")
        self.slots: Gate = Turnstile() if group.size > 1 else Slots(job.slots)
        self.writing = threading.BoundedSemaphore(1)
        self._loading = threading.Lock()
        self._loaded = False
        self._failed: LoadError | None = None
        self.load_seconds = 0.0

    def _take_up(self, job: WorkerJob, worker: int) -> None:
        self.job = job
        self.worker = worker
        label = f"{worker_labels(job.epoch)}{socket.gethostname()}-{os.getpid()}-{worker}"
        self.objects = open_objects(job.url, lease=self.lease, label=label, power=job.power)

    def adopt(self, job: WorkerJob, worker: int) -> bool:
        """Go on from the dry batch to the run with the model that is loaded already.

        Returns:
            False when nothing is loaded or the job is another one; then start afresh.
        """
        with self._loading:
            if not self._loaded or self.job.plan is not None or job.plan is None:
                return False
            if self.job.sections != job.sections:
                return False
            if self.job.batch_size != job.batch_size and not self.deployment.any_batch_size:
                return False
            self._take_up(job, worker)
            self._load_writer(Plan.from_json(job.plan))
            self._make_runner()
            return True

    # What loading fills in; read only after ``load``.
    source: Source
    predictor: Predictor
    deployer: Deployer
    deployment: Deployment
    writer: Writer
    runner: BatchRunner
    plan: Plan
    specs_by_name: Mapping[str, OutputSpec]
    model_outputs: Sequence[str]

    def load(self) -> None:
        """Build the parts and deploy the model, once, whichever thread comes first.

        Raises:
            LoadError: what could not be loaded; the same one for every later caller.
        """
        with self._loading:
            if self._failed is not None:
                raise self._failed
            if self._loaded:
                return
            self.board.begin(-1, 0)
            self.board.stamp(Phase.LOAD)
            clock = time.perf_counter()
            try:
                self._load()
            except ForetellError as error:
                self._failed = error if isinstance(error, LoadError) else _as_load_error(error)
                raise self._failed from error
            except UserError as error:
                self._failed = _as_load_error(error)
                raise self._failed from error
            finally:
                self.board.stamp(Phase.IDLE)
            self.load_seconds = time.perf_counter() - clock
            self._loaded = True

    def _load(self) -> None:
        job = self.job
        live = parts.live_objects(job.run, job.live)
        self.source = parts.build_source(job.sections["source"], job.base_dir, live)
        self.predictor = parts.build_predictor(job.sections["predictor"], job.base_dir, live)
        self.deployer = parts.build_deployer(job.sections["deployer"], job.base_dir)
        if job.plan is not None:
            self._load_writer(Plan.from_json(job.plan))
        services = {spec.name: spec for spec in job.services}
        self.deployment = self.deployer.deploy(
            self.predictor,
            DeployContext(
                batch_size=self.local_batch_size,
                slots=job.slots,
                threads=job.threads,
                worker=self.worker,
                workers=job.workers,
                group=self.group,
                services=Caller(job.run, services) if services else None,
                seed=job.seed,
                cache_dir=str(cache_dir() / "compiled"),
            ),
        )
        self._make_runner()

    def _make_runner(self) -> None:
        planned = self.job.plan is not None
        tried: BatchRunner | None = getattr(self, "runner", None) if planned else None
        ceiling = None
        if tried is not None and tried.ceiling < tried.batch_size:
            ceiling = tried.ceiling
        self.runner = BatchRunner(
            self.predictor,
            self.deployment,
            self.local_batch_size,
            self.job.seed,
            self.job.sections["predictor"].get("outputs"),
            {name: self.specs_by_name[name] for name in self.model_outputs} if planned else None,
        )
        if ceiling is not None:
            self.runner.ceiling = ceiling  # what the dry batch learnt of the device's memory

    def _load_writer(self, plan: Plan) -> None:
        self.plan = plan
        self.writer = parts.build_writer(
            self.job.sections["writer"], self.job.base_dir, self.objects
        )
        self.writer.open(plan.writer_plan())
        self.specs_by_name = {spec.name: spec for spec in plan.outputs}
        self.model_outputs = [s.name for s in plan.outputs if s.name not in plan.keep]

    def warm_up(self) -> None:
        """Have the writer's libraries imported while the driver makes the plan."""
        parts.warm_up(
            parts.build_writer(self.job.sections["writer"], self.job.base_dir, self.objects)
        )

    @property
    def splits_rows(self) -> bool:
        """Whether this process computes only its own part of every chunk."""
        return self.group.size > 1 and self.deployer.group_rows == "split"

    @property
    def local_batch_size(self) -> int:
        """Rows of a batch in this process: its share of it where a group splits the rows."""
        return self.job.batch_size // (self.group.size if self.splits_rows else 1)

    @property
    def part(self) -> int | None:
        """Which part of every chunk this process writes; None for the whole chunk."""
        return self.group.rank if self.splits_rows else None

    def lockstep_rows(self, chunk_id: int) -> int:
        """Rows every member counts its batches by, so that all of them launch equally many."""
        if self.part is None:
            return len(self.plan.chunk(chunk_id))
        return len(self.plan.writer_plan().part(self.plan.chunk(chunk_id), 0))

    def rows_of(self, chunk_id: int) -> Chunk:
        """The rows of a chunk this process computes."""
        chunk = self.plan.chunk(chunk_id)
        return chunk if self.part is None else self.plan.writer_plan().part(chunk, self.part)

    def write(self, chunk_id: int, arrays: Arrays, valid: np.ndarray) -> Receipt:
        """Write a chunk, this process's part of it, or nothing where another member writes all."""
        if self.group.size > 1 and not self.splits_rows and self.group.rank > 0:
            return Receipt((), ())
        return self.writer.write(self.plan.chunk(chunk_id), arrays, valid, self.part)

    def stats(self) -> Mapping[str, Any]:
        """Figures of the deployment for the run's record."""
        if not self._loaded:
            return {}
        try:
            return {"devices": list(self.deployment.devices()), **self.deployment.stats()}
        except UserError as error:
            return {"error": f"{type(error).__name__}: {error}"[:200]}

    def close(self) -> None:
        """Free everything; the process may go on with other runs."""
        self.lease.revoke()
        with self._loading:
            if self._loaded:
                self._loaded = False
                for close in (self.deployment.close, self.source.close):
                    with _quietly():
                        close()
        self.board.close()


@contextmanager
def _quietly() -> Any:
    with suppress(*UserError):  # closing is best effort: every result is stored or reported
        yield


def _as_load_error(error: BaseException) -> LoadError:
    if isinstance(error, ForetellError):
        return LoadError(error.message, facts=error.facts, tries=error.tries, slug=error.slug)
    return LoadError(
        "the model could not be loaded", facts=[("cause", f"{type(error).__name__}: {error}")]
    )


RUNTIMES: dict[str, Runtime] = {}
"""The runs this process works for, by name."""
