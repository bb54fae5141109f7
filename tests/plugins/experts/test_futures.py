"""A task's future is the standard library's to everybody who looks at it, whenever they look."""

import asyncio
import concurrent.futures
import random
import threading
import time
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, CancelledError, Future

import pytest

pytest.importorskip("torch")
from foretell_experts.futures import TaskFuture
from hypothesis import given
from hypothesis import strategies as st

LONG = time.monotonic() + 1e6
BOUND = 5


def new() -> TaskFuture:
    return TaskFuture("pool", LONG)


def outcome(act):
    """What a call returned, or the kind of error it raised."""
    try:
        return act()
    except BaseException as error:
        return type(error)


STEPS = {
    "result": lambda future, told: future.result(0),
    "exception": lambda future, told: type(future.exception(0)),
    "done": lambda future, told: (future.done(), future.running(), future.cancelled()),
    "cancel": lambda future, told: future.cancel(),
    "start": lambda future, told: future.set_running_or_notify_cancel(),
    "succeed": lambda future, told: future.set_result((len(told),)),
    "fail": lambda future, told: future.set_exception(ValueError("no")),
    "callback": lambda future, told: future.add_done_callback(lambda f: told.append(f.done())),
    "wait": lambda future, told: len(concurrent.futures.wait([future], 0).done),
}


@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=8))
def test_any_steps_end_as_with_a_plain_future(steps):
    ours = new()
    plain: Future[object] = Future()
    told: tuple[list[bool], list[bool]] = ([], [])
    for step in steps:
        # An error of the library's own about a wrong order is logged and raised alike.
        found = outcome(lambda act=STEPS[step]: act(ours, told[0]))
        expected = outcome(lambda act=STEPS[step]: act(plain, told[1]))
        assert found == expected, step
    assert told[0] == told[1]
    assert repr(ours).partition("state=")[2] == repr(plain).partition("state=")[2]


def observers(futures):
    """Every way to wait for futures; each returns what it saw, by the future's place."""

    def each():
        return [outcome(lambda f=future: f.result(BOUND)) for future in futures]

    def gathered():
        concurrent.futures.wait(futures, BOUND, ALL_COMPLETED)
        return [outcome(lambda f=future: f.result(0)) for future in futures]

    def one_by_one():
        left, seen = set(futures), {}
        while left:
            done, left = concurrent.futures.wait(left, BOUND, FIRST_COMPLETED)
            seen.update({f: outcome(lambda f=f: f.result(0)) for f in done})
        return [seen[f] for f in futures]

    def completed():
        seen = {}
        for future in concurrent.futures.as_completed(futures, BOUND):
            seen[future] = outcome(lambda f=future: f.result(0))
        return [seen[f] for f in futures]

    def called_back():
        seen, there = {}, threading.Semaphore(0)

        def told(future):
            seen[future] = outcome(lambda: future.result(0))
            there.release()

        for future in futures:
            future.add_done_callback(told)
        for _ in futures:
            assert there.acquire(timeout=BOUND)
        return [seen[f] for f in futures]

    def awaited():
        async def wait():
            return await asyncio.gather(*map(asyncio.wrap_future, futures), return_exceptions=True)

        found = asyncio.run(wait())
        return [type(value) if isinstance(value, BaseException) else value for value in found]

    return [each, gathered, one_by_one, completed, called_back, awaited]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("seed", range(20))
def test_all_who_wait_see_one_end(seed):
    """Two who settle, two who cancel, and all kinds of observers, in one storm."""
    futures = [new() for _ in range(100)]
    looks = observers(futures)
    together = threading.Barrier(len(looks) + 4)
    settled: list[set[int]] = [set(), set()]

    def end(future, place):
        if place % 7 == 0:
            future.set_exception(ValueError())
        else:
            future.set_result((place,))

    def settle(side):
        order = random.Random(seed + side).sample(range(100), 100)
        together.wait()
        for place in order:
            if outcome(lambda p=place: end(futures[p], p)) is None:
                settled[side].add(place)

    def cancel(side):
        together.wait()
        for place in random.Random(seed - side).sample(range(100), 30):
            if futures[place].cancel():
                outcome(futures[place].set_running_or_notify_cancel)

    def look(act):
        together.wait()
        return act()

    with concurrent.futures.ThreadPoolExecutor(len(looks) + 4) as threads:
        work = [threads.submit(settle, side) for side in (0, 1)]
        work += [threads.submit(cancel, side) for side in (0, 1)]
        seen = [threads.submit(look, act) for act in looks]
        for one in work:
            one.result(BOUND)
        found = [one.result(BOUND) for one in seen]
    assert not settled[0] & settled[1]
    for place, future in enumerate(futures):
        if place in settled[0] | settled[1]:
            expected: object = ValueError if place % 7 == 0 else (place,)
        else:
            assert future.cancelled()
            expected = CancelledError
        ends = {str(answers[place]) for answers in found}
        ends.discard(str(asyncio.CancelledError))
        assert ends <= {str(expected)}, place


def test_a_future_that_nobody_watches_has_no_lock_of_its_own():
    future = new()
    future.set_running_or_notify_cancel()
    future.set_result((1,))
    assert future.result() == (1,)
    assert "_condition" not in vars(future)


def test_what_it_lacks_is_named():
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        _ = new().colour
