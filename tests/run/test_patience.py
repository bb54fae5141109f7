"""How long the last words of a session wait for room."""

from __future__ import annotations

import queue
import signal
from collections.abc import Callable
from typing import Any

import pytest
from foretell.engine.stopping import Signalled
from foretell.errors import StorageError
from foretell.run import patience as module
from foretell.run.patience import Patience

FULL = StorageError("the disk is full", facts=[("needed", "9 bytes")], slug="storage-full")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRY_EVERY", 0.001)


def failing(times: int, error: Exception = FULL) -> Callable[[], int]:
    """An action that fails so often and then tells how often it was called."""
    calls = 0

    def action() -> int:
        nonlocal calls
        calls += 1
        if calls <= times:
            raise error
        return calls

    return action


def make(seconds: float, inbox: queue.Queue[Any] | None = None) -> tuple[Patience, list[str]]:
    said: list[str] = []
    return Patience(seconds, inbox or queue.Queue(), said.append), said


def test_what_a_full_storage_refuses_is_repeated():
    patience, said = make(10.0)
    assert patience.do(failing(5)) == 6
    assert said == ["paused: the disk is full; 9 bytes needed"]


def test_there_is_an_end_to_it():
    patience, _ = make(0.003)
    with pytest.raises(StorageError):
        patience.do(failing(1000))


def test_other_failures_are_not_repeated():
    patience, said = make(10.0)
    with pytest.raises(StorageError, match="broken"):
        patience.do(failing(1, StorageError("broken")))
    assert not said


def test_a_signal_ends_the_wait():
    inbox: queue.Queue[Any] = queue.Queue()
    inbox.put(Signalled(signal.SIGTERM))
    patience, _ = make(1e6, inbox)
    with pytest.raises(StorageError):
        patience.do(failing(1000))
