"""The functions that run in worker processes, each named by module and given plain data.

``run_chunks`` and ``probe`` are Dask tasks and run in a task thread; the others are called on the
worker's event loop and return at once.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import faulthandler
import gc
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from foretell.engine.chunk import run_chunk
from foretell.engine.messages import ChunkReport, ChunkWork, Trouble, WorkerJob, trouble
from foretell.engine.runtime import RUNTIMES, Runtime
from foretell.engine.services import ROUTES, close_services, open_services
from foretell.errors import ForetellError
from foretell.types import GroupInfo

_PR_SET_PDEATHSIG = 1
_STOPPING = frozenset({"storage-full", "lease-lost", "storage"})
"""Causes after which the rest of a task would fail the same way."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A worker process that is ready to load a run.

    Attributes:
        host, pid, pid_started: Which process.
        job: The SLURM job it runs in, ``""`` outside of one.
        board: Path of its board.
        output: File its prints go to, ``""`` where they were left alone.
        moment: For the driver to echo in the first renewal.
    """

    host: str
    pid: int
    pid_started: float
    job: str
    board: str
    output: str
    moment: float


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """A worker could not load its parts."""

    trouble: Trouble
    exit_code: int


def install(job: WorkerJob, worker: int, group: GroupInfo, dask_worker: Any = None) -> Installed:
    """Prepare this process for a run. Loads nothing yet, so it is safe on the event loop."""
    runtime = RUNTIMES.get(job.run)
    output = _become_a_worker(job) if job.local else ""
    if runtime is None or runtime.group != group or not runtime.adopt(job, worker):
        if runtime is not None:
            runtime.close()
        runtime = RUNTIMES[job.run] = Runtime(job, worker, group)
    if job.services:
        open_services(job.run, dask_worker)
    return Installed(
        host=socket.gethostname(),
        pid=os.getpid(),
        pid_started=runtime.pid_started,
        job=os.environ.get("SLURM_JOB_ID", ""),
        board=str(runtime.board.path),
        output=output,
        moment=runtime.lease.moment(),
    )


def _become_a_worker(job: WorkerJob) -> str:
    """Die with the driver, ignore its terminal's signals, print into a file of its own."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    driver = int(job.settings.get("driver_pid", "0"))
    if driver and os.getppid() != driver:
        os.kill(os.getpid(), signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        with contextlib.suppress(ValueError):
            signal.signal(number, signal.SIG_IGN)
    path = Path(job.board) / f"{job.run}-{os.getpid()}.out"
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o600)
    for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
        stream.flush()
        os.dup2(handle, descriptor)
    os.close(handle)
    faulthandler.enable(file=2)
    # The driver waits for this process to end; the interpreter's last collections, over everything
    # the model's framework ever imported, would be most of that.
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
    return str(path)


def renew(
    run: str, echoed: float, draining: bool, routes: Mapping[str, tuple[str, int]]
) -> float | None:
    """Renew the lease of a run and learn its routes; None when this process has no such run."""
    runtime = RUNTIMES.get(run)
    if runtime is None:
        return None
    runtime.lease.draining = draining
    runtime.lease.renew(echoed)
    if routes:
        ROUTES[run].update(routes)
    return runtime.lease.moment()


def run_chunks(run: str, works: tuple[ChunkWork, ...]) -> list[ChunkReport] | LoadFailed | None:
    """Compute a few chunks one after the other; None when this process does not know the run."""
    runtime = RUNTIMES.get(run)
    if runtime is None or runtime.job.plan is None:
        return None
    try:
        runtime.load()
    except ForetellError as error:
        return LoadFailed(trouble(error.__cause__ or error), error.exit_code)
    reports: list[ChunkReport] = []
    for work in works:
        if runtime.lease.draining and reports:
            break
        report = run_chunk(runtime, work)
        reports.append(report)
        if not report.ok and report.troubles[0].slug in _STOPPING:
            break
    return reports


def stats(run: str) -> Mapping[str, Any]:
    """Figures of this process for the worker samples."""
    runtime = RUNTIMES.get(run)
    process = psutil.Process()
    with process.oneshot():
        return {
            "rss": process.memory_info().rss,
            "cpu_seconds": sum(process.cpu_times()[:2]),
            "deployment": {} if runtime is None else dict(runtime.stats()),
        }


def close(run: str) -> None:
    """Free what this process holds for a run."""
    runtime = RUNTIMES.pop(run, None)
    if runtime is not None:
        runtime.close()
    close_services(run)


def kill_process(pid: int) -> bool:
    """End a process at once; called through the nanny of a worker on another host."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False
