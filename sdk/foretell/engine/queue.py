"""Which chunk comes next, and what a failed attempt means for its chunk. Pure bookkeeping.

Rules: every chunk has ``retries + 1`` attempts that count against it, those after the first alone
on their worker. An attempt counts when the chunk was to blame; chunks that were merely beside it
go back to the queue free of charge. A death shared by several suspects never ends a chunk for
good: that takes a death where it was the only one.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from foretell.types import ChunkState

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 15.0
"""Seconds before an attempt is repeated, doubled each time up to the longest."""


@dataclass(slots=True)
class WorkQueue:
    """The chunks that are left to do.

    Args:
        fresh: int64 chunk ids in the order they shall run.
        suspects: Chunks that were in the model when a driver or worker died: last, and alone.
        retries: Attempts allowed after the first.
        attempts: int array over all chunks: attempts already recorded.
    """

    fresh: np.ndarray
    suspects: Iterable[int]
    retries: int
    attempts: np.ndarray
    _at: int = 0
    _again: deque[int] = field(default_factory=deque)
    _lone: list[tuple[float, int]] = field(default_factory=list)
    _last: deque[int] = field(default_factory=deque)
    _strikes: dict[int, int] = field(default_factory=dict)
    _numbers: dict[int, int] = field(default_factory=dict)
    _lonely: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._last.extend(sorted(self.suspects))

    @property
    def waiting(self) -> int:
        """Chunks not handed out."""
        return len(self.fresh) - self._at + len(self._again) + len(self._lone) + len(self._last)

    def take(self, most: int) -> list[int]:
        """Up to ``most`` consecutive chunks for a normal task; none when only lone ones wait."""
        if self._again:
            return [self._again.popleft()]
        left = self.fresh[self._at : self._at + most]
        if not len(left):
            return []
        breaks = np.flatnonzero(np.diff(left) != 1)
        run = left[: int(breaks[0]) + 1] if len(breaks) else left
        self._at += len(run)
        return [int(chunk) for chunk in run]

    def lone_due(self, now: float) -> bool:
        """Whether a chunk waits to be run alone."""
        return self._next_lone(now) is not None

    def take_lone(self, now: float) -> int | None:
        """The next chunk to run alone on a worker, or None when none is due."""
        where = self._next_lone(now)
        if where is None:
            return None
        chunk = heapq.heappop(self._lone)[1] if where == "retry" else self._last.popleft()
        self._lonely.add(chunk)
        return chunk

    def _next_lone(self, now: float) -> str | None:
        if self._lone and self._lone[0][0] <= now:
            return "retry"
        others = self._again or self._lone or self._at < len(self.fresh)
        return "suspect" if self._last and not others else None

    def next_due(self) -> float | None:
        """When the earliest waiting retry may run, or None."""
        return self._lone[0][0] if self._lone else None

    def number(self, chunk: int) -> int:
        """Count and return the number of the attempt that begins now."""
        before = self._numbers.get(chunk, int(self.attempts[chunk]))
        self._numbers[chunk] = before + 1
        return before + 1

    def give_back(self, chunk: int) -> None:
        """The chunk was not to blame: it runs again as if nothing had happened."""
        if chunk in self._lonely:
            self._lonely.discard(chunk)
            heapq.heappush(self._lone, (0.0, chunk))
        else:
            self._again.append(chunk)

    def hold(self, chunks: Iterable[int], until: float) -> None:
        """Keep waiting retries back until another writer of them is surely gone."""
        held = set(chunks)
        self._lone = [(max(due, until) if c in held else due, c) for due, c in self._lone]
        heapq.heapify(self._lone)

    def done(self, chunk: int) -> None:
        """Forget what was remembered of the chunk."""
        self._strikes.pop(chunk, None)
        self._numbers.pop(chunk, None)
        self._lonely.discard(chunk)

    def strike(
        self, chunk: int, now: float, *, shared: bool = False, exhausted: bool = False
    ) -> ChunkState:
        """An attempt was the chunk's own fault: what becomes of it.

        Args:
            chunk: The chunk.
            now: Monotonic time.
            shared: Several chunks may have been to blame.
            exhausted: It killed, hung or exhausted its worker.

        Returns:
            RETRYING when it will run again, alone; else QUARANTINED or FAILED.
        """
        count = self._strikes[chunk] = self._strikes.get(chunk, 0) + 1
        self._lonely.discard(chunk)
        if count <= self.retries or shared:
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (count - 1))
            heapq.heappush(self._lone, (now + pause, chunk))
            return ChunkState.RETRYING
        self.done(chunk)
        return ChunkState.QUARANTINED if exhausted else ChunkState.FAILED
