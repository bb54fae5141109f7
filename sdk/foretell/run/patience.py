"""The last things a session writes: while the storage is full they wait, as the run itself does."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from typing import Any, TypeVar

from foretell.engine.stopping import Signalled
from foretell.errors import StorageError

ResultT = TypeVar("ResultT")

TRY_EVERY = 1.0
"""Seconds between two tries."""


class Patience:
    """Repeats what a full storage refuses.

    Args:
        seconds: How long in all; 0 for not at all.
        inbox: Where a signal arrives, which ends the wait.
        say: Told once what is being waited for.
    """

    def __init__(self, seconds: float, inbox: queue.Queue[Any], say: Callable[[str], None]) -> None:
        self._left = seconds
        self._inbox = inbox
        self._say = say
        self._said = False

    def do(self, action: Callable[[], ResultT]) -> ResultT:
        """The result of ``action``, which must be safe to repeat.

        Raises:
            StorageError: there was no room for too long, a signal came, or it failed otherwise.
        """
        while True:
            try:
                return action()
            except StorageError as error:
                if error.slug != "storage-full" or self._left <= 0 or not self._wait(error):
                    raise

    def _wait(self, error: StorageError) -> bool:
        """Wait a little; False when somebody wants the session to end."""
        if not self._said:
            self._said = True
            self._say(f"paused: {error.message}; {dict(error.facts).get('needed', 'room')} needed")
        until = time.monotonic() + min(TRY_EVERY, self._left)
        self._left -= TRY_EVERY
        while (left := until - time.monotonic()) > 0:
            try:
                if isinstance(self._inbox.get(timeout=left), Signalled):
                    return False
            except queue.Empty:
                break
        return True
