"""Who comes first when one thread computes for many pools."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from foretell_experts import PoolClosed, Runtime, TaskPool
from pools import BOUND, Pools


def row(value: float) -> Any:
    return torch.full((1, 1), float(value))


class Log:
    """Makes pools that write down whose batches were computed."""

    def __init__(self) -> None:
        self.order: list[tuple[str, float]] = []

    def pool(self, name: str, limit: int = 1, **options: Any) -> TaskPool:
        def process(x: Any) -> tuple[Any, ...]:
            self.order += [(name, value) for value in x[:, 0].tolist()]
            return (x,)

        return TaskPool(process, limit, name, **options)


def run(pools: list[TaskPool], futures: list[Any]) -> None:
    runtime = Runtime({pool.name: Pools(pool) for pool in pools})
    runtime.start()
    try:
        for future in futures:
            future.result(BOUND)
    finally:
        runtime.shutdown()


def test_the_lower_priority_number_comes_first_across_pools():
    log = Log()
    a, b = log.pool("a"), log.pool("b")
    futures = [a.submit_task(row(at), priority=5) for at in range(3)]
    futures += [b.submit_task(row(at), priority=-1) for at in range(3)]
    futures.append(a.submit_task(row(9), priority=-2))
    run([a, b], futures)
    assert log.order == [("a", 9), ("b", 0), ("b", 1), ("b", 2), ("a", 0), ("a", 1), ("a", 2)]


def test_among_equals_the_older_task_comes_first_across_pools():
    log = Log()
    pools = [log.pool("a"), log.pool("b"), log.pool("c")]
    order = [0, 1, 1, 2, 0, 2, 1, 0]
    futures = [pools[which].submit_task(row(at)) for at, which in enumerate(order)]
    run(pools, futures)
    assert log.order == [("abc"[which], at) for at, which in enumerate(order)]


def test_the_most_urgent_task_brings_its_whole_pool_along():
    log = Log()
    a, b = log.pool("a", 2), log.pool("b", 2)
    futures = [a.submit_task(row(0)), b.submit_task(row(1)), a.submit_task(row(2))]
    run([a, b], futures)
    assert log.order == [("a", 0), ("a", 2), ("b", 1)]


def test_a_pool_that_is_always_busy_does_not_starve_another():
    full = threading.Event()
    served: list[str] = []

    def busy(x: Any) -> tuple[Any, ...]:
        served.append("busy")
        if not full.is_set():  # there is always another one waiting
            feed()
        return (x,)

    def rare(x: Any) -> tuple[Any, ...]:
        served.append("rare")
        return (x,)

    hog, other = TaskPool(busy, 1, "hog"), TaskPool(rare, 1, "rare")

    def feed() -> None:
        hog.submit_task(row(0))

    runtime = Runtime({"hog": Pools(hog), "rare": Pools(other)})
    for _ in range(10):
        feed()
    runtime.start()
    try:
        for _ in range(20):
            other.submit_task(row(1)).result(BOUND)
            assert hog.queue_depth >= 9  # the other one is as busy as ever
        assert served.count("rare") == 20
    finally:
        full.set()
        runtime.shutdown()


def test_a_backlog_is_served_in_turn_by_age():
    log = Log()
    hog, rare = log.pool("hog", 4), log.pool("rare", 4)
    futures = [hog.submit_task(row(at)) for at in range(8)]
    futures.append(rare.submit_task(row(99)))
    futures += [hog.submit_task(row(at)) for at in range(8, 40)]
    run([hog, rare], futures)
    assert log.order.index(("rare", 99.0)) == 8


def test_a_pool_under_its_minimum_holds_up_nobody():
    log = Log()
    waiting, ready = log.pool("waiting", 8, min_batch_size=8, timeout=60), log.pool("ready")
    runtime = Runtime({"waiting": Pools(waiting), "ready": Pools(ready)})
    runtime.start()
    held = waiting.submit_task(row(0))
    for at in range(10):
        assert ready.submit_task(row(at)).result(BOUND)[0].item() == at
    assert not held.done()
    runtime.shutdown()
    with pytest.raises(PoolClosed):
        held.result(BOUND)


def test_backends_come_and_go():
    log = Log()
    first, second = log.pool("first"), log.pool("second")
    with Runtime({"first": Pools(first)}) as runtime:
        assert runtime.ready.is_set()
        waiting = second.submit_task(row(1))
        runtime.add("second", Pools(second))
        assert waiting.result(BOUND)[0].item() == 1
        with pytest.raises(ValueError, match="already"):
            runtime.add("second", Pools(second))
        runtime.remove("second")
        with pytest.raises(PoolClosed):
            second.submit_task(row(1))
        assert first.submit_task(row(2)).result(BOUND)[0].item() == 2
        assert set(runtime.statistics()) == {"first"}
    assert not runtime.ready.is_set()
    with pytest.raises(RuntimeError, match="shut down"):
        runtime.add("third", Pools(log.pool("third")))
    with pytest.raises(RuntimeError, match="shut down before"):
        runtime.start()
    runtime.shutdown()


def test_it_starts_once():
    with Runtime() as runtime, pytest.raises(RuntimeError, match="started before"):
        runtime.start()


def test_times_are_of_a_clock_that_never_goes_back(monkeypatch):
    """Nothing here looks at the time of day."""
    monkeypatch.setattr(time, "time", lambda: pytest.fail("asked for the time of day"))
    log = Log()
    pool = log.pool("clock", 4, min_batch_size=2, timeout=0.01)
    run([pool], [pool.submit_task(row(1))])


def test_threads_of_torch_are_set_in_the_device_loop():
    seen: list[int] = []

    def note(x: Any) -> tuple[Any, ...]:
        seen.append(torch.get_num_threads())
        return (x,)

    pool = TaskPool(note, 4, "threads")
    before = torch.get_num_threads()
    try:
        with Runtime({"threads": Pools(pool)}, threads=1) as runtime:
            pool.submit_task(row(1)).result(BOUND)
            runtime.threads = 2
            pool.submit_task(row(1)).result(BOUND)
        assert seen == [1, 2]
    finally:
        torch.set_num_threads(before)
