"""Who may be in the model: so many at once, or, in a group, strictly one after the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Gate(Protocol):
    """Lets chunks into the model."""

    def turn(self, number: int) -> AbstractContextManager[None]:
        """Wait to be let in; inside, the chunk has a device slot."""
        ...

    def passed(self, number: int) -> None:
        """The chunk is done with or has failed, whether it went in or not."""
        ...


class Slots:
    """Any chunk, ``count`` at once."""

    def __init__(self, count: int) -> None:
        self._free = threading.BoundedSemaphore(count)

    @contextmanager
    def turn(self, number: int) -> Iterator[None]:
        """Wait for a free slot."""
        with self._free:
            yield

    def passed(self, number: int) -> None:
        """Nothing to keep."""


class Turnstile:
    """One chunk at a time, in the order of its numbers from 0 on.

    All members of a group pass their chunks through a turnstile with the same numbers, so their
    collective operations meet in the same order on every member.
    """

    def __init__(self) -> None:
        self._next = 0
        self._early: set[int] = set()
        self._moved = threading.Condition()

    @contextmanager
    def turn(self, number: int) -> Iterator[None]:
        """Wait until every lower number has passed."""
        with self._moved:
            self._moved.wait_for(lambda: self._next >= number)
        yield
        self.passed(number)

    def passed(self, number: int) -> None:
        """Let the next number in; those that never came are skipped in their turn."""
        with self._moved:
            if number >= self._next:
                self._early.add(number)
            while self._next in self._early:
                self._early.discard(self._next)
                self._next += 1
            self._moved.notify_all()
