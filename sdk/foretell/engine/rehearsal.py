"""A few seconds of the real thing, nothing written: how fast would this run be?"""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass

import numpy as np

from foretell.engine.batches import UserError
from foretell.engine.messages import trouble
from foretell.engine.runtime import RUNTIMES, Runtime
from foretell.engine.tasks import LoadFailed


@dataclass(frozen=True, slots=True)
class RehearsalRequest:
    """What to rehearse.

    Attributes:
        start, stop: The rows of the run; batches are taken evenly from all over them.
        seconds: How long.
        windows: In how many equal stretches of time the pace is measured.
        share, shares: This worker's turn among the workers that rehearse at the same time.
        batch_size: Rows of a batch, or 0 for that of the worker's job.
    """

    start: int
    stop: int
    seconds: float = 3.0
    windows: int = 6
    share: int = 0
    shares: int = 1
    batch_size: int = 0


@dataclass(frozen=True, slots=True)
class RehearsalReport:
    """How it went.

    Attributes:
        rows_per_second: Pace of each stretch of time.
        failed: Batches that raised.
        whole: Seconds all rows took, where there were so few that all were done; else None.
    """

    rows_per_second: tuple[float, ...]
    failed: int
    whole: float | None = None


def rehearse(run: str, request: RehearsalRequest) -> RehearsalReport | LoadFailed | None:
    """Read and predict as ``predict`` would, every device slot busy; the results are dropped."""
    runtime = RUNTIMES.get(run)
    if runtime is None:
        return None
    try:
        runtime.load()
        return _Rehearsal(runtime, request).run()
    except UserError as error:
        return LoadFailed(trouble(error), 4)


class _Rehearsal:
    def __init__(self, runtime: Runtime, request: RehearsalRequest) -> None:
        self.runtime = runtime
        self.request = request
        self.size = request.batch_size or runtime.local_batch_size
        self.places = self._places()
        self.next = itertools.count()
        self.finished: list[tuple[float, int]] = []
        self.failed = 0
        self.began = 0.0

    def _places(self) -> np.ndarray:
        request = self.request
        starts = np.arange(request.start, request.stop, self.size)[request.share :: request.shares]
        order = np.random.default_rng(0).permutation(len(starts))
        return starts[order]

    def run(self) -> RehearsalReport:
        self.began = time.perf_counter()
        threads = [threading.Thread(target=self._loop) for _ in range(self.runtime.job.slots)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - self.began
        everything = len(self.finished) == len(self.places)
        return RehearsalReport(self._paces(took), self.failed, took if everything else None)

    def _loop(self) -> None:
        while time.perf_counter() - self.began < self.request.seconds:
            turn = next(self.next)
            if turn >= len(self.places):
                return
            start = int(self.places[turn])
            stop = min(start + self.size, self.request.stop)
            try:
                self._batch(start, stop)
            except UserError:
                self.failed += 1
            self.finished.append((time.perf_counter() - self.began, stop - start))

    def _batch(self, start: int, stop: int) -> None:
        got = self.runtime.source.read(start, stop)
        mask = np.ones(stop - start, dtype=bool)
        for error in got.errors:
            mask[error.row - start] = False
        if mask.any():
            rows = np.arange(start, stop, dtype=np.int64)
            self.runtime.runner.run(got.examples, rows, mask, self.size)

    def _paces(self, took: float) -> tuple[float, ...]:
        """Rows per second of each stretch; few batches make few stretches."""
        windows = max(1, min(self.request.windows, len(self.finished) // 4))
        edges = np.linspace(0.0, max(took, 1e-9), windows + 1)
        counts = np.zeros(windows)
        for moment, rows in self.finished:
            counts[min(windows - 1, int(np.searchsorted(edges, moment, side="left")) - 1)] += rows
        return tuple(float(c) for c in counts / np.diff(edges))
