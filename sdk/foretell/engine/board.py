"""The board: what every thread of a worker process is doing, readable after its sudden death.

A worker stamps chunk, attempt and phase of each thread into a small memory-mapped file before each
step (about 0.3 µs). The pages belong to the kernel, so they survive a segfault or SIGKILL, and
another process can read them while the worker hangs with the interpreter lock held. Blame for a
death or a hang rests on this, never on events that were still on their way.
"""

from __future__ import annotations

import enum
import mmap
import os
import struct
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

_SLOTS = 64
_SLOT = struct.Struct("<QqIIdd")
_STRIDE = 64
_MAGIC = b"FTBOARD1"


class Phase(enum.IntEnum):
    """What a thread is doing with its chunk."""

    IDLE = 0
    READ = 1
    WAIT = 2
    """Waiting for a device slot or for the writer: costs the chunk no time."""
    MODEL = 3
    """In the user's code: collate, predict or postprocess."""
    WRITE = 4
    LOAD = 5
    """Loading and deploying the model."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """One thread's last report.

    Attributes:
        chunk: Chunk id, -1 for none.
        attempt: Its attempt.
        phase: What it was doing.
        active: Seconds of its own work the chunk had taken, waiting left out, when last stamped.
        since: When the phase began, on the host's monotonic clock.
    """

    chunk: int
    attempt: int
    phase: Phase
    active: float
    since: float

    def elapsed(self, now: float | None = None) -> float:
        """Seconds of work of this chunk up to ``now`` (monotonic, same host)."""
        if self.phase in (Phase.IDLE, Phase.WAIT):
            return self.active
        return self.active + (time.monotonic() if now is None else now) - self.since


class Board:
    """The writing side, one per worker process."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.ftruncate(handle, _STRIDE * (_SLOTS + 1))
            self._map = mmap.mmap(handle, _STRIDE * (_SLOTS + 1))
        finally:
            os.close(handle)
        self._map[: len(_MAGIC)] = _MAGIC
        self._local = threading.local()
        self._lock = threading.Lock()
        self._used = 0

    def begin(self, chunk: int, attempt: int) -> None:
        """This thread takes up a chunk: its time starts at zero."""
        self._local.chunk, self._local.attempt = chunk, attempt
        self._local.active, self._local.since = 0.0, time.monotonic()
        self._local.phase = Phase.IDLE

    def stamp(self, phase: Phase) -> None:
        """This thread enters ``phase``."""
        local = self._local
        now = time.monotonic()
        if local.phase not in (Phase.IDLE, Phase.WAIT):
            local.active += now - local.since
        local.phase, local.since = phase, now
        _SLOT.pack_into(
            self._map,
            self._offset(),
            threading.get_ident(),
            local.chunk,
            local.attempt,
            int(phase),
            local.active,
            now,
        )

    @property
    def phase(self) -> Phase:
        """What this thread was last stamped with."""
        phase: Phase = self._local.phase
        return phase

    def _offset(self) -> int:
        offset = getattr(self._local, "offset", 0)
        if not offset:
            with self._lock:
                self._used = self._used % _SLOTS + 1
                offset = self._local.offset = self._used * _STRIDE
        return int(offset)

    def close(self) -> None:
        """Remove the file; a later stamp goes nowhere."""
        self.path.unlink(missing_ok=True)


def read_board(path: Path | str) -> list[Stamp]:
    """The stamps of all threads that are at a chunk; empty when there is no board."""
    try:
        data = Path(path).read_bytes()
    except OSError:
        return []
    if not data.startswith(_MAGIC):
        return []
    stamps = []
    for offset in range(_STRIDE, len(data) - _SLOT.size + 1, _STRIDE):
        thread, chunk, attempt, phase, active, since = _SLOT.unpack_from(data, offset)
        if thread and phase and phase <= max(Phase):
            stamps.append(Stamp(chunk, attempt, Phase(phase), active, since))
    return stamps


def read_elapsed(path: Path | str) -> list[Stamp]:
    """:func:`read_board` on the worker's own host, ``active`` brought up to now by its clock."""
    now = time.monotonic()
    return [replace(stamp, active=stamp.elapsed(now), since=now) for stamp in read_board(path)]
