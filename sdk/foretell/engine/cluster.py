"""The one place that knows Dask: start or join a cluster, talk to its workers, hear of losses.

Everything a cluster has to say arrives in one inbox as a small event, so that the driver is a
single loop over a queue. Nothing here retries: attempts are the driver's.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import queue
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import dask
from distributed import Client, Future, KilledWorker, LocalCluster, Nanny, Worker

from foretell.config.schedule import ScheduleOptions
from foretell.engine import tasks
from foretell.engine.attendance import Attendance, present
from foretell.engine.messages import WorkerJob
from foretell.engine.quiet import Quiet
from foretell.errors import LoadError
from foretell.heap import heap_environment
from foretell.paths import cache_dir
from foretell.types import GroupInfo

_SETTINGS: dict[str, Any] = {
    "distributed.admin.large-graph-warning-threshold": "1GB",
    # Dask's own logs hold on to tasks, and with them to every chunk that was in one.
    "distributed.admin.low-level-log-length": 32,
    # What Dask measures of itself, every 20 ms in every process, costs a model that keeps all cores
    # busy some 2 % of them.
    "distributed.admin.system-monitor.disk": False,
    "distributed.admin.system-monitor.interval": "60s",
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.limit": "1000 days",
    "distributed.client.scheduler-info-interval": "60s",
    "distributed.diagnostics.computations.max-history": 1,
    # A cluster gives a nanny up for good when its worker is not back after 15 s, which a busy
    # machine needs to start a process.
    "distributed.deploy.lost-worker-timeout": "1000 days",
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.http.routes": [],
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.worker-ttl": None,
    "distributed.worker.daemon": False,
    "distributed.worker.http.routes": [],
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.profile.enabled": False,
}
"""Our own attempts and limits rule, so Dask's second guesses are off where we start the cluster."""

CALL_TIMEOUT = 20.0
"""Seconds after which a control call to one worker counts as unanswered."""

_LOOPBACK = "127.0.0.1:0"

FETCH_TIMEOUT = 30.0
"""Seconds after which the result of a finished task counts as lost."""


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """A worker process is connected to the scheduler."""

    address: str


@dataclass(frozen=True, slots=True)
class WorkerLeft:
    """A worker is gone for the scheduler."""

    address: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A control call to a worker came back: ``result``, or ``error``."""

    address: str
    what: str
    result: Any = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """A submitted task ended: ``result``, or ``error`` when Dask could not run it."""

    key: str
    address: str
    result: Any = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class SchedulerLost:
    """The connection to the scheduler broke."""


ClusterEvent = WorkerJoined | WorkerLeft | Answered | TaskEnded | SchedulerLost

_EXITS: dict[str, int] = {}


class ReportingNanny(Nanny):  # type: ignore[misc]  # distributed ships no types
    """A nanny that remembers how its worker process ended."""

    async def _on_worker_exit(self, exitcode: int) -> None:
        if self.worker_address:
            _EXITS[str(self.worker_address)] = exitcode
        await super()._on_worker_exit(exitcode)


class InsideWorker(Worker):  # type: ignore[misc]  # distributed ships no types
    """A worker inside this process whose HTTP server listens on loopback alone.

    Without an address Dask lets it listen on all interfaces, dashboard or not.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "dashboard_address": _LOOPBACK})

    async def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close without waiting for a model at work: nobody needs what it returns any more."""
        return await super().close(*args, **{**kwargs, "executor_wait": False})


class Cluster:
    """A running Dask cluster and our client on it.

    Args:
        schedule: ``cluster``, ``workers`` and ``cluster_options`` are used.
        threads: Task threads of every worker we start.
        cpu_threads: Threads one operation of the model may use there.
        inbox: Where events are put.
    """

    def __init__(
        self,
        schedule: ScheduleOptions,
        threads: int,
        cpu_threads: int,
        inbox: queue.Queue[Any],
    ) -> None:
        self.inbox = inbox
        self.kind = _kind(schedule)
        self._futures: dict[str, Future] = {}
        self._quiet = Quiet()
        scratch = {"temporary-directory": str(cache_dir() / "dask")}
        self._config = dask.config.set(_SETTINGS | scratch | _environment(threads, cpu_threads))
        self._cluster: Any = None
        self._client: Any = None
        self._closing = False
        try:
            self._cluster = _start(schedule, self.kind, threads)
            address = self._cluster if self._cluster is not None else schedule.cluster
            # A scheduler that is there answers at once; our own is still starting.
            patience = 10 if self._cluster is None else 30
            self._client = Client(address, set_as_default=False, timeout=patience, name="foretell")
            self._attendance = Attendance(self._client, self._joined, self._left)
        except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
            self.close()
            raise LoadError(
                "the cluster cannot be started or reached",
                facts=[
                    ("cluster", schedule.cluster),
                    ("cause", f"{type(error).__name__}: {error}".strip()),
                ],
                tries=[("--set schedule.cluster=local", "use this machine")],
                slug="cluster",
            ) from error

    def workers(self) -> list[str]:
        """Addresses the scheduler knows now."""
        return present(self._client)

    def install(self, address: str, job: WorkerJob, worker: int, group: GroupInfo) -> None:
        """Prepare a worker; answered with ``what="install"``."""
        self._call(address, "install", tasks.install, job, worker, group)

    def renew(
        self,
        address: str,
        run: str,
        echoed: float,
        draining: bool,
        routes: Mapping[str, tuple[str, int]],
    ) -> None:
        """Renew a worker's lease and tell it the routes; answered with ``what="renew"``."""
        self._call(address, "renew", tasks.renew, run, echoed, draining, dict(routes))

    def sample(self, address: str, run: str) -> None:
        """Ask a worker for its figures; answered with ``what="stats"``."""
        self._call(address, "stats", tasks.stats, run)

    def forget(self, address: str, run: str) -> None:
        """Let a worker free what it holds for a run; answered with ``what="close"``."""
        self._call(address, "close", tasks.close, run)

    def call(self, address: str, what: str, function: Callable[..., Any], *args: Any) -> None:
        """Call a module-level function on a worker's event loop; answered with ``what``."""
        self._call(address, what, function, *args)

    def call_nanny(self, address: str, what: str, function: Callable[..., Any], *args: Any) -> None:
        """Call a function beside a worker that may hang; answered with ``what``."""
        self._call(address, what, function, *args, nanny=True)

    def submit(self, key: str, address: str, function: Callable[..., Any], *args: Any) -> None:
        """Run a function once in a task thread of exactly this worker."""
        future = self._client.submit(
            function,
            *args,
            key=key,
            workers=[address],
            allow_other_workers=False,
            retries=0,
            pure=False,
        )
        self._futures[key] = future
        future.add_done_callback(lambda done: self._ended(done, address))

    def cancel(self, keys: Iterable[str]) -> None:
        """Forget tasks; whatever they return is not heard of again."""
        futures = [f for key in keys if (f := self._futures.pop(key, None)) is not None]
        if futures and self._client.status == "running":
            self._client.cancel(futures)

    def exit_code(self, address: str) -> int | None:
        """How a worker process we started ended; its nanny knows a moment after the scheduler."""
        until = time.monotonic() + (0.5 if self.kind == "local" else 0.0)
        while address not in _EXITS and time.monotonic() < until:
            time.sleep(0.005)
        return _EXITS.pop(address, None)

    def alive(self) -> bool:
        """Whether the connection to the scheduler stands."""
        return bool(self._client.status == "running")

    def close(self) -> None:
        """Leave the cluster, and stop it where we started it."""
        self._closing = True
        self._futures.clear()
        for part in (self._client, self._cluster):
            if part is not None:
                try:
                    part.close(timeout=5)
                except (OSError, TimeoutError, RuntimeError) as error:
                    logging.getLogger("foretell").debug("closing the cluster: %s", error)
        self._config.__exit__(None, None, None)
        self._quiet.end()

    def _call(
        self,
        address: str,
        what: str,
        function: Callable[..., Any],
        *args: Any,
        nanny: bool = False,
    ) -> None:
        async def go() -> None:
            try:
                answers = await asyncio.wait_for(
                    self._client.run(
                        function, *args, workers=[address], nanny=nanny, on_error="return"
                    ),
                    CALL_TIMEOUT,
                )
                result = next(iter(answers.values()), None)
            except (OSError, TimeoutError, ValueError, RuntimeError) as error:
                result = error
            if isinstance(result, BaseException):
                text = f"{type(result).__name__}: {result}"
                self.inbox.put(Answered(address, what, error=text))
            else:
                self.inbox.put(Answered(address, what, result=result))

        self._client.loop.add_callback(go)

    def _ended(self, future: Future, address: str) -> None:
        """In a thread of the client's: have the (small) result fetched, without waiting for it.

        A result may be lost with its worker before it is fetched; others must not wait behind it.
        """
        if self._closing or self._futures.pop(future.key, None) is None:
            return
        if future.status == "finished":
            self._client.loop.add_callback(self._fetch, future, address)
            return
        text = str(future.status)
        if future.status == "error" and not isinstance(cause := future.exception(), KilledWorker):
            text = f"failed: {type(cause).__name__}: {cause}"
        self.inbox.put(TaskEnded(future.key, address, error=text))

    async def _fetch(self, future: Future, address: str) -> None:
        try:
            result = await asyncio.wait_for(
                self._client.gather(future, asynchronous=True), FETCH_TIMEOUT
            )
        except (Exception, asyncio.CancelledError) as error:
            text = f"{type(error).__name__}: {error}"
            self.inbox.put(TaskEnded(future.key, address, error=text))
        else:
            self.inbox.put(TaskEnded(future.key, address, result=result))

    def _joined(self, address: str) -> None:
        if not self._closing:
            self.inbox.put(WorkerJoined(address))

    def _left(self, address: str) -> None:
        if not self._closing:
            self.inbox.put(WorkerLeft(address))


def _kind(schedule: ScheduleOptions) -> str:
    """``inside`` (this process), ``local`` (spawned), ``joined`` or ``class``."""
    if schedule.cluster == "local":
        return "local" if schedule.workers else "inside"
    return "joined" if "://" in schedule.cluster else "class"


def _start(schedule: ScheduleOptions, kind: str, threads: int) -> Any:
    if kind == "joined":
        return None
    if kind == "class":
        return start_class(schedule)
    if kind == "inside":
        return LocalCluster(
            n_workers=1,
            threads_per_worker=threads,
            processes=False,
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": _LOOPBACK},
            worker_class=InsideWorker,
            memory_limit=0,
            silence_logs=False,
        )
    return LocalCluster(
        n_workers=schedule.workers,
        threads_per_worker=threads,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        scheduler_kwargs={"dashboard_address": _LOOPBACK},
        memory_limit=0,
        worker_class=ReportingNanny,
        silence_logs=False,
    )


def start_class(schedule: ScheduleOptions) -> Any:
    """A cluster of the class the settings name, scaled to the workers they ask for."""
    module, _, name = schedule.cluster.partition(":")
    try:
        cls = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise LoadError(
            "the cluster class cannot be loaded",
            facts=[("cluster", schedule.cluster), ("cause", str(error))],
            tries=[('schedule.cluster = "package.module:Class"', "a class with Dask's interface")],
            slug="cluster",
        ) from error
    cluster = cls(**schedule.cluster_options)
    if schedule.workers and not {"n_workers", "workers"} & set(schedule.cluster_options):
        cluster.scale(schedule.workers)
    return cluster


def _environment(threads: int, cpu_threads: int) -> dict[str, Any]:
    """What spawned workers find in their environment before any library is loaded."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {
        "distributed.nanny.pre-spawn-environ": {
            "DASK_LOGGING__DISTRIBUTED": "critical",
            **heap_environment(threads - 2),
            **dict.fromkeys(names, cpu_threads),
        }
    }
