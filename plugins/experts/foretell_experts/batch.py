"""From tasks to one call of the process function and back; a call that fails is taken apart."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import InvalidStateError
from dataclasses import dataclass
from typing import Any

import torch

from foretell_experts.errors import ProcessFailed, StateChanged
from foretell_experts.futures import TaskFuture
from foretell_experts.schema import describe
from foretell_experts.statistics import PoolStatistics

ProcessFunction = Callable[..., Sequence[torch.Tensor]]


@dataclass(slots=True)
class Task:
    """What one submit asks for.

    Attributes:
        tensors: One for each argument of the process function, ``rows`` rows each.
        rows: At least 1.
        submitted: Moment of ``time.monotonic()``.
        future: Where the outputs go.
    """

    tensors: tuple[torch.Tensor, ...]
    rows: int
    submitted: float
    future: TaskFuture


def finish(future: TaskFuture, error: BaseException) -> bool:
    """End a future with an error; False when somebody was faster."""
    try:
        future.set_exception(error)
    except InvalidStateError:
        return False
    return True


def call(function: ProcessFunction, tasks: Sequence[Task]) -> Sequence[Sequence[torch.Tensor]]:
    """Run the process function once over whole tasks.

    Returns:
        For each task its part of every output.

    Raises:
        ProcessFailed: the function returned something else than tensors of as many rows.
        Exception: whatever it raises.
    """
    if len(tasks) == 1:
        outputs = function(*tasks[0].tensors)
        _check(outputs, tasks[0].rows)
        return [outputs]
    with torch.no_grad():
        columns = zip(*[task.tensors for task in tasks], strict=True)
        joined = [torch.cat(column) for column in columns]
    outputs = function(*joined)
    _check(outputs, sum(task.rows for task in tasks))
    if not outputs:
        return [()] * len(tasks)
    sizes = [task.rows for task in tasks]
    with torch.no_grad():
        return list(zip(*[output.split(sizes) for output in outputs], strict=True))


def _check(outputs: Any, rows: int) -> None:
    if not isinstance(outputs, tuple | list):
        raise ProcessFailed(
            "the process function must return a tuple of tensors",
            facts=[("got", type(outputs).__name__)],
        )
    for position, output in enumerate(outputs):
        if not isinstance(output, torch.Tensor) or output.ndim == 0 or len(output) != rows:
            tensor = isinstance(output, torch.Tensor) and output.ndim > 0
            raise ProcessFailed(
                "the process function returned another number of rows than it was given",
                facts=[
                    ("output", str(position)),
                    ("expected", f"{rows} rows"),
                    ("got", f"{len(output)} rows" if tensor else describe(output)),
                ],
            )


class BatchRun:
    """Computes the tasks of one batch and settles every one of their futures.

    An exception of a batch of several tasks says nothing about which of them is to blame: the
    halves are computed on their own, until the guilty tasks are alone with it.

    Args:
        function: The process function.
        name: Of the pool, for messages.
        statistics: Told what became of the tasks.
        going: Told before every call; False means that nobody wants the rest any more.
    """

    def __init__(
        self,
        function: ProcessFunction,
        name: str,
        statistics: PoolStatistics,
        going: Callable[[], bool],
    ) -> None:
        self._function = function
        self._name = name
        self._statistics = statistics
        self._going = going

    def run(self, tasks: Sequence[Task]) -> None:
        """Compute the tasks together. Never raises."""
        if not self._going():
            return
        began = time.monotonic()
        failure: Exception | None = None
        try:
            results = call(self._function, tasks)
        except StateChanged as error:
            self._fail(tasks, error.__cause__ or error)
            return
        except ProcessFailed as error:
            self._fail(tasks, _of_pool(error, self._name))
            return
        except Exception as error:
            failure = error
        except BaseException as error:
            self._fail(tasks, _ended(self._name, error))
            return
        if failure is None:
            self._hand_out(tasks, results, began)
        else:  # outside the handler, so that what fails next does not drag this traceback along
            self._take_apart(tasks, failure)

    def _take_apart(self, tasks: Sequence[Task], error: Exception) -> None:
        if len(tasks) == 1:
            self._fail(tasks, error)
            return
        middle = len(tasks) // 2
        self.run(tasks[:middle])
        self.run(tasks[middle:])

    def _hand_out(
        self, tasks: Sequence[Task], results: Sequence[Sequence[torch.Tensor]], began: float
    ) -> None:
        seconds = time.monotonic() - began
        for task, result in zip(tasks, results, strict=True):
            try:
                task.future.set_result(tuple(result))
            except InvalidStateError:
                continue  # it was given up: expired, or failed by a shutdown
        waits = [began - task.submitted for task in tasks]
        self._statistics.batch_done(len(tasks), sum(t.rows for t in tasks), began, seconds, waits)

    def _fail(self, tasks: Sequence[Task], error: BaseException) -> None:
        self._statistics.failed += sum(finish(task.future, error) for task in tasks)


def _of_pool(error: ProcessFailed, name: str) -> ProcessFailed:
    named = ProcessFailed(error.message, facts=[("pool", name), *error.facts])
    named.__cause__ = error.__cause__
    return named


def _ended(name: str, error: BaseException) -> ProcessFailed:
    failed = ProcessFailed(
        "the process function ended its thread",
        facts=[("pool", name), ("raised", f"{type(error).__name__}: {error}".rstrip(": "))],
    )
    failed.__cause__ = error
    return failed
