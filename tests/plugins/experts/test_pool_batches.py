"""Batches are made of whole tasks in the promised order; rates and settings of a pool."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from foretell_experts import (
    BatchTensorDescriptor,
    TaskPool,
)
from foretell_experts.statistics import PoolStatistics
from pools import BOUND, STORM, Gate, double, rows, running, storm


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
