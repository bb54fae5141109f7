"""Why and how a run ends early: signals, walltime, cancel, budgets, trouble."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from foretell.errors import ForetellError
from foretell.types import RunState


@dataclass(frozen=True, slots=True)
class Stop:
    """A decision to end the session.

    Attributes:
        state: How the run will stand.
        exit_code: What the command exits with.
        reason: One line for people.
        drain: Whether chunks in hand may finish first.
        error: The error to show, where there is more to say than the reason.
    """

    state: RunState
    exit_code: int
    reason: str
    drain: bool = True
    error: ForetellError | None = None


@dataclass(frozen=True, slots=True)
class Signalled:
    """A signal arrived."""

    number: int


DRAINING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@contextmanager
def signals_into(inbox: queue.SimpleQueue[Any] | queue.Queue[Any]) -> Iterator[None]:
    """While inside, the draining signals arrive in ``inbox`` instead of interrupting.

    Only the main thread of a process can do this; elsewhere signals are left alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def heard(number: int, frame: FrameType | None) -> None:
        inbox.put(Signalled(number))

    before = {number: signal.signal(number, heard) for number in DRAINING_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def on_signal(number: int, already: Stop | None) -> Stop:
    """The first signal drains; a second Ctrl-C ends at once."""
    name = signal.Signals(number).name
    if already is not None and number == signal.SIGINT:
        return Stop(RunState.INTERRUPTED, 130, "interrupted twice", drain=False)
    if already is not None:
        return already
    said = "interrupted (Ctrl-C)" if number == signal.SIGINT else f"interrupted by {name}"
    return Stop(RunState.INTERRUPTED, 75, said)
