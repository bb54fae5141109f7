"""A queue of tasks for one function, grouped into batches of whole tasks."""

from __future__ import annotations

import bisect
import copy
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch

from foretell_experts.admission import Admission
from foretell_experts.batch import BatchRun, ProcessFunction, Task, finish
from foretell_experts.errors import PoolClosed, PoolError, PoolFull, TaskRefused
from foretell_experts.futures import TaskFuture, expired
from foretell_experts.schema import BatchTensorDescriptor
from foretell_experts.statistics import PoolStatistics

FLUSH = 1.0
"""Seconds a task waits for others under ``min_batch_size`` when no ``timeout`` is given."""

MAX_WAIT = 600.0
ROOM_WAIT = 10.0


class TaskPool:
    """Collects tasks; a :class:`Runtime` takes them out in batches and runs the function.

    Args:
        process_func: ``process_func(*tensors)`` returns a tuple of tensors; all of them have one
            row on axis 0 for each row of the batch. Called by one thread at a time.
        max_batch_size: Most rows of a batch. A task with more of them is refused.
        name: For messages and statistics.
        min_batch_size: Rows to wait for before a batch is made.
        timeout: Seconds after which a batch under ``min_batch_size`` is made all the same; 1 s by
            default.
        pool_size: Most tasks that may wait; any number by default. A submit above it waits for
            room, ``room_timeout`` seconds at most.
        schema: What one row of each tensor looks like. Learnt from the first batch that succeeds
            when it is not given; until then only tasks that look alike share a batch.
        share: Whether tasks may share a batch; each is one of its own otherwise.
        max_wait: Seconds after which a task that nobody did fails with :class:`TaskExpired`.
        room_timeout: See ``pool_size``.
        uid: An older word for ``name``.

    Raises:
        ValueError: a size or time makes no sense.
    """

    def __init__(
        self,
        process_func: ProcessFunction,
        max_batch_size: int,
        name: str | None = None,
        min_batch_size: int = 1,
        timeout: float | None = None,
        pool_size: int | None = None,
        *,
        schema: Sequence[BatchTensorDescriptor] | None = None,
        share: bool = True,
        max_wait: float = MAX_WAIT,
        room_timeout: float = ROOM_WAIT,
        uid: str | None = None,
    ) -> None:
        self.name = _name(name, uid)
        if not 1 <= min_batch_size <= max_batch_size:
            raise ValueError(
                f"pool {self.name!r}: sizes must be 1 <= min_batch_size <= max_batch_size, "
                f"got {min_batch_size} and {max_batch_size}"
            )
        flush = FLUSH if timeout is None else timeout
        if flush < 0 or max_wait <= 0 or (pool_size is not None and pool_size < 1):
            raise ValueError(f"pool {self.name!r}: timeout, max_wait and pool_size must be above 0")
        self.process_func = process_func
        self.min_batch_size = min_batch_size
        self.timeout = flush
        self.pool_size = pool_size
        self.share = share
        self.max_wait = max_wait
        self.room_timeout = room_timeout
        self.statistics = PoolStatistics()
        self._admission = Admission(self.name, max_batch_size, schema)
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._queues: dict[float, deque[Task]] = {}
        self._order: list[float] = []  # priorities with waiting tasks, most urgent first
        self._depth = 0
        self._rows = 0
        self._refusal: PoolError | None = None
        self._closed = False
        self._wake: Callable[[], None] | None = None

    @property
    def uid(self) -> str:
        """The name."""
        return self.name

    @property
    def max_batch_size(self) -> int:
        """Most rows of a batch; may be changed, batches that are made later keep to it."""
        return self._admission.limit

    @max_batch_size.setter
    def max_batch_size(self, rows: int) -> None:
        self._admission.limit = rows

    @property
    def queue_depth(self) -> int:
        """Tasks waiting."""
        return self._depth

    # --- clients -----------------------------------------------------------------------------

    def submit_task(self, *tensors: torch.Tensor, priority: float = 0) -> TaskFuture:
        """Ask for the outputs of these rows. Safe to call from any thread.

        Args:
            *tensors: One for each argument of the process function, with equally many rows.
            priority: Lower numbers go first.

        Returns:
            A future of the tuple of outputs, for ``result()`` or ``await``.

        Raises:
            TaskRefused: the tensors do not fit, naming expected and got.
            PoolFull: there was no room in time.
            PoolClosed, ProcessHung: the pool takes no tasks (any more, or at the moment).
        """
        try:
            rows = self._admission.rows(tensors)
        except TaskRefused:
            self.statistics.refused += 1
            raise
        with self._lock:
            if self.pool_size is not None and self._depth >= self.pool_size:
                self._wait_for_room(self.pool_size)
            if self._refusal is not None:
                self.statistics.refused += 1
                raise copy.copy(self._refusal)
            now = time.monotonic()
            task = Task(tensors, rows, now, TaskFuture(self.name, now + self.max_wait))
            queue = self._queues.get(priority)
            if queue is None:
                queue = self._queues[priority] = deque()
                bisect.insort(self._order, priority)
            queue.append(task)
            self._depth += 1
            self._rows += rows
            wake = self._wake
        if wake is not None:
            wake()
        return task.future

    def _wait_for_room(self, size: int) -> None:
        def there() -> bool:
            return self._depth < size or self._refusal is not None

        if not self._room.wait_for(there, self.room_timeout):
            self.statistics.refused += 1
            raise PoolFull(
                "the pool has no room for another task",
                facts=[("pool", self.name), ("pool_size", f"{size} tasks")],
            )

    # --- the device loop ---------------------------------------------------------------------

    def attach(self, wake: Callable[[], None] | None) -> None:
        """Say what is called after every submit."""
        with self._lock:
            self._wake = wake

    def urgency(self, now: float) -> tuple[float, float, float] | None:
        """How urgent the pool is: (priority, time of submission, seconds until a batch is due).

        The first two are those of its most urgent task; None when nothing waits.
        """
        if not self._depth:
            return None
        with self._lock:
            if not self._order:
                return None
            priority = self._order[0]
            submitted = self._queues[priority][0].submitted
            if self._rows >= self.min_batch_size:
                return priority, submitted, 0.0
            oldest = min(queue[0].submitted for queue in self._queues.values())
        return priority, submitted, max(0.0, oldest + self.timeout - now)

    def take(self) -> list[Task]:
        """Take the next batch: whole tasks, most urgent first, equals in order of arrival."""
        with self._lock:
            taken = self._pop()
            self._depth -= len(taken)
            self._rows -= sum(task.rows for task in taken)
            self._make_room()
        # Submitters need not wait while the futures are told.
        wanted = [task for task in taken if task.future.set_running_or_notify_cancel()]
        self.statistics.cancelled += len(taken) - len(wanted)
        return wanted

    def _pop(self) -> list[Task]:
        taken: list[Task] = []
        rows = 0
        limit = self._admission.limit if self.share else 0
        alike = self._admission.alike
        while self._order:
            queue = self._queues[self._order[0]]
            while queue:
                task = queue[0]
                rows += task.rows
                if taken and (rows > limit or not alike(task.tensors, taken[0].tensors)):
                    return taken
                taken.append(queue.popleft())
            del self._queues[self._order.pop(0)]
        return taken

    def _make_room(self) -> None:
        if self.pool_size is not None:
            self._room.notify_all()

    def process(self, tasks: Sequence[Task], going: Callable[[], bool]) -> None:
        """Compute a batch and settle its futures. Never raises.

        Args:
            tasks: From :meth:`take`.
            going: Called before every call of the process function; False stops.
        """
        before = self.statistics.batches
        BatchRun(self.process_func, self.name, self.statistics, going).run(tasks)
        if not self._admission.knows and self.statistics.batches > before:
            self._admission.learn([BatchTensorDescriptor.from_tensor(t) for t in tasks[0].tensors])

    # --- ends --------------------------------------------------------------------------------

    def expire(self, now: float) -> None:
        """Fail the tasks that waited too long."""
        late: list[Task] = []
        with self._lock:
            for priority in list(self._order):
                queue = self._queues[priority]
                while queue and queue[0].future.expires <= now:
                    late.append(queue.popleft())
                if not queue:
                    self._order.remove(priority)
                    del self._queues[priority]
            self._depth -= len(late)
            self._rows -= sum(task.rows for task in late)
            self._make_room()
        self._end(late, lambda: expired(self.name))

    def refuse(self, error: PoolError) -> None:
        """Fail all that waits and take no more tasks until :meth:`recover`."""
        with self._lock:
            if self._closed:
                return
            self._refusal = error
            tasks = self._emptied()
        self._end(tasks, lambda: copy.copy(error))

    def recover(self) -> None:
        """Take tasks again, unless the pool was closed."""
        with self._lock:
            if not self._closed:
                self._refusal = None

    def close(self) -> None:
        """Fail all that waits and take no more tasks. May be called again."""
        with self._lock:
            self._closed = True
            self._refusal = closed(self.name)
            tasks = self._emptied()
        self._end(tasks, lambda: closed(self.name))

    def _emptied(self) -> list[Task]:
        tasks = [task for priority in self._order for task in self._queues[priority]]
        self._queues.clear()
        self._order.clear()
        self._depth = self._rows = 0
        self._room.notify_all()
        return tasks

    def _end(self, tasks: Sequence[Task], error: Callable[[], PoolError]) -> None:
        for task in tasks:
            if task.future.set_running_or_notify_cancel():
                self.statistics.failed += 1
                finish(task.future, error())
            else:
                self.statistics.cancelled += 1

    def figures(self) -> dict[str, Any]:
        """Statistics as plain data."""
        return self.statistics.document(self._depth, self._rows)


def _name(name: str | None, uid: str | None) -> str:
    if name is not None and uid is not None and name != uid:
        raise ValueError(f"name and uid are one thing, got {name!r} and {uid!r}")
    chosen = name if name is not None else uid
    if not chosen:
        raise ValueError("a pool needs a name")
    return chosen


def closed(name: str) -> PoolClosed:
    """The error of a task whose pool was shut down."""
    return PoolClosed("the pool was shut down before the task was done", facts=[("pool", name)])
