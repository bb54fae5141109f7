"""What a task must look like to be let into a pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from foretell_experts.errors import TaskRefused
from foretell_experts.schema import BatchTensorDescriptor, describe


class Admission:
    """Checks the tensors of a task before they wait beside others.

    Args:
        name: Of the pool, for messages.
        limit: Most rows of a task.
        schema: What one row of each tensor looks like; None until it is learnt.
    """

    def __init__(
        self, name: str, limit: int, schema: Sequence[BatchTensorDescriptor] | None
    ) -> None:
        self._name = name
        self.limit = limit
        self._schema: tuple[BatchTensorDescriptor, ...] | None = None
        self._expected: tuple[tuple[torch.Size, torch.dtype], ...] | None = None
        if schema is not None:
            self.learn(schema)

    @property
    def knows(self) -> bool:
        """Whether there is a schema."""
        return self._schema is not None

    def learn(self, schema: Sequence[BatchTensorDescriptor]) -> None:
        """Let in only what looks like this from now on."""
        self._schema = tuple(schema)
        self._expected = tuple((torch.Size(item.size), item.dtype) for item in self._schema)

    def rows(self, tensors: tuple[torch.Tensor, ...]) -> int:
        """Rows of a task that fits. On the way of every task, so the good case is quick.

        Raises:
            TaskRefused: it does not fit, naming expected and got.
        """
        expected = self._expected
        if expected is not None and len(tensors) == len(expected):
            try:
                rows = int(tensors[0].shape[0])
                for tensor, (size, dtype) in zip(tensors, expected, strict=True):
                    shape = tensor.shape
                    if shape[0] != rows or shape[1:] != size or tensor.dtype is not dtype:
                        break
                else:
                    if 0 < rows <= self.limit:
                        return rows
            except (AttributeError, IndexError, TypeError):
                pass
        return self._slowly(tensors)

    def _slowly(self, tensors: tuple[Any, ...]) -> int:
        schema = self._schema
        if not tensors or (schema is not None and len(tensors) != len(schema)):
            expected = "at least one" if schema is None else str(len(schema))
            facts = [("expected", f"{expected} tensors"), ("got", str(len(tensors)))]
            raise self._refused("the task has another number of tensors than the pool takes", facts)
        for position, tensor in enumerate(tensors):
            wrong = not isinstance(tensor, torch.Tensor) or tensor.ndim == 0
            if wrong or (schema is not None and not schema[position].fits(tensor)):
                promised = "a tensor with rows" if schema is None else schema[position].describe()
                facts = [("expected", promised), ("got", describe(tensor))]
                raise self._refused(f"tensor {position} of the task does not fit the pool", facts)
        counts = [len(tensor) for tensor in tensors]
        if len(set(counts)) > 1:
            facts = [("got", ", ".join(map(str, counts)))]
            raise self._refused("the tensors of the task differ in their number of rows", facts)
        if not 0 < counts[0] <= self.limit:
            facts = [("limit", f"1 to {self.limit} rows"), ("got", f"{counts[0]} rows")]
            raise self._refused("a task is never split, so it must fit into one batch", facts)
        return counts[0]

    def _refused(self, message: str, facts: Sequence[tuple[str, str]]) -> TaskRefused:
        return TaskRefused(message, facts=[("pool", self._name), *facts])

    def alike(self, first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> bool:
        """Whether two tasks that were let in may share a batch."""
        if self._expected is not None:
            return True
        return [(t.shape[1:], t.dtype) for t in first] == [(t.shape[1:], t.dtype) for t in second]
