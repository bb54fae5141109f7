"""Every future settles, whatever happens; batches are made of whole tasks in the promised order."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from foretell_experts import (
    BatchTensorDescriptor,
    PoolClosed,
    PoolFull,
    ProcessFailed,
    ProcessHung,
    Runtime,
    TaskExpired,
    TaskPool,
    TaskRefused,
)
from foretell_experts.statistics import PoolStatistics

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


# --- every future settles ------------------------------------------------------------------------


def test_a_bad_row_fails_alone():
    def picky(x: Any) -> tuple[Any, ...]:
        if (x < 0).any():
            raise ValueError("negative")
        return (x * 2,)

    pool = TaskPool(picky, 64, "picky")
    with running(pool):

        def work(number: int) -> None:
            good = [pool.submit_task(rows(number, at)) for at in range(10)]
            bad = pool.submit_task(rows(-1.0))
            with pytest.raises(ValueError, match="negative"):
                bad.result(BOUND)
            for at, future in enumerate(good):
                assert future.result(BOUND)[0].tolist() == [[number * 2], [at * 2]]

        storm(work)
    assert pool.figures()["failed"] == STORM
    assert pool.figures()["tasks"] == STORM * 10


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (lambda: (torch.zeros(2, 3),), "tensor 0 of the task does not fit the pool"),
        (lambda: (torch.zeros(2, 1, dtype=torch.float64),), "does not fit the pool"),
        (lambda: (torch.zeros(2, 1), torch.zeros(2, 1)), "another number of tensors"),
        (lambda: (), "another number of tensors"),
        (lambda: (torch.zeros(0, 1),), "must fit into one batch"),
        (lambda: (torch.zeros(65, 1),), "1 to 64 rows"),
        (lambda: (torch.tensor(1.0),), "does not fit the pool"),
        (lambda: ([[1.0]],), "got +list"),
    ],
)
def test_what_does_not_fit_is_refused_at_submit(task, message):
    pool = TaskPool(double, 64, "strict", schema=[BatchTensorDescriptor(1)])
    with running(pool):

        def work(number: int) -> None:
            with pytest.raises(TaskRefused, match=message):
                pool.submit_task(*task())
            assert pool.submit_task(rows(number)).result(BOUND)[0].item() == number * 2

        storm(work)
    assert pool.figures()["refused"] == STORM


def test_tensors_with_different_rows_are_refused():
    pool = TaskPool(lambda x, y: (x + y,), 8, "two")
    with pytest.raises(TaskRefused, match="differ in their number of rows"):
        pool.submit_task(torch.zeros(2, 1), torch.zeros(3, 1))


def test_without_a_schema_the_first_success_teaches_it():
    pool = TaskPool(double, 8, "learner")
    with running(pool):
        odd = torch.zeros(1, 2)
        assert pool.submit_task(odd).result(BOUND)[0].shape == (1, 2)
        with pytest.raises(TaskRefused):
            pool.submit_task(rows(1))


def test_until_then_tasks_that_differ_share_no_batch():
    sizes: list[tuple[int, ...]] = []

    def note(x: Any) -> tuple[Any, ...]:
        sizes.append(tuple(x.shape))
        return (x,)

    pool = TaskPool(note, 8, "mixed")
    futures = [pool.submit_task(torch.zeros(1, width)) for width in (1, 1, 2, 1)]
    with running(pool):
        assert [tuple(future.result(BOUND)[0].shape) for future in futures] == [
            (1, 1),
            (1, 1),
            (1, 2),
            (1, 1),
        ]
    assert sizes == [(2, 1), (1, 2), (1, 1)]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda x: (x[:-1],), "another number of rows"),
        (lambda x: (torch.cat([x, x]),), "another number of rows"),
        (lambda x: x, "must return a tuple"),
        (lambda x: None, "must return a tuple"),
        (lambda x: ("no tensor",), "another number of rows"),
    ],
)
def test_a_wrong_output_fails_that_batch_and_the_next_one_works(wrong, message):
    faulty = threading.Event()
    pool = TaskPool(lambda x: wrong(x) if faulty.is_set() else (x * 2,), 64, "sizes")
    with running(pool):
        for _ in range(3):
            faulty.set()

            def fails(number: int) -> None:
                with pytest.raises(ProcessFailed, match=message):
                    pool.submit_task(rows(number)).result(BOUND)

            storm(fails)
            faulty.clear()

            def works(number: int) -> None:
                assert pool.submit_task(rows(number)).result(BOUND)[0].item() == number * 2

            storm(works)


def test_a_partial_batch_below_the_minimum_flushes_at_its_timeout():
    pool = TaskPool(double, 64, "patient", min_batch_size=40, timeout=0.01)
    with running(pool):

        def work(number: int) -> None:
            assert pool.submit_task(rows(number)).result(BOUND)[0].item() == number * 2

        storm(work)
    assert pool.figures()["tasks"] == STORM


def test_the_minimum_is_waited_for():
    pool = TaskPool(double, 8, "patient", min_batch_size=4, timeout=60)
    with running(pool):
        early = [pool.submit_task(rows(1)) for _ in range(3)]
        early.append(pool.submit_task(rows(2)))
        for future in early:
            future.result(BOUND)
    assert pool.figures()["batches"] == 1


def test_shutdown_fails_what_is_pending():
    for _ in range(STORM):
        gate = Gate()
        pool = TaskPool(gate, 1, "slow")
        runtime = Runtime({"slow": Pools(pool)})
        runtime.start()
        first = pool.submit_task(rows(1))
        assert gate.entered.wait(BOUND)
        waiting = [pool.submit_task(rows(at)) for at in range(5)]
        ending = threading.Thread(target=runtime.shutdown)
        ending.start()
        for future in waiting:
            with pytest.raises(PoolClosed):
                future.result(BOUND)
        gate.open.set()
        ending.join(BOUND)
        assert first.result(BOUND)[0].item() == 2.0
        with pytest.raises(PoolClosed):
            pool.submit_task(rows(1))


def test_shutdown_of_a_storm_leaves_nobody_waiting():
    pool = TaskPool(double, 4, "storm")
    runtime = Runtime({"storm": Pools(pool)})
    runtime.start()
    ended = threading.Event()

    def work(number: int) -> None:
        if number == 0:
            runtime.shutdown()
            ended.set()
            return
        while not ended.is_set():
            try:
                future = pool.submit_task(rows(number))
            except PoolClosed:
                return
            try:
                assert future.result(BOUND)[0].item() == number * 2
            except PoolClosed:
                return

    storm(work)


def test_shutdown_fails_even_the_batch_that_hangs():
    gate = Gate()
    pool = TaskPool(gate, 1, "slow")
    runtime = Runtime({"slow": Pools(pool)})
    runtime.start()
    future = pool.submit_task(rows(1))
    assert gate.entered.wait(BOUND)
    runtime.shutdown(timeout=0.01)
    with pytest.raises(PoolClosed):
        future.result(BOUND)
    gate.open.set()


def test_a_runtime_that_was_never_started_can_be_shut_down():
    pool = TaskPool(double, 4, "idle")
    future = pool.submit_task(rows(1))
    Runtime({"idle": Pools(pool)}).shutdown()
    with pytest.raises(PoolClosed):
        future.result(BOUND)


def test_cancel_before_the_start_works():
    pool = TaskPool(double, 64, "cancelled")
    doomed = [pool.submit_task(rows(at)) for at in range(5)]
    kept = pool.submit_task(rows(7))
    assert all(future.cancel() for future in doomed)
    with running(pool):
        assert kept.result(BOUND)[0].item() == 14.0
        for future in doomed:
            with pytest.raises(CancelledError):
                future.result(BOUND)
    assert pool.figures()["cancelled"] == 5


def test_cancelling_in_a_storm_settles_everything():
    pool = TaskPool(double, 8, "cancelled")
    with running(pool):

        def work(number: int) -> None:
            futures = [pool.submit_task(rows(number)) for _ in range(20)]
            cancelled = [future.cancel() for future in futures[::2]]
            for future, gone in zip(futures[::2], cancelled, strict=True):
                if gone:
                    with pytest.raises(CancelledError):
                        future.result(BOUND)
            for future in futures[1::2]:
                assert future.result(BOUND)[0].item() == number * 2

        storm(work)


@pytest.mark.parametrize("ends_with", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_a_process_function_that_dies_is_reported(ends_with):
    dies = threading.Event()
    dies.set()

    def mortal(x: Any) -> tuple[Any, ...]:
        if dies.is_set():
            raise ends_with
        return (x * 2,)

    pool = TaskPool(mortal, 64, "mortal")
    with running(pool):

        def work(number: int) -> None:
            with pytest.raises(ProcessFailed, match=f"raised +{type(ends_with).__name__}"):
                pool.submit_task(rows(number)).result(BOUND)

        storm(work)
        dies.clear()
        assert pool.submit_task(rows(2)).result(BOUND)[0].item() == 4.0


def test_a_process_function_that_hangs_is_reported_and_the_others_go_on():
    gate = Gate()
    hung, other = TaskPool(gate, 4, "hung"), TaskPool(double, 64, "other")
    with running(hung, other, process_timeout=0.1):
        victims = [hung.submit_task(rows(at)) for at in range(8)]
        assert gate.entered.wait(BOUND)
        for future in victims:
            with pytest.raises(ProcessHung, match=r"limit +0\.1 s"):
                future.result(BOUND)

        def work(number: int) -> None:
            with pytest.raises(ProcessHung):
                hung.submit_task(rows(number)).result(BOUND)
            assert other.submit_task(rows(number)).result(BOUND)[0].item() == number * 2

        storm(work)
        gate.open.set()
        # The call came back, so the pool may be used again.
        until = time.monotonic() + BOUND
        while True:
            try:
                assert hung.submit_task(rows(3)).result(BOUND)[0].item() == 6.0
                break
            except ProcessHung:
                assert time.monotonic() < until


def test_a_task_nobody_takes_expires():
    pool = TaskPool(double, 4, "lonely", max_wait=0.05)
    future = pool.submit_task(rows(1))
    with pytest.raises(TaskExpired, match="lonely"):
        future.result()
    with pytest.raises(TaskExpired):
        future.exception()
    with pytest.raises(TaskExpired):
        asyncio.run(_awaited(future))


def test_a_runtime_fails_the_tasks_that_expired():
    gate = Gate()
    pool = TaskPool(gate, 1, "behind", max_wait=0.05)
    with running(pool):
        pool.submit_task(rows(1))
        assert gate.entered.wait(BOUND)
        late = pool.submit_task(rows(2))
        with pytest.raises(TaskExpired):
            late.result(BOUND)
        assert late.done()
        gate.open.set()


async def _awaited(future: Any) -> Any:
    return await future


def test_a_future_can_be_awaited():
    pool = TaskPool(double, 64, "awaited")

    async def work() -> list[float]:
        futures = [pool.submit_task(rows(at)) for at in range(STORM)]
        return [outputs[0].item() for outputs in await asyncio.gather(*map(_awaited, futures))]

    with running(pool):
        assert asyncio.run(asyncio.wait_for(work(), BOUND)) == [at * 2.0 for at in range(STORM)]


def test_a_full_pool_makes_submitters_wait_and_then_refuses():
    gate = Gate()
    pool = TaskPool(gate, 1, "full", pool_size=2, room_timeout=0.05)
    with running(pool):
        first = pool.submit_task(rows(0))
        assert gate.entered.wait(BOUND)
        held = [pool.submit_task(rows(1)) for _ in range(2)]
        with pytest.raises(PoolFull, match="2 tasks"):
            pool.submit_task(rows(2))
        gate.open.set()
        for future in (first, *held):
            future.result(BOUND)

        def work(number: int) -> None:
            for _ in range(5):
                pool.submit_task(rows(number)).result(BOUND)

        pool.room_timeout = BOUND
        storm(work)


# --- how batches are made ------------------------------------------------------------------------


@given(
    tasks=st.lists(st.tuples(st.integers(1, 8), st.integers(0, 2)), min_size=1, max_size=30),
    limit=st.integers(8, 20),
)
def test_batches_hold_whole_tasks_in_order_under_the_maximum(tasks, limit):
    pool = TaskPool(double, limit, "grouped", schema=[BatchTensorDescriptor(1)])
    for number, (size, priority) in enumerate(tasks):
        pool.submit_task(torch.full((size, 1), float(number)), priority=priority)
    order = []
    while batch := pool.take():
        assert 0 < sum(task.rows for task in batch) <= limit
        numbers = [int(task.tensors[0][0].item()) for task in batch]
        order += numbers
        nxt = pool.take()
        if nxt:  # the next task did not fit any more
            assert sum(task.rows for task in batch) + nxt[0].rows > limit
            order += [int(task.tensors[0][0].item()) for task in nxt]
    assert order == sorted(range(len(tasks)), key=lambda number: (tasks[number][1], number))


def test_tasks_of_a_pool_that_does_not_share_are_alone():
    gate = Gate()
    gate.open.set()
    pool = TaskPool(gate, 8, "alone", share=False)
    futures = [pool.submit_task(rows(at)) for at in range(5)]
    with running(pool):
        for future in futures:
            future.result(BOUND)
    assert gate.batches == [[0.0], [1.0], [2.0], [3.0], [4.0]]


def test_results_find_their_tasks():
    pool = TaskPool(lambda x: (x * 2, x[:, 0] + 1), 16, "many")
    with running(pool):

        def work(number: int) -> None:
            generator = torch.Generator().manual_seed(number)
            for _ in range(30):
                size = int(torch.randint(1, 9, (), generator=generator))
                x = torch.rand(size, 3, generator=generator)
                twice, plus = pool.submit_task(x).result(BOUND)
                assert torch.equal(twice, x * 2)
                assert torch.equal(plus, x[:, 0] + 1)

        storm(work)
    figures = pool.figures()
    assert figures["tasks"] == STORM * 30
    assert figures["queue_tasks"] == figures["queue_rows"] == 0
    assert figures["mean_batch_rows"] == pytest.approx(figures["rows"] / figures["batches"], 0.01)
    assert set(figures["wait_ms"]) == set(figures["run_ms"]) == {"p50", "p95", "p99"}


@pytest.mark.parametrize(("seconds", "rate"), [(0.001, 4000.0), (1.0, 4.0), (30.0, 0.133)])
def test_rates_are_right_above_and_below_one_a_second(seconds, rate):
    statistics = PoolStatistics()
    statistics.batch_done(1, 2, 100.0, seconds / 2, [0.0])
    statistics.batch_done(1, 2, 100.0 + seconds / 2, seconds / 2, [0.0])
    assert statistics.document(0, 0)["rows_per_second"] == rate


@pytest.mark.parametrize(
    "sizes",
    [
        {"max_batch_size": 0},
        {"max_batch_size": 4, "min_batch_size": 5},
        {"max_batch_size": 4, "min_batch_size": 0},
        {"max_batch_size": 4, "timeout": -1.0},
        {"max_batch_size": 4, "pool_size": 0},
        {"max_batch_size": 4, "max_wait": 0.0},
    ],
)
def test_sizes_that_make_no_sense_are_refused(sizes):
    with pytest.raises(ValueError, match="pool 'odd'"):
        TaskPool(double, name="odd", **sizes)


def test_a_name_is_needed_and_may_be_called_uid():
    assert TaskPool(double, 4, uid="old").name == "old"
    assert TaskPool(double, 4, "new").uid == "new"
    with pytest.raises(ValueError, match="one thing"):
        TaskPool(double, 4, "new", uid="old")
    with pytest.raises(ValueError, match="needs a name"):
        TaskPool(double, 4)
