"""When a full storage ends a run, and when the run goes on."""

from __future__ import annotations

from typing import Any

import pytest
from foretell.engine import pause as module
from foretell.engine.pause import Pause
from foretell.engine.stopping import Stop

PATIENCE = 60.0
NEEDED = 1_000


class Told:
    """Stands for the recorder: knows the room, keeps what was said."""

    def __init__(self) -> None:
        self.free: int | None = 0
        self.said: list[str] = []

    def room(self) -> int | None:
        return self.free

    def say(self, level: str, message: str) -> None:
        self.said.append(message)


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def stops() -> list[Stop]:
    return []


@pytest.fixture
def pause(clock: Clock, told: Told, stops: list[Stop]) -> Pause:
    recorder: Any = told
    return Pause(recorder, NEEDED, PATIENCE, stops.append)


def pass_time(clock: Clock, pause: Pause, seconds: float) -> None:
    clock.now += seconds
    pause.check(clock.now)


def test_it_goes_on_when_something_was_stored_again(clock, pause, told, stops):
    pause.begin("the disk is full")
    assert pause
    assert told.said == ["paused: the disk is full; 1.00 kB must be free to go on"]
    pass_time(clock, pause, 2)
    assert pause, "there is no room yet"
    told.free = NEEDED
    pass_time(clock, pause, 2)
    assert not pause
    pause.stored()
    assert told.said[1:] == ["there is room again: going on"]
    pause.stored()
    assert len(told.said) == 2
    assert not stops


def test_room_that_is_refused_again_and_again_does_not_last_for_ever(clock, pause, told, stops):
    told.free = 10 * NEEDED  # a quota refuses what the disk has room for
    tries = 0
    while not stops:
        tries += 1
        pause.begin("the quota is used up")
        pass_time(clock, pause, 2)
        assert tries < PATIENCE
    assert clock.now >= 100.0 + PATIENCE
    assert len(told.said) == 1, "it is said once"
    assert stops[0].exit_code == 7
    assert stops[0].error is not None
    assert dict(stops[0].error.facts)["needed"] == "1.00 kB"


def test_a_small_record_does_not_prove_room_for_a_chunk(clock, pause, told, stops):
    told.free = NEEDED
    pause.begin("the disk is full")
    pass_time(clock, pause, 2)
    pause.stored(ledger=True)
    assert len(told.said) == 1
    pause.begin("the disk is full")
    pass_time(clock, pause, PATIENCE + 1)
    assert stops


def test_a_record_that_was_refused_is_proof_once_it_is_stored(clock, pause, told, stops):
    told.free = None
    pause.begin("the disk is full", ledger=True)
    pass_time(clock, pause, 2)
    pause.stored(ledger=True)
    assert told.said[1:] == ["there is room again: going on"]
    assert not stops


def test_refusals_in_quick_succession_do_not_put_the_end_off(clock, pause, told, stops):
    told.free = 0
    for _ in range(int(PATIENCE / 0.5) + 4):
        pause.begin("the disk is full", ledger=True)
        pass_time(clock, pause, 0.5)
    assert stops
