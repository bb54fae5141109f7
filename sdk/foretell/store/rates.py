"""How fast this session is and when it will end: an honest range, from its own work alone."""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from foretell.store.head import Rates

SHORT_WINDOW = 60.0
LONG_WINDOW = 600.0
_KEPT = 4096


@dataclass(frozen=True, slots=True)
class _Finished:
    time: float
    rows: int
    bytes: int
    seconds: float


class RateMeter:
    """Collects finished chunks and turns them into rates.

    Args:
        clock: Monotonic seconds.
        workers: How many worker slots there are: the ETA stays unknown until
            ``max(3, 2 * workers)`` chunks are done.
        seed: Of the bootstrap, so that equal histories give equal ranges.
    """

    def __init__(self, clock: Callable[[], float], workers: int, seed: int = 0) -> None:
        self._clock = clock
        self._began = clock()
        self._needed = max(3, 2 * workers)
        self._seed = seed
        self._recent: deque[_Finished] = deque(maxlen=_KEPT)
        self._slowest: tuple[float, float | None] = (float("-inf"), None)
        self.count = 0
        self.rows = 0

    def finished(self, rows: int, stored: int, seconds: float) -> None:
        """A chunk is durable."""
        self._recent.append(_Finished(self._clock(), rows, stored, seconds))
        self.count += 1
        self.rows += rows

    def slow_chunk(self) -> float | None:
        """Seconds that 95 of 100 recent chunks took at most; looked up once a second at most."""
        now = self._clock()
        if self._recent and now - self._slowest[0] >= 1.0:
            durations = sorted(item.seconds for item in self._recent)
            self._slowest = now, _quantile(durations, 0.95)
        return self._slowest[1]

    def rates(self, rows_left: int) -> Rates:
        """Rates now, and the range of seconds until ``rows_left`` rows are done."""
        if not self._recent:
            return Rates()
        durations = sorted(item.seconds for item in self._recent)
        short, long = self._per_second(SHORT_WINDOW), self._per_second(LONG_WINDOW)
        low, high = self._eta(rows_left, [rate for rate in (short[0], long[0]) if rate])
        return Rates(
            rows_per_second=short[0],
            rows_per_second_10m=long[0],
            chunk_p50=durations[len(durations) // 2],
            chunk_p95=_quantile(durations, 0.95),
            eta_low=low,
            eta_high=high,
            bytes_per_second=short[1],
        )

    def _per_second(self, window: float) -> tuple[float, float]:
        now = self._clock()
        span = min(window, max(now - self._began, 1e-9))
        inside = [item for item in self._recent if item.time > now - span]
        if len(inside) == self._recent.maxlen:
            span = max(now - inside[0].time, 1e-9)
        return sum(i.rows for i in inside) / span, sum(i.bytes for i in inside) / span

    def _eta(self, rows_left: int, rates: list[float]) -> tuple[float | None, float | None]:
        """Range from the two windows and a block bootstrap of the recent pace."""
        if self.count < self._needed or not rates or rows_left <= 0:
            return (0.0, 0.0) if rows_left <= 0 else (None, None)
        guesses = [rows_left / rate for rate in rates]
        guesses += [rows_left / rate for rate in self._resampled()]
        guesses.sort()
        return guesses[int(len(guesses) * 0.1)], guesses[
            min(len(guesses) - 1, int(len(guesses) * 0.9))
        ]

    def _resampled(self, draws: int = 40, block: int = 8) -> list[float]:
        items = list(self._recent)[-256:]
        if len(items) < 3:
            return []
        gaps = [(max(b.time - a.time, 0.0), b.rows) for a, b in itertools.pairwise(items)]
        chooser = random.Random(self._seed + self.count)
        rates = []
        for _ in range(draws):
            seconds, rows = 0.0, 0
            for _ in range(-(-len(gaps) // block)):
                start = chooser.randrange(len(gaps))
                for gap, count in gaps[start : start + block]:
                    seconds += gap
                    rows += count
            if seconds > 0 and rows:
                rates.append(rows / seconds)
        return rates


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
