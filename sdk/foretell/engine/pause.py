"""A full storage: the run pauses, says how much is needed, and goes on when there is room.

Room is only a hint: a quota can refuse what the disk has room for. So the run tries, and only what
was then really stored ends the wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from foretell.engine.recorder import Recorder
from foretell.engine.stopping import Stop
from foretell.errors import StorageError
from foretell.text import size
from foretell.types import RunState

CHECK_EVERY = 1.0


class Pause:
    """Whether the run is paused, and why.

    Args:
        recorder: Knows how much room there is, and says what happens.
        needed: Bytes that must be free before the run goes on.
        patience: Seconds a full storage is waited for.
        end: Ends the session.
    """

    def __init__(
        self, recorder: Recorder, needed: int, patience: float, end: Callable[[Stop], None]
    ) -> None:
        self._recorder = recorder
        self._needed = needed
        self._patience = patience
        self._end = end
        self._began: float | None = None
        self._look = 0.0
        self._ledger = False
        self.reason = ""

    def __bool__(self) -> bool:
        return bool(self.reason)

    def begin(self, reason: str, *, ledger: bool = False) -> None:
        """The storage refused something for want of room.

        Args:
            reason: What it said.
            ledger: Whether it was the run's own record, and not a chunk.
        """
        now = time.monotonic()
        if not self.reason:  # else every heartbeat that fails would put the look off
            self._look = now + CHECK_EVERY
        self._ledger = ledger
        self.reason = f"{reason}; {size(self._needed)} must be free to go on"
        if self._began is None:
            self._began = now
            self._recorder.say("WARN", f"paused: {self.reason}")

    def stored(self, *, ledger: bool = False) -> None:
        """Something was stored: the wait is over, if it was the like of this that was refused."""
        if self._began is None or self.reason or (ledger and not self._ledger):
            return
        self._began = None
        self._recorder.say("INFO", "there is room again: going on")

    def check(self, now: float) -> None:
        """Try again when there is room; end the run when nothing helped for too long."""
        if not self.reason or self._began is None or now < self._look:
            return
        self._look = now + CHECK_EVERY
        room = self._recorder.room()
        late = now - self._began > self._patience
        if not late and (room is None or room >= self._needed):
            self.reason = ""
        elif late:
            reason = f"the storage is full: {self.reason}"
            error = StorageError(
                "the storage is full",
                facts=[
                    ("free", "unknown" if room is None else size(room)),
                    ("needed", size(self._needed)),
                    ("waited", f"{self._patience:g} s (schedule.storage_wait)"),
                ],
                tries=[("make room, then type the same command", "goes on where it stopped")],
                slug="storage-full",
            )
            self._end(Stop(RunState.FAILED, 7, reason, drain=False, error=error))
