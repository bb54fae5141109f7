"""How fast a run was over its time, and how long its chunks took."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from foretell.report.timeline import squeeze
from foretell.store.table import ChunkTable
from foretell.types import ChunkState

BINS = 180
BARS = 40


@dataclass(frozen=True, slots=True)
class Pace:
    """Figures over time and over chunks.

    Attributes:
        rates: float64 ``(bins,)``: rows a second, over the time of :class:`Timeline`.
        seconds: Time the bins stand for.
        counts: int64 ``(bars,)``: chunks by their seconds.
        low, high: Seconds of the fastest and of the slowest chunk.
    """

    rates: np.ndarray = field(default_factory=lambda: np.zeros(0))
    seconds: float = 0.0
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    low: float = 0.0
    high: float = 0.0


def pace_of(table: ChunkTable, n_rows: int, chunk_rows: int) -> Pace:
    """How fast the done chunks of a run were made.

    The rows of a chunk are spread over the time it was in hand, so that long chunks leave no
    holes.
    """
    done = np.flatnonzero(table.state == ChunkState.DONE)
    if not len(done):
        return Pace()
    seconds = table.milliseconds[done] / 1000.0
    rows = np.minimum(chunk_rows, n_rows - done * chunk_rows) - table.quarantined[done]
    axis = squeeze(table.started[done], seconds)
    bins = max(1, min(BINS, 4 * len(done)))
    reached = _reached(axis.start, axis.end, rows, np.linspace(0.0, axis.length, bins + 1))
    low, high = float(seconds.min()), float(seconds.max())
    counts, _ = np.histogram(seconds, bins=BARS, range=(low, max(high, low + 1e-3)))
    return Pace(np.diff(reached) / (axis.length / bins), axis.length, counts, low, high)


def _reached(start: np.ndarray, end: np.ndarray, rows: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Rows done at each time, where every chunk goes from none to all of its rows evenly."""
    end = np.maximum(end, start + 1e-6)
    speed = rows / (end - start)
    # The sum over chunks of speed * (t - start) up to their end, without a loop over chunks.
    begun, ended = _sums(start, speed, times), _sums(end, speed, times)
    reached: np.ndarray = (begun[0] - ended[0]) * times - (begun[1] - ended[1])
    return np.maximum.accumulate(np.maximum(0.0, reached))


def _sums(
    moments: np.ndarray, speed: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of speed, and of speed times moment, over the moments up to each time."""
    order = np.argsort(moments, kind="stable")
    weights = (speed, speed * moments)
    sums = [np.concatenate(([0.0], np.cumsum(values[order]))) for values in weights]
    at = np.searchsorted(moments[order], times, side="right")
    return sums[0][at], sums[1][at]
