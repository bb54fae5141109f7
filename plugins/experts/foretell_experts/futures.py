"""The future of one task: a thread may wait for it, and so may a coroutine; neither for ever.

Most tasks of a busy pool are done before anybody looks. The standard library's future makes a
condition with a lock of its own and two lists for each, which costs more than everything else on a
task's way and keeps the garbage collector at work; here they are made when somebody waits.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Generator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from foretell_experts.errors import TaskExpired

_PENDING, _RUNNING, _FINISHED = "PENDING", "RUNNING", "FINISHED"
"""States of :class:`concurrent.futures.Future`."""

_STATES = threading.RLock()
"""Guards the state of every future. Held for a few instructions, and re-entrant because
``concurrent.futures.wait`` holds the conditions of all its futures at once."""


class TaskFuture(Future[tuple[Any, ...]]):
    """What :meth:`TaskPool.submit_task` returns: the outputs of one task, a tuple of tensors.

    ``result()`` without a timeout waits until ``expires`` and then raises :class:`TaskExpired`;
    with one it is that of :class:`concurrent.futures.Future`. ``await`` keeps the same bound.

    Attributes:
        pool: Name of the pool.
        expires: Moment of ``time.monotonic()`` after which nobody waits any longer.
    """

    _state: str = _PENDING
    _result: tuple[Any, ...] | None = None
    _exception: BaseException | None = None
    _watched: bool = False

    def __init__(self, pool: str, expires: float) -> None:  # the parent's would make everything
        self.pool = pool
        self.expires = expires

    def __getattr__(self, name: str) -> Any:
        """What the parent would have made at once, made when it is looked at first."""
        if name == "_condition":
            made: Any = threading.Condition(_STATES)
        elif name in ("_waiters", "_done_callbacks"):
            made = []
        else:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self._watched = True
        return self.__dict__.setdefault(name, made)  # two threads may come at once

    def set_running_or_notify_cancel(self) -> bool:
        """See :class:`concurrent.futures.Future`."""
        with _STATES:
            if self._state == _PENDING:
                self._state = _RUNNING
                return True
        return super().set_running_or_notify_cancel()

    def set_result(self, result: tuple[Any, ...]) -> None:
        """See :class:`concurrent.futures.Future`."""
        with _STATES:
            if not self._watched and self._state in (_PENDING, _RUNNING):
                self._result = result
                self._state = _FINISHED
                return
        super().set_result(result)

    def _left(self) -> float:
        return max(0.0, self.expires - time.monotonic())

    def result(self, timeout: float | None = None) -> tuple[Any, ...]:
        """The outputs, waiting at most ``timeout`` seconds, or until the future expires.

        Raises:
            TaskExpired: it expired.
            TimeoutError: it was not done within ``timeout``.
            CancelledError: it was cancelled.
            Exception: what the process function raised for this task.
        """
        if self._state == _FINISHED and self._exception is None:
            return self._result  # type: ignore[return-value]  # set before the state is
        if timeout is not None:
            return super().result(timeout)
        try:
            return super().result(self._left())
        except FutureTimeout:
            if self.done():  # the timeout is what the task ended with, or it ended just now
                return super().result(0)
            raise expired(self.pool) from None

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the task raised, or None; bounded like :meth:`result`."""
        if timeout is not None:
            return super().exception(timeout)
        try:
            return super().exception(self._left())
        except FutureTimeout:
            if self.done():
                return super().exception(0)
            raise expired(self.pool) from None

    def __await__(self) -> Generator[Any, None, tuple[Any, ...]]:
        return self._awaited().__await__()

    async def _awaited(self) -> tuple[Any, ...]:
        waiter = asyncio.wrap_future(self)
        done, _ = await asyncio.wait({waiter}, timeout=self._left())
        if not done:
            waiter.cancel()
            raise expired(self.pool)
        return waiter.result()


def expired(pool: str) -> TaskExpired:
    """The error of a task that nobody did in time."""
    return TaskExpired(
        "the task was not done in time",
        facts=[("pool", pool)],
        tries=[("max_wait=…", "seconds a task of the pool may take, waiting included")],
    )
