"""Figures of one pool: counts since the start, percentiles over the last few thousand samples."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

_KEPT = 4096


@dataclass(slots=True)
class PoolStatistics:
    """Counts and times of a pool. Written by the device loop and, ``refused``, by submitters.

    Attributes:
        tasks, rows, batches: Done without an error.
        failed: Tasks that ended with an error, those of a shutdown included.
        cancelled: Tasks that were cancelled before they were taken.
        refused: Tasks that were not accepted.
        wait: Seconds from submit to start of the last tasks.
        run: Seconds in the process function of the last batches.
        began, ended: Moments of ``time.monotonic()``: start of the first batch, end of the last.
    """

    tasks: int = 0
    rows: int = 0
    batches: int = 0
    failed: int = 0
    cancelled: int = 0
    refused: int = 0
    wait: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))
    run: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))
    began: float = 0.0
    ended: float = 0.0

    def batch_done(
        self, tasks: int, rows: int, began: float, seconds: float, waits: Iterable[float]
    ) -> None:
        """Count a batch whose results were handed out."""
        self.began = self.began or began
        self.ended = began + seconds
        self.tasks += tasks
        self.rows += rows
        self.batches += 1
        self.run.append(seconds)
        self.wait.extend(waits)

    def document(self, depth: int, queued_rows: int) -> dict[str, Any]:
        """The figures as plain data; times in milliseconds."""
        return {
            "tasks": self.tasks,
            "rows": self.rows,
            "batches": self.batches,
            "failed": self.failed,
            "cancelled": self.cancelled,
            "refused": self.refused,
            "mean_batch_rows": round(self.rows / self.batches, 2) if self.batches else 0.0,
            "rows_per_second": self._rate(),
            "queue_tasks": depth,
            "queue_rows": queued_rows,
            "wait_ms": _percentiles(self.wait),
            "run_ms": _percentiles(self.run),
        }

    def _rate(self) -> float:
        """Rows a second from the first batch to the last, to three digits whatever its size."""
        elapsed = self.ended - self.began
        return float(f"{self.rows / elapsed:.3g}") if elapsed > 0 else 0.0


def _percentiles(samples: deque[float]) -> dict[str, float]:
    ordered = sorted(samples.copy())
    if not ordered:
        return {}
    return {f"p{share}": _at(ordered, share) for share in (50, 95, 99)}


def _at(ordered: Sequence[float], share: int) -> float:
    """Nearest-rank percentile."""
    rank = max(0, -(-share * len(ordered) // 100) - 1)
    return round(ordered[rank] * 1000, 3)
