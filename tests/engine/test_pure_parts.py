"""Parts of the engine that need no cluster: queue, bad rows, gates, board, lease, rates."""

from __future__ import annotations

import math
import threading
from collections import Counter
from typing import Any

import numpy as np
import pytest
from foretell.abc import Deployment, Predictor
from foretell.engine.batches import BatchRunner, TooManyFailures
from foretell.engine.board import Board, Phase, read_board
from foretell.engine.gates import Turnstile
from foretell.engine.lease import WorkerLease
from foretell.engine.queue import WorkQueue
from foretell.errors import LeaseLost
from foretell.store.rates import RateMeter
from foretell.types import ChunkState
from hypothesis import given
from hypothesis import strategies as st

# --- the search for bad rows --------------------------------------------------------------------


class Picky(Predictor):
    """Refuses a batch that holds a bad value in a real or filler row, and counts its calls."""

    model_kind = "picky"

    def __init__(self, bad: set[int]) -> None:
        self.bad = bad
        self.calls: list[int] = []

    def load(self) -> Any:
        return self

    def predict(self, model: Any, batch: Any) -> Any:
        self.calls.append(len(batch.inputs))
        if self.bad & set(batch.inputs.tolist()):
            raise ValueError("bad value")
        return {"y": batch.inputs * 2, "k": batch.keys[:, 0].astype("int64")}

    def fingerprint(self) -> dict[str, str]:
        return {}


class Direct(Deployment):
    def __init__(self, predictor: Predictor, holds: int = 1 << 30) -> None:
        self.predictor = predictor
        self.holds = holds

    def launch(self, batch: Any) -> Any:
        if batch.size > self.holds:
            raise MemoryError(f"{batch.size} rows")
        return self.predictor.predict(None, batch)

    def collect(self, handle: Any) -> Any:
        return handle


def settle(size: int, count: int, bad: set[int], holds: int = 1 << 30) -> tuple[Any, Picky]:
    predictor = Picky(bad)
    runner = BatchRunner(predictor, Direct(predictor, holds), size, 0, None, None)
    rows = np.arange(count)
    mask = np.ones(count, dtype=bool)
    try:
        outputs = runner.run(rows, rows, mask, size)
    except (ValueError, MemoryError) as error:
        return runner.settle(rows, rows, mask, error, size, size), predictor
    raise AssertionError(outputs)


@given(st.integers(0, 8), st.data())
def test_exactly_the_bad_rows_are_found_and_every_other_is_saved(power, data):
    size = 1 << power
    count = data.draw(st.integers(1, size))
    bad = data.draw(st.sets(st.integers(0, count - 1), min_size=1))
    result, predictor = settle(size, count, bad)
    assert set(result.failures) == bad
    saved = Counter(int(at) for mask, _ in result.pieces for at in np.flatnonzero(mask))
    assert saved == Counter(set(range(count)) - bad)
    for mask, outputs in result.pieces:
        assert (outputs["y"] == np.flatnonzero(mask) * 2).all()
    assert set(predictor.calls) == {size}
    if len(bad) == 1:
        assert result.calls <= 2 * max(0, math.ceil(math.log2(count)))


@given(st.integers(0, 6), st.integers(0, 6), st.sets(st.integers(0, 63)), st.integers(1, 64))
def test_out_of_memory_and_bad_rows_at_once(power, held, bad, count):
    bad = {row for row in bad if row < count}
    holds = 1 << min(power, held)
    if holds >= 64:
        return
    result, _ = settle(64, count, bad, holds)
    assert set(result.failures) == bad
    saved = Counter(int(at) for mask, _ in result.pieces for at in np.flatnonzero(mask))
    assert saved == Counter(set(range(count)) - bad)


def test_the_search_stops_when_too_many_rows_are_bad():
    predictor = Picky(set(range(64)))
    runner = BatchRunner(predictor, Direct(predictor), 64, 0, None, None)
    rows = np.arange(64)
    with pytest.raises(TooManyFailures):
        runner.settle(rows, rows, np.ones(64, dtype=bool), ValueError("x"), 5, 64)
    assert len(predictor.calls) < 40


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**40))
def test_keys_belong_to_rows_not_to_batches(first, second, seed):
    keys = []
    for size in (first, second):
        predictor = Picky(set())
        runner = BatchRunner(predictor, Direct(predictor), size, seed, None, None)
        found = []
        for start in range(0, 40, size):
            rows = np.arange(start, min(start + size, 40))
            outputs = runner.run(rows, rows + 1000, np.ones(len(rows), dtype=bool), size)
            found.append(outputs["k"])
        keys.append(np.concatenate(found))
    assert (keys[0] == keys[1]).all()
    assert len(set(keys[0].tolist())) == 40


# --- the queue ----------------------------------------------------------------------------------


@given(st.data())
def test_every_chunk_ends_once_and_within_its_attempts(data):
    """Whatever fails in whatever way, each chunk is done or given up, never lost, never both."""
    count = data.draw(st.integers(1, 30))
    retries = data.draw(st.integers(0, 3))
    suspects = data.draw(st.sets(st.integers(0, count - 1)))
    fresh = np.array([c for c in range(count) if c not in suspects], dtype=np.int64)
    queue = WorkQueue(fresh, suspects, retries, np.zeros(count, dtype=np.int64))
    ended: dict[int, str] = {}
    blamed: Counter[int] = Counter()
    now, steps = 0.0, 0
    while queue.waiting:
        steps += 1
        assert steps < 2000
        now += 20.0
        lone = queue.take_lone(now)
        chunks = [lone] if lone is not None else queue.take(data.draw(st.integers(1, 5)))
        assert chunks
        assert chunks == list(range(chunks[0], chunks[0] + len(chunks)))
        for chunk in chunks:
            assert chunk not in ended
            queue.number(chunk)
            fate = data.draw(st.sampled_from(["done", "done", "free", "blamed", "shared"]))
            if steps > 500:
                fate = "done"
            if fate == "done":
                queue.done(chunk)
                ended[chunk] = "done"
            elif fate == "free":
                queue.give_back(chunk)
            else:
                shared = fate == "shared" and len(chunks) > 1
                blamed[chunk] += 1
                state = queue.strike(chunk, now, shared=shared, exhausted=True)
                if state is not ChunkState.RETRYING:
                    assert state is ChunkState.QUARANTINED
                    assert not shared
                    assert blamed[chunk] >= retries + 1
                    ended[chunk] = "given up"
    assert set(ended) == set(range(count))


def test_suspects_run_last_and_alone():
    queue = WorkQueue(np.arange(4), [7, 5], 2, np.zeros(8, dtype=np.int64))
    order = []
    while queue.waiting:
        lone = queue.take_lone(0.0)
        order.append([lone] if lone is not None else queue.take(10))
    assert order == [[0, 1, 2, 3], [5], [7]]


# --- gates, board, lease, rates -----------------------------------------------------------------


@given(st.permutations(range(8)), st.sets(st.integers(0, 7)))
def test_a_turnstile_lets_them_in_by_number_and_skips_those_that_failed(arrival, failing):
    gate = Turnstile()
    entered: list[int] = []

    def chunk(number: int) -> None:
        if number not in failing:
            with gate.turn(number):
                entered.append(number)
        gate.passed(number)

    threads = [threading.Thread(target=chunk, args=(number,)) for number in arrival]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
        assert not thread.is_alive()
    assert entered == [number for number in range(8) if number not in failing]


def test_the_board_says_what_each_thread_does_and_waiting_costs_no_time(tmp_path):
    board = Board(tmp_path / "b.board")
    board.begin(41, 2)
    board.stamp(Phase.READ)
    board.stamp(Phase.WAIT)
    (stamp,) = read_board(board.path)
    assert (stamp.chunk, stamp.attempt, stamp.phase) == (41, 2, Phase.WAIT)
    assert stamp.elapsed(stamp.since + 1000) == stamp.active
    board.stamp(Phase.MODEL)
    (stamp,) = read_board(board.path)
    assert stamp.elapsed(stamp.since + 1000) == pytest.approx(stamp.active + 1000)

    def other() -> None:
        board.begin(42, 1)
        board.stamp(Phase.WRITE)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert {stamp.chunk for stamp in read_board(board.path)} == {41, 42}
    board.stamp(Phase.IDLE)
    assert {stamp.chunk for stamp in read_board(board.path)} == {42}
    board.close()
    assert read_board(board.path) == []
    (tmp_path / "torn.board").write_bytes(b"FTBO")
    assert read_board(tmp_path / "torn.board") == []


def test_a_renewal_that_was_on_its_way_for_long_grants_nothing():
    now = [100.0]
    lease = WorkerLease(clock=lambda: now[0], grace=0.0)
    with pytest.raises(LeaseLost):
        lease.check()
    echoed = lease.moment()
    lease.renew(echoed, seconds=10)
    lease.check()
    now[0] = 109.9
    lease.check()
    now[0] = 500.0  # the process was stopped; its clock went on
    lease.renew(echoed, seconds=10)  # and this lay in its socket all the time
    with pytest.raises(LeaseLost):
        lease.check()
    lease.renew(lease.moment(), seconds=10)
    lease.check()
    lease.revoke()
    with pytest.raises(LeaseLost):
        lease.check()


def test_rates_count_this_session_alone_and_the_end_is_a_range():
    now = [0.0]
    meter = RateMeter(clock=lambda: now[0], workers=1)
    assert meter.rates(1000).rows_per_second is None
    for step in range(40):
        now[0] += 1.0 if step % 2 else 3.0
        meter.finished(rows=100, stored=1000, seconds=2.0)
        if step == 1:
            assert meter.rates(1000).eta_low is None  # unknown below max(3, 2 * workers)
    rates = meter.rates(10_000)
    assert rates.rows_per_second == pytest.approx(50.0, rel=0.1)
    assert rates.eta_low is not None
    assert rates.eta_high is not None
    assert 100 < rates.eta_low < rates.eta_high < 400
    assert rates.chunk_p50 == rates.chunk_p95 == 2.0
