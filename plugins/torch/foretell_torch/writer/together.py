"""Work of the first rank that the others wait for, however long it takes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from foretell.errors import ForetellError, StoreError

PATIENCE = 10.0
"""Seconds after which the first rank shows that it is at work.

A barrier would give up after ten minutes or half an hour, as the strategy has it; making a store of
terabytes takes longer.
"""

_AT_WORK, _DONE = "at work", "done"


def by_first(trainer: Any, work: Callable[[], None], stop: Callable[[], None]) -> None:
    """Do something on rank 0 alone; return on every rank when it is done.

    Args:
        trainer: Every rank's comes here.
        work: What rank 0 is to do, in a thread where there are other ranks.
        stop: Makes ``work`` end soon, from another thread: rank 0 was interrupted.

    Raises:
        StoreError: on the other ranks, when ``work`` failed on rank 0, where its own error comes.
    """
    if trainer.world_size == 1:
        work()
    elif trainer.global_rank == 0:
        _lead(trainer.strategy, work, stop)
    else:
        _follow(trainer.strategy)


def _lead(strategy: Any, work: Callable[[], None], stop: Callable[[], None]) -> None:
    # Collectives stay in this thread: it is the one whose device is the rank's.
    with ThreadPoolExecutor(1, "predictions") as thread:
        job = thread.submit(work)
        try:
            while not wait([job], PATIENCE).done:
                strategy.broadcast(_AT_WORK)
        except BaseException:
            stop()
            raise
    error = job.exception()
    strategy.broadcast(_DONE if error is None else _told(error))
    job.result()


def _follow(strategy: Any) -> None:
    while (told := strategy.broadcast(None)) == _AT_WORK:
        pass
    if told != _DONE:
        raise StoreError(
            "rank 0 could not finish the predictions",
            facts=[("rank 0", told), ("safe", "what was predicted is stored")],
            tries=[("trainer.predict(…)", "once more, with the same callback: it goes on")],
        )


def _told(error: BaseException) -> str:
    if isinstance(error, ForetellError):
        return error.message
    return f"{type(error).__name__}: {error}"
