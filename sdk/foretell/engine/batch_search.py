"""A batch size for ``batch_size = "auto"``: doubled or halved for as long as that is faster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

WORTH_SECONDS = 5.0
"""Jobs expected to take less keep the default: a search would cost more than it gains."""
SHARE = 0.05
MOST_SECONDS = 30.0
"""A search takes this share of the expected time at most, and never longer than this."""
GAIN = 1.03
"""How much faster another size must be to be taken."""
SMALLEST = 8
REPEAT_BELOW = 0.5


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a search may choose.

    Attributes:
        largest: Most rows of a batch; 0 when the size is not to be searched for.
        divides: Rows a whole number of batches must make, or 0: the chunk where it is set.
        slots: Batches computed at once over all workers, to know what the whole job takes.
    """

    largest: int = 0
    divides: int = 0
    slots: int = 1


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes:
        batch_size: The size to use.
        tried: (rows of a batch, rows per second) in the order they were tried.
        ceiling: Least size the device had no memory for, or None.
    """

    batch_size: int
    tried: tuple[tuple[int, float], ...] = ()
    ceiling: int | None = None


class OutOfMemory(Exception):
    """The device cannot hold a batch of the size tried."""


@dataclass(slots=True)
class BatchSearch:
    """Looks for the fastest batch size.

    Two sizes are compared on the same rows, so that long texts at one place of the source do not
    speak against a size.

    Args:
        measure: Called with (batch size, rows): seconds to compute the first ``rows`` rows of the
            sample in batches of that size. Raises :class:`OutOfMemory`.
        bounds: What may be chosen.
        seconds: Time the search may take.
    """

    measure: Callable[[int, int], float]
    bounds: Bounds
    seconds: float
    spent: float = 0.0
    tried: list[tuple[int, float]] = field(default_factory=list)
    ceiling: int | None = None

    def run(self, size: int, row_seconds: float) -> Found:
        """Search from ``size``, at which a row takes ``row_seconds``."""
        best = self._along(size, row_seconds, lambda of, factor: of * factor)
        if best == size:
            best = self._along(size, row_seconds, lambda of, factor: of // factor)
        return Found(best, tuple(self.tried), self.ceiling)

    def _along(self, size: int, row_seconds: float, step: Callable[[int, int], int]) -> int:
        best, factor = size, 2
        while factor <= 4:  # one size without a gain is looked past
            other = step(best, factor)
            if not self._may(other) or (gain := self._gain(other, best, row_seconds)) is None:
                break
            best, factor = (other, 2) if gain >= GAIN else (best, factor * 2)
        return best

    def _may(self, size: int) -> bool:
        bounds = self.bounds
        below = self.ceiling is None or size < self.ceiling
        within = SMALLEST <= size <= bounds.largest
        return below and within and not (bounds.divides and bounds.divides % size)

    def _gain(self, size: int, other: int, row_seconds: float) -> float | None:
        """How many times faster ``size`` is than ``other``; None when there is no telling."""
        rows = max(size, other)
        expected = rows * min([row_seconds, *(1 / rate for _, rate in self.tried)])
        repeats = 2 if expected < REPEAT_BELOW else 1
        if self.spent + 2 * expected * repeats > self.seconds:
            return None
        try:
            mine = self._best(size, rows, repeats)
        except OutOfMemory:
            self.ceiling = size
            return None
        return self._best(other, rows, repeats) / mine

    def _best(self, size: int, rows: int, repeats: int) -> float:
        times = [self.measure(size, rows) for _ in range(repeats)]
        self.spent += sum(times)
        self.tried.append((size, rows / max(min(times), 1e-9)))
        return min(times)


def allowance(rows: int, row_seconds: float, slots: int) -> float:
    """Seconds a search may take before a job of ``rows`` rows; 0 when it is not worth one."""
    expected = rows * row_seconds / max(1, slots)
    return 0.0 if expected < WORTH_SECONDS else min(MOST_SECONDS, SHARE * expected)
