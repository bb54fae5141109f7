"""The future of one task: a thread may wait for it, and so may a coroutine; neither for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from foretell_experts.errors import TaskExpired


class TaskFuture(Future[tuple[Any, ...]]):
    """What :meth:`TaskPool.submit_task` returns: the outputs of one task, a tuple of tensors.

    ``result()`` without a timeout waits until ``expires`` and then raises :class:`TaskExpired`;
    with one it is that of :class:`concurrent.futures.Future`. ``await`` keeps the same bound.

    Attributes:
        pool: Name of the pool.
        expires: Moment of ``time.monotonic()`` after which nobody waits any longer.
    """

    def __init__(self, pool: str, expires: float) -> None:
        super().__init__()
        self.pool = pool
        self.expires = expires

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
