"""One thread that computes for many pools, and one that watches it."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from foretell_experts.batch import Task, finish
from foretell_experts.errors import ProcessFailed, ProcessHung
from foretell_experts.pool import TaskPool, closed

PROCESS_TIMEOUT = 300.0
_IDLE = 1.0
_OFTEN = 0.02


class Backend(Protocol):
    """Anything with pools."""

    def get_pools(self) -> Sequence[TaskPool]:
        """The pools whose functions work on one model, never two of them at once."""
        ...


@dataclass(slots=True)
class _Running:
    """What the device loop is at."""

    pool: TaskPool
    tasks: Sequence[Task]
    began: float


class Runtime:
    """Takes batches out of pools and computes them, one at a time, in one thread.

    The most urgent waiting task comes first across all pools: the lower priority number, then the
    older one; its pool's batch is what is computed next. So a pool that is always busy keeps no
    other waiting longer than those before it in line.

    A process function that does not return is given up after ``process_timeout``: its tasks and
    those that wait for the same backend fail with :class:`ProcessHung`, the other pools go on in a
    new thread, and the backend takes tasks again should the call ever return.

    Args:
        backends: Name to anything with ``get_pools()``.
        process_timeout: Seconds one call of a process function may take.
        threads: Threads inside one operation of torch, in the device loop alone. May be changed;
            torch's own default when None.
    """

    def __init__(
        self,
        backends: Mapping[str, Backend] | None = None,
        *,
        process_timeout: float = PROCESS_TIMEOUT,
        threads: int | None = None,
    ) -> None:
        self.process_timeout = process_timeout
        self.ready = threading.Event()
        self.threads = threads
        self._backends: dict[str, Sequence[TaskPool]] = {}
        self._pools: tuple[TaskPool, ...] = ()
        self._changing = threading.RLock()
        self._condition = threading.Condition()
        self._sleeping = False
        self._stopped = threading.Event()
        self._generation = 0
        self._running: _Running | None = None
        self._thread: threading.Thread | None = None
        self._watcher: threading.Thread | None = None
        for name, backend in (backends or {}).items():
            self.add(name, backend)

    def __enter__(self) -> Runtime:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    # --- what it serves ----------------------------------------------------------------------

    def add(self, name: str, backend: Backend) -> None:
        """Serve another backend, from now on.

        Raises:
            ValueError: the name is taken.
            RuntimeError: the runtime was shut down.
        """
        with self._changing:
            if self._stopped.is_set():
                raise RuntimeError("the runtime was shut down")
            if name in self._backends:
                raise ValueError(f"there is a backend {name!r} already")
            self._backends[name] = tuple(backend.get_pools())
            self._gather()
            for pool in self._backends[name]:
                pool.attach(self._wake)
        self._wake()

    def remove(self, name: str) -> None:
        """Serve a backend no longer; what waits in its pools fails."""
        with self._changing:
            pools = self._backends.pop(name, ())
            self._gather()
        for pool in pools:
            pool.close()
            pool.attach(None)

    def _gather(self) -> None:
        self._pools = tuple(pool for pools in self._backends.values() for pool in pools)

    def statistics(self) -> dict[str, dict[str, Any]]:
        """Figures of every pool by its name, as plain data."""
        return {pool.name: pool.figures() for pool in self._pools}

    # --- life --------------------------------------------------------------------------------

    def start(self, timeout: float = 10.0) -> None:
        """Start computing; returns when the device loop runs.

        Raises:
            RuntimeError: it was started or shut down before, or did not come up in time.
        """
        with self._changing:
            if self._stopped.is_set() or self._thread is not None:
                state = "shut down" if self._stopped.is_set() else "started"
                raise RuntimeError(f"the runtime was {state} before")
            self._spawn()
            self._watcher = threading.Thread(target=self._watch, name="experts-watch", daemon=True)
            self._watcher.start()
        atexit.register(self.shutdown)
        if not self.ready.wait(timeout):
            raise RuntimeError(f"the device loop did not start within {timeout:g} s")

    def _spawn(self) -> None:
        self._thread = threading.Thread(
            target=self._loop, args=(self._generation,), name="experts-device", daemon=True
        )
        self._thread.start()

    def shutdown(self, timeout: float = 5.0) -> None:
        """Stop. All that waits fails with :class:`PoolClosed`; may be called again.

        The batch at work may finish within ``timeout`` seconds, then its tasks fail as well.
        """
        with self._changing:
            self._stopped.set()
            thread, pools = self._thread, self._pools
        for pool in pools:
            pool.close()
        self._wake()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
        if self._watcher is not None and self._watcher is not threading.current_thread():
            self._watcher.join(timeout)
        running = self._running
        if running is not None:
            for task in running.tasks:
                finish(task.future, closed(running.pool.name))
        self.ready.clear()
        with suppress(Exception):
            atexit.unregister(self.shutdown)

    # --- the device loop ---------------------------------------------------------------------

    def _wake(self) -> None:
        if self._sleeping:
            with self._condition:
                self._condition.notify_all()

    def _loop(self, generation: int) -> None:
        threads: int | None = None
        self.ready.set()
        while not self._stopped.is_set() and self._generation == generation:
            pool, pause = self._choose()
            if pool is None:
                self._sleep(pause)
                continue
            if self.threads is not None and threads != self.threads:
                threads = self.threads
                torch.set_num_threads(threads)
            tasks = pool.take()
            if tasks:
                self._compute(pool, tasks, generation)

    def _choose(self) -> tuple[TaskPool | None, float]:
        """The pool of the most urgent task whose batch is due, else the seconds until one is."""
        now = time.monotonic()
        best: TaskPool | None = None
        urgent = (float("inf"), float("inf"))
        pause = _IDLE
        for pool in self._pools:
            urgency = pool.urgency(now)
            if urgency is None:
                continue
            priority, submitted, due = urgency
            if due > 0:
                pause = min(pause, due)
            elif best is None or (priority, submitted) < urgent:
                best, urgent = pool, (priority, submitted)
        return best, pause

    def _sleep(self, pause: float) -> None:
        with self._condition:
            self._sleeping = True
            # Once more with the flag up: whoever submitted before saw no need to wake us.
            pool, pause = self._choose()
            if pool is None and not self._stopped.is_set():
                self._condition.wait(pause)
            self._sleeping = False

    def _compute(self, pool: TaskPool, tasks: Sequence[Task], generation: int) -> None:
        running = _Running(pool, tasks, time.monotonic())

        def going() -> bool:
            running.began = time.monotonic()
            return self._generation == generation

        self._running = running
        try:
            pool.process(tasks, going)
        except BaseException as error:  # a fault of ours must not leave anybody waiting
            failed = ProcessFailed("a batch could not be handed out", facts=[("pool", pool.name)])
            failed.__cause__ = error
            for task in tasks:
                finish(task.future, failed)
        with self._changing:
            if self._generation == generation:
                self._running = None
                return
        for sibling in self._siblings(pool):
            sibling.recover()

    def _siblings(self, pool: TaskPool) -> Sequence[TaskPool]:
        with self._changing:
            return next((pools for pools in self._backends.values() if pool in pools), (pool,))

    # --- the watch ---------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._stopped.wait(self._interval()):
            running = self._running
            now = time.monotonic()
            if running is not None and now - running.began > self.process_timeout:
                self._give_up(running)
            for pool in self._pools:
                pool.expire(now)

    def _interval(self) -> float:
        shortest = min([self.process_timeout, *(pool.max_wait for pool in self._pools)])
        return min(_IDLE, max(_OFTEN, shortest / 4))

    def _give_up(self, running: _Running) -> None:
        with self._changing:
            if self._running is not running or self._stopped.is_set():
                return
            self._running = None
            self._generation += 1
            pools = self._siblings(running.pool)
            error = self._hung(running.pool.name)
            for pool in pools:
                pool.refuse(error())
            self._spawn()
        failed = sum(finish(task.future, error()) for task in running.tasks)
        running.pool.statistics.failed += failed

    def _hung(self, name: str) -> Callable[[], ProcessHung]:
        return lambda: ProcessHung(
            "the process function did not return in time",
            facts=[("pool", name), ("limit", f"{self.process_timeout:g} s")],
            tries=[("process_timeout=…", "seconds one call may take")],
        )
