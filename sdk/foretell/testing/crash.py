"""Ends a process's access to its store at a chosen operation, as a kill would."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from foretell.store.objects import set_fault_hook

WRITES = frozenset({"put", "put-staged", "put-done", "create", "create-staged", "create-done"})


class Crash(BaseException):
    """Stands for the death of the process: nothing may catch it but the test."""


class OperationLog:
    """Counts store operations; from number ``crash_at`` on, every one of them is a crash.

    Args:
        crash_at: 0-based number of the first operation that is not reached; None for never.
        error: Raised once instead of crashing, e.g. an ``OSError``; the operations after it work.
    """

    def __init__(self, crash_at: int | None = None, error: OSError | None = None) -> None:
        self.operations: list[tuple[str, str]] = []
        self.met = False
        self._crash_at = crash_at
        self._error = error
        self._lock = threading.Lock()

    def __call__(self, operation: str, key: str) -> None:
        with self._lock:
            number = len(self.operations)
            self.operations.append((operation, key))
        if self._crash_at is None or number < self._crash_at:
            return
        if self._error is None:
            self.met = True
            raise Crash(f"at {operation} of {key}")
        if number == self._crash_at:
            self.met = True
            raise self._error


@contextmanager
def watched(crash_at: int | None = None, error: OSError | None = None) -> Iterator[OperationLog]:
    """Log the store operations inside the block, and perhaps crash at one of them."""
    log = OperationLog(crash_at, error)
    set_fault_hook(log)
    try:
        yield log
    finally:
        set_fault_hook(None)


def crashes(action: Callable[[], object], at: int) -> bool:
    """Run ``action`` with a crash at store operation ``at``; whether it got that far."""
    with watched(at) as log:
        try:
            action()
        except Crash:
            return True
    assert not log.met, "the crash was swallowed: something catches BaseException"
    return False


def operations_of(action: Callable[[], object]) -> list[tuple[str, str]]:
    """The store operations of ``action``, in order."""
    with watched() as log:
        action()
    return log.operations
