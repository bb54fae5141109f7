"""Asks the experts of a batch at the same time and waits as long as the job says, never longer."""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import numpy as np
from foretell.abc import DeployContext, ServiceCaller
from foretell.errors import RowFailure, ServiceLost
from foretell.types import JSON, Arrays, Batch

from foretell_experts.arguments import to_arrays
from foretell_experts.combine import Answers, combine
from foretell_experts.router import Choice, Router
from foretell_experts.service import UNANSWERED
from foretell_experts.settings import ExpertsOptions

_MOST_THREADS = 64


class NoAnswer(Exception):
    """An expert did not answer in time, or was lost."""


@dataclass(slots=True)
class _Counts:
    batches: int = 0
    calls: int = 0
    unanswered: int = 0
    rows_short: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Mixture:
    """Called with a batch: routes its rows, asks the experts, combines what they say.

    Args:
        router: Chooses experts.
        options: Names, ``k_min`` and times.
        services: Reaches the experts.
        context: Batch size, slots and threads.
        fixed: Whether an expert sees its rows at their places in a full batch.
    """

    def __init__(
        self,
        router: Router,
        options: ExpertsOptions,
        services: ServiceCaller,
        context: DeployContext,
        *,
        fixed: bool,
    ) -> None:
        self._router = router
        self._options = options
        self._names = tuple(expert.name for expert in options.experts)
        self._services = services
        self._context = context
        self._fixed = fixed
        self._counts = _Counts()
        self._asking = ThreadPoolExecutor(
            min(_MOST_THREADS, context.slots * len(self._names)), thread_name_prefix="mixture"
        )

    def __call__(self, batch: Batch) -> Arrays:
        """Predictions for every row of the batch; those of filler rows mean nothing.

        Raises:
            RowFailure: for some rows too few experts answered.
            ShapeMismatch: router or experts return what cannot be combined.
            Exception: what an expert raised, where all that were chosen must answer.
        """
        arrays = to_arrays(batch.inputs, batch.size)
        choice = self._router(batch.inputs, batch.size)
        real = batch.mask if batch.mask.any() else np.ones(batch.size, dtype=bool)
        chosen = np.where(real[:, None], choice.experts, -1)
        _check_chosen(chosen, real)
        asked = _Asked(self, arrays, chosen)
        answers = asked.gather()
        with self._counts.lock:
            self._counts.batches += 1
            short = (answers.numbers(chosen) != chosen).any(axis=1)
            self._counts.rows_short += int(np.count_nonzero(short))
        return combine(Choice(chosen, choice.weights), answers, self._names)

    def need(self, chosen: np.ndarray) -> np.ndarray:
        """How many experts of each row must answer: int64 ``(B,)``."""
        counts = (chosen >= 0).sum(axis=1)
        k_min = self._options.k_min
        needed: np.ndarray = counts if k_min is None else np.minimum(counts, k_min)
        return needed

    def submit(self, number: int, arrays: Arrays, rows: np.ndarray, until: float) -> Future[Arrays]:
        """Ask one expert for rows, in a thread of its own."""
        return self._asking.submit(self.ask, number, arrays, rows, until)

    def ask(self, number: int, arrays: Arrays, rows: np.ndarray, until: float) -> Arrays:
        """One expert's outputs for the rows at ``rows``, in that order.

        Raises:
            NoAnswer: it was lost or did not answer in time.
            Exception: what it raised.
        """
        left = until - time.monotonic()
        if left <= 0:
            raise NoAnswer(f"{self._names[number]} was not asked in time")
        with self._counts.lock:
            self._counts.calls += 1
        size = self._context.batch_size
        # The service gives up a little earlier, so that its word arrives before we stop listening.
        call = np.array([left * 0.95, max(size, len(rows)), self._context.threads])
        sent = {name: _rows_for(array, rows, self._fixed) for name, array in arrays.items()}
        try:
            answer = self._services.call(
                self._names[number], "forward", {"call": call, **sent}, left
            )
        except ServiceLost as error:
            raise NoAnswer(f"{self._names[number]}: {error.message}") from error
        if UNANSWERED in answer:
            raise NoAnswer(f"{self._names[number]}: {answer[UNANSWERED][0]}")
        if self._fixed:
            return {name: array[rows] for name, array in answer.items()}
        return answer

    @property
    def options(self) -> ExpertsOptions:
        """The job's settings."""
        return self._options

    def missed(self, count: int) -> None:
        """Count experts that did not answer for a batch."""
        with self._counts.lock:
            self._counts.unanswered += count

    def devices(self) -> list[str]:
        """Where the router is; experts are where they were placed."""
        return ["cpu"]

    def figures(self) -> dict[str, JSON]:
        """Batches asked for, calls of experts, calls without an answer, rows short of an expert."""
        counts = self._counts
        return {
            "batches": counts.batches,
            "calls": counts.calls,
            "unanswered": counts.unanswered,
            "rows_short": counts.rows_short,
        }

    def close(self) -> None:
        """Ask no more."""
        self._asking.shutdown(wait=False, cancel_futures=True)


def _rows_for(array: np.ndarray, rows: np.ndarray, fixed: bool) -> np.ndarray:
    """What an expert is sent: its rows, or a full batch with its rows at their own places.

    In the full batch the other places hold a copy of one of its rows.
    """
    if not fixed:
        return array if len(rows) == len(array) else array[rows]
    index = np.full(len(array), rows[0], dtype=np.int64)
    index[rows] = rows
    return array[index]


def _check_chosen(chosen: np.ndarray, real: np.ndarray) -> None:
    alone = np.flatnonzero(real & (chosen < 0).all(axis=1))
    if len(alone):
        raise RowFailure(alone.tolist(), "the router chose no expert for this row")


class _Asked:
    """The calls of one batch."""

    def __init__(self, mixture: Mixture, arrays: Arrays, chosen: np.ndarray) -> None:
        self._mixture = mixture
        self._arrays = arrays
        self._chosen = chosen
        self._need = mixture.need(chosen)
        self._until = time.monotonic() + mixture.options.timeout
        self._answers = Answers(len(chosen))
        self._silent: list[str] = []
        self._rows = {
            int(number): np.flatnonzero((chosen == number).any(axis=1))
            for number in np.unique(chosen[chosen >= 0])
        }
        self._calls = {
            mixture.submit(number, arrays, rows, self._until): number
            for number, rows in self._rows.items()
        }

    def gather(self) -> Answers:
        """Wait for all, or for enough of them and a little longer."""
        pending = set(self._calls)
        until = self._until
        patient = self._mixture.options.k_min is None
        while pending and (left := until - time.monotonic()) > 0:
            done, pending = wait(pending, timeout=left, return_when=FIRST_COMPLETED)
            for call in done:
                self._land(self._calls[call], call)
            if not patient and pending and self._enough():
                patient = True
                after = time.monotonic() + self._mixture.options.timeout_after_k_min
                until = min(until, after)
        for call in pending:
            call.cancel()
            self._silent.append(f"{self._name(self._calls[call])} did not answer in time")
        self._mixture.missed(len(self._silent))
        self._check()
        return self._answers

    def _land(self, number: int, call: Future[Arrays]) -> None:
        rows = self._rows[number]
        try:
            self._answers.add(number, rows, call.result(0))
            return
        except NoAnswer as error:
            self._silent.append(str(error))
            return
        except Exception as error:
            if self._mixture.options.k_min is None:
                for other in self._calls:
                    other.cancel()
                raise
            failure = error
        self._search(number, rows, failure)

    def _search(self, number: int, rows: np.ndarray, error: Exception) -> None:
        """An expert that raised may still answer for most of its rows: find those, by halves."""
        if len(rows) == 1:
            self._silent.append(f"{self._name(number)}: {type(error).__name__}: {error}")
            return
        for part in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
            try:
                answer = self._mixture.ask(number, self._arrays, part, self._until)
            except NoAnswer as silent:
                self._silent.append(str(silent))
            except Exception as again:
                self._search(number, part, again)
            else:
                self._answers.add(number, part, answer)

    def _enough(self) -> bool:
        return bool((self._answers.counts(self._chosen) >= self._need).all())

    def _check(self) -> None:
        short = np.flatnonzero(self._answers.counts(self._chosen) < self._need)
        if len(short):
            reasons = "; ".join(dict.fromkeys(self._silent))[:300]
            raise RowFailure(short.tolist(), f"too few experts answered: {reasons}")

    def _name(self, number: int) -> str:
        return self._mixture.options.experts[number].name
