"""What tests of pools share: a runtime over pools, a storm of threads, a gate."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from foretell_experts import Runtime, TaskPool

BOUND = 5.0
"""Seconds within which everything here must have settled."""

STORM = 20
"""Threads of a storm, each of which repeats what is tested."""


class Pools:
    """A backend that is nothing but its pools."""

    def __init__(self, *pools: TaskPool) -> None:
        self.pools = pools

    def get_pools(self) -> tuple[TaskPool, ...]:
        return self.pools


@contextmanager
def running(*pools: TaskPool, **options: Any) -> Iterator[Runtime]:
    """A runtime over pools, each a backend of its own."""
    runtime = Runtime({pool.name: Pools(pool) for pool in pools}, **options)
    runtime.start()
    try:
        yield runtime
    finally:
        runtime.shutdown()


def double(x: Any) -> tuple[Any, ...]:
    return (x * 2,)


def rows(*values: float) -> Any:
    return torch.tensor(values, dtype=torch.float32)[:, None]


def storm(work: Callable[[int], None]) -> None:
    """Run ``work(0)`` … ``work(19)`` in as many threads at once, none longer than the bound."""
    together = threading.Barrier(STORM, timeout=BOUND)

    def one(number: int) -> None:
        together.wait()
        work(number)

    with ThreadPoolExecutor(STORM) as threads:
        futures = [threads.submit(one, number) for number in range(STORM)]
        for future in futures:
            future.result(BOUND)


class Gate:
    """A process function that waits until it is let through; doubles what it gets."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()
        self.batches: list[list[float]] = []

    def __call__(self, x: Any) -> tuple[Any, ...]:
        self.batches.append(x[:, 0].tolist())
        self.entered.set()
        assert self.open.wait(BOUND)
        return (x * 2,)
