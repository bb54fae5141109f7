"""Every future settles, whatever happens."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import CancelledError
from typing import Any

import pytest

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
from pools import BOUND, STORM, Gate, Pools, double, rows, running, storm


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
